"""What a scan returns: a study, its stacks, and the files that were skipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.pixels import Box, Pixels
from chunkmed.dicom.values import wider
from chunkmed.dicom.walk import printable
from chunkmed.errors import InputError, SourceError
from chunkmed.grid import Grid

__all__ = ["Skipped", "Stack", "Study"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is no part of any stack."""

    path: str
    """Where it is, printable."""
    reason: str
    """Why it was skipped, in plain words."""


@dataclass(frozen=True, eq=False)
class Stack:
    """One 4D image of a study: its grid, its values, and what was assumed to get there."""

    key: str
    """Short keyed identifier of series and stack; never a UID."""
    grid: Grid
    """Positions of the voxels, shape (t, z, y, x)."""
    dtype: np.dtype[Any]
    """Of the values after rescale."""
    pixels: Pixels
    """Where the frames lie on disk."""
    modality: str = ""
    description: str = ""
    """SeriesDescription, for ``print(study)`` only: free text that may name a person."""
    plane: str = ""
    """``axial``, ``coronal``, ``sagittal``, ``oblique``, or empty when unknown."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Technical attributes by allow-list, JSON."""
    assumptions: tuple[str, ...] = ()
    """Every assumption made, as sentences."""
    warnings: tuple[str, ...] = ()
    """What the user must see."""
    padding: int | float | None = None
    """Output value of the voxels outside the field of view."""
    trigger_time_ms: tuple[tuple[float, ...], ...] | None = None
    """(t, z), ms after the trigger where every slice has its own."""
    problem: SourceError | None = None
    """Why the stack cannot be read, None where it can."""
    flags: tuple[str, ...] = ()
    """``localizer``, and what tells this stack apart from others of its series (``EchoTime 9.84``)."""

    @property
    def channels(self) -> int:
        """Colours of a voxel; 0 where there is no such axis."""
        return self.pixels.channels

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of t, z, y, x, and of c for colours."""
        return (*self.grid.shape, self.channels) if self.channels else self.grid.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions: 4, with colours 5."""
        return len(self.shape)

    @property
    def localizer(self) -> bool:
        """Whether this is a scout, not an image to measure."""
        return "localizer" in self.flags

    @cached_property
    def token(self) -> str:
        """Hash of file paths, sizes, times, frame numbers and dtype: equal in every process."""
        return self.pixels.token(self.dtype.str)

    def read(self, box: Box) -> npt.NDArray[Any]:
        """Return the decoded, rescaled values of a box; only its frames are touched.

        Parameters
        ----------
        box : sequence of (int, int)
            (start, stop) of t, z, y, x.

        Returns
        -------
        numpy.ndarray
            Shape of the box, dtype of the stack.

        Raises
        ------
        SourceError
            The stack's ``problem``; ``value-overflow`` when a value does not fit (see ``widened``);
            ``file-vanished``, ``file-changed``, ``truncated-file``, ``missing-decoder``,
            ``undecodable``, ``unreadable``.
        InputError
            If the box leaves the image.
        """
        if self.problem is not None:
            raise self.problem
        spans = [(int(start), int(stop)) for start, stop in box]
        if len(spans) != self.ndim or not all(
            0 <= a <= b <= n for (a, b), n in zip(spans, self.shape, strict=True)
        ):
            raise InputError(f"the box {spans} leaves the image", kind="bad-box", why=f"shape {self.shape}")
        try:
            return self.pixels.read(spans, self.dtype)
        except SourceError as error:
            error.where = f"series {self.key}, {error.where}"
            raise

    def widened(self) -> Stack:
        """Return the same stack with int32 (from int32: int64) values, for a ``value-overflow``."""
        return replace(self, dtype=wider(self.dtype))


@dataclass(frozen=True)
class Study:
    """The stacks found below a path, and what was skipped."""

    stacks: tuple[Stack, ...]
    skipped: tuple[Skipped, ...] = ()

    def select(self, selector: str | int | None = None) -> Stack:
        """Return one stack.

        Parameters
        ----------
        selector : str or int, optional
            The key of a stack or the beginning of it, or its number in the printed table. Without
            it the only stack; localizers and stacks with a problem are passed over when exactly one
            other remains.

        Raises
        ------
        SourceError
            ``several-series`` or ``no-series`` or ``no-such-series``, listing the selectors.
        """
        if selector is None:
            return self._only()
        found = self._matching(selector)
        if len(found) == 1:
            return found[0]
        raise SourceError(
            f"{selector!r} selects {len(found) or 'no'} series",
            kind="several-series" if found else "no-such-series",
            fix=f"choose one of {self._choices()}",
        )

    def _only(self) -> Stack:
        usable = [stack for stack in self.stacks if not stack.localizer and stack.problem is None]
        for candidates in (self.stacks, usable):
            if len(candidates) == 1:
                return candidates[0]
        if not self.stacks:
            raise SourceError("there is no image series here", kind="no-series")
        raise SourceError(
            f"there are {len(self.stacks)} series here",
            kind="several-series",
            fix=f"choose one of {self._choices()}",
        )

    def _matching(self, selector: str | int) -> list[Stack]:
        text = str(selector)
        exact = [stack for stack in self.stacks if stack.key == text]
        if exact:
            return exact
        # Keys are hexadecimal: a short run of digits is a number of the table.
        if text.isdecimal() and len(text) < 4:
            return [self.stacks[int(text)]] if int(text) < len(self.stacks) else []
        return [stack for stack in self.stacks if text and stack.key.startswith(text)]

    def _choices(self) -> str:
        return ", ".join(
            f"{stack.key} ({stack.modality} {'x'.join(map(str, stack.shape))}{_state(stack)})"
            for stack in self.stacks
        )

    def __str__(self) -> str:
        head = ("#", "key", "modality", "plane", "description", "t x z x y x x", "z, y, x mm", "notes")
        rows = [head, *(_row(i, stack) for i, stack in enumerate(self.stacks))]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        ]
        if self.skipped:
            lines.append(f"{len(self.skipped)} files skipped: {reasons(self.skipped)}")
        return "\n".join(line.rstrip() for line in lines)


def _state(stack: Stack) -> str:
    words = [*stack.flags, *([stack.problem.kind] if stack.problem else [])]
    return "".join(f", {word}" for word in words)


def _row(number: int, stack: Stack) -> tuple[str, ...]:
    spacing = ", ".join(f"{step:.4g}" for step in stack.grid.spacing_mm) if stack.grid.known else "unknown"
    problem = [f"{stack.problem.kind}: {stack.problem.what}"] if stack.problem else []
    return (
        str(number),
        stack.key,
        stack.modality,
        stack.plane,
        "".join(c if c.isprintable() else " " for c in printable(stack.description))[:32],
        " x ".join(map(str, stack.shape)),
        spacing,
        ", ".join([*stack.flags, *problem]),
    )


def reasons(skipped: tuple[Skipped, ...], most: int = 4) -> str:
    """Return the commonest reasons for skipping, with how many files each concerns."""
    counts: dict[str, int] = {}
    for item in skipped:
        counts[item.reason] = counts.get(item.reason, 0) + 1
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = [f"{count} x {reason}" for reason, count in ranked[:most]]
    return "; ".join(shown) + (" ..." if len(ranked) > most else "")
