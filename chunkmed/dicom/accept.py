"""What the user accepts or decides of a stack that is refused by default."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from chunkmed.errors import InputError
from chunkmed.grid import Grid

if TYPE_CHECKING:
    from chunkmed.dicom.study import Stack

__all__ = ["Choices", "accepted"]


@dataclass(frozen=True, slots=True)
class Choices:
    """Options of ``convert`` and ``open`` for DICOM.

    Examples
    --------
    >>> try:
    ...     Choices(frames="slices")
    ... except ValueError as error:
    ...     print(error.kind)
    bad-frames
    """

    allow_missing: bool = False
    """Gaps between slices, and time points that some slices lack."""
    allow_irregular: bool = False
    """Steps that differ by more than 2 %."""
    merge_series: bool = False
    """Join series that are certain to be one image."""
    frames: str | None = None
    """``t`` or ``z``: what the frames of a file are that does not say it."""

    def __post_init__(self) -> None:
        if self.frames not in (None, "t", "z"):
            raise InputError(
                f"frames={self.frames!r}", kind="bad-frames", fix='give frames="t" or frames="z"'
            )


def accepted(stack: Stack, choices: Choices) -> Stack:
    """Return the stack without the problems that were accepted, each written down as an assumption.

    Raises
    ------
    InputError
        ``bad-frames`` where ``frames`` is given and the headers say something else.
    """
    if choices.frames is not None:
        stack = _framed(stack, choices.frames)
    notes = [item.note for item in stack.irregularities if getattr(choices, item.option)]
    left = tuple(item for item in stack.irregularities if not getattr(choices, item.option))
    return replace(stack, irregularities=left, assumptions=(*stack.assumptions, *notes))


def _framed(stack: Stack, axis: str) -> Stack:
    """Return a stack of one file with unexplained frames as a time series, or as slices."""
    if all(fault.kind != "ambiguous-frames" for fault in stack.faults):
        raise InputError(
            f"frames={axis!r} for series {stack.key}",
            kind="bad-frames",
            why="its headers say what its frames are",
            fix="leave frames out",
        )
    if len(stack.pixels.names) > 1:
        return stack
    left = tuple(fault for fault in stack.faults if fault.kind != "ambiguous-frames")
    along = "time points" if axis == "t" else "slices"
    note = f"the frames of the file are {along}, as given: its headers do not say"
    stack = replace(stack, faults=left, assumptions=(*stack.assumptions, note))
    if axis == "t":
        return stack
    return replace(stack, grid=_stacked(stack.grid, stack.shape[0]), pixels=stack.pixels.turned())


def _stacked(grid: Grid, count: int) -> Grid:
    """Return the grid of slices that lie one behind the other, in mm where a tag gives their distance."""
    if grid.known and grid.thickness_mm is not None:
        z = np.arange(count) * grid.thickness_mm
        return replace(grid, z_mm=_floats(z), time_ms=(0.0,), time_known=True, thickness_mm=None)
    _, _, rows, columns = grid.shape
    return Grid(_floats(range(count)), _floats(range(rows)), _floats(range(columns)), known=False)


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
