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
from chunkmed.grid import UNIFORM_TOLERANCE, Grid

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
    problems: tuple[SourceError, ...] = ()
    """Why the stack is not read, unless all of it is accepted (see ``accepting``)."""
    flags: tuple[str, ...] = ()
    """``localizer``, and what tells this stack apart from others of its series (``EchoTime 9.84``)."""

    @property
    def channels(self) -> int:
        """Colours of a voxel; 0 where there is no such axis."""
        return self.pixels.channels

    @property
    def problem(self) -> SourceError | None:
        """Why the stack is not read, None where it is."""
        return self.problems[0] if self.problems else None

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of t, z, y, x, and of c for colours."""
        return (*self.grid.shape, self.channels) if self.channels else self.grid.shape

    @property
    def granule(self) -> tuple[int, ...]:
        """Sizes of y, x (and c) that are read at once, whatever part of them is asked for."""
        rows = self.shape[2] if self.pixels.needs_whole_frames else 1
        return rows, *self.shape[3:]

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

    def accepting(
        self, *, allow_missing: bool = False, allow_irregular: bool = False, frames: str | None = None
    ) -> Stack:
        """Return the same stack without the problems that are accepted; each becomes an assumption.

        Parameters
        ----------
        allow_missing : bool
            Accept missing slices: positions stay what they are.
        allow_irregular : bool
            Accept slices at uneven distances or beside the line of the others.
        frames : {"t", "z"}, optional
            What the frames of a file are that says nothing about them.

        Raises
        ------
        InputError
            ``bad-frames`` for another text, or where the headers say what frames are.
        """
        if frames not in (None, "t", "z"):
            raise InputError(f"frames={frames!r}", kind="bad-frames", fix='give "t" or "z"')
        if frames is not None and not any(item.kind == "ambiguous-frames" for item in self.problems):
            raise InputError(
                f"frames={frames!r} for series {self.key}",
                kind="bad-frames",
                why="its headers say what its frames are",
                fix="leave frames out",
            )
        accepted = {"missing-slices"} if allow_missing else set()
        accepted |= {"uneven-spacing", "shifted-slices"} if allow_irregular else set()
        taken = [item for item in self.problems if item.kind in accepted]
        # What frames are is an answer, not an irregularity: it has a note of its own.
        accepted |= {"ambiguous-frames"} if frames is not None else set()
        left = [item for item in self.problems if item.kind not in accepted]
        notes = [f"accepted: {item.what}{_odd_steps(self.grid)}" for item in taken]
        if frames is None:
            return replace(self, problems=tuple(left), assumptions=(*self.assumptions, *notes))
        along = "time points" if frames == "t" else "slices"
        notes.append(f"the frames of a file are {along}, as given: its headers do not say")
        grid, pixels = _framed(self.grid, frames), self.pixels if frames == "t" else self.pixels.turned()
        # Numbers of frames are no values of a tag.
        attributes = {key: item for key, item in self.attributes.items() if key not in _TIME_ATTRIBUTES}
        return replace(
            self,
            problems=tuple(left),
            grid=grid,
            pixels=pixels,
            attributes=attributes,
            assumptions=(*self.assumptions, *notes),
        )

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
            it the only stack; localizers are passed over when exactly one other remains.

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
        # What has a problem is not passed over: it may be what is wanted.
        for candidates in (self.stacks, [stack for stack in self.stacks if not stack.localizer]):
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


_TIME_ATTRIBUTES = ("time_key", "time_values")


def _odd_steps(grid: Grid, most: int = 8) -> str:
    """Say which steps are not the usual one; names of files, as errors have them, may name a person."""
    steps = np.diff(grid.z_mm)
    median = float(np.median(steps)) if len(steps) else 0.0
    odd = [i for i, step in enumerate(steps) if abs(step - median) > UNIFORM_TOLERANCE * median]
    named = [f"{steps[i]:.4g} mm between slices {i} and {i + 1}" for i in odd[:most]]
    more = f" and {len(odd) - most} more" if len(odd) > most else ""
    return f"; steps are {median:.4g} mm, but {', '.join(named)}{more}" if odd else ""


def _framed(grid: Grid, frames: str) -> Grid:
    """Return the grid of a file whose frames were taken as time points, by what they are."""
    count = len(grid.time_ms)
    ranks = tuple(float(i) for i in range(count))
    if frames == "t":
        return replace(grid, time_ms=ranks, time_dim="t", time_known=False)
    depth = (grid.thickness_mm or 1.0) if grid.known else 1.0
    z_mm = tuple(round(grid.z_mm[0] + i * depth, 6) for i in range(count))
    return replace(grid, time_ms=(0.0,), time_dim="t", time_known=True, z_mm=z_mm)


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
