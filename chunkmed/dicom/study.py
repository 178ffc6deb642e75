"""What a scan returns: a study, its stacks, and the files that were skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.accept import Choices, accepted
from chunkmed.dicom.choosing import how_to_choose, how_to_merge
from chunkmed.dicom.pixels import Box, Pixels
from chunkmed.dicom.regularity import Irregularity
from chunkmed.dicom.table import lines
from chunkmed.dicom.values import wider
from chunkmed.errors import InputError, SourceError
from chunkmed.grid import Grid

__all__ = ["Skipped", "Stack", "Study"]

_MOST_REASONS = 3


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is no part of any stack.

    Examples
    --------
    >>> from pathlib import Path
    >>> from chunkmed.dicom import scan
    >>> from chunkmed.testing import BeatingEllipsoid, write_study
    >>> heart = BeatingEllipsoid(time_points=2, size=(12, 48, 64), spacing_mm=(10.0, 3.0, 3.0))
    >>> files = write_study("mixed", heart)
    >>> written = Path("mixed/notes.txt").write_text("no image")
    >>> [file.reason for file in scan("mixed").skipped]
    ['not DICOM (no DICM preamble)']
    """

    path: str
    """Where it is, printable."""
    reason: str
    """Why it was skipped, in plain words."""


@dataclass(frozen=True, eq=False)
class Stack:
    """One 4D image of a study: its grid, its values, and what was assumed to get there.

    Examples
    --------
    >>> from chunkmed.testing import BeatingEllipsoid, write_study
    >>> heart = BeatingEllipsoid(time_points=2, size=(12, 48, 64), spacing_mm=(10.0, 3.0, 3.0))
    >>> files = write_study("study", heart)
    >>> from chunkmed.dicom import scan
    >>> stack = scan("study").select()
    >>> stack.read([(0, 1), (5, 6), (0, 48), (0, 64)]).shape
    (1, 1, 48, 64)
    """

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
    faults: tuple[SourceError, ...] = ()
    """Why the stack cannot be read whatever is accepted."""
    flags: tuple[str, ...] = ()
    """``localizer``, and what tells this stack apart from others of its series (``EchoTime 9.84``)."""
    irregularities: tuple[Irregularity, ...] = ()
    """What is refused unless the user accepts it, see ``accepting``."""
    members: tuple[str, ...] = ()
    """Keys of the stacks that were merged to this one."""

    @property
    def problems(self) -> tuple[SourceError, ...]:
        """Why the stack is not read, unless all of it is accepted."""
        return (*self.faults, *(item.error for item in self.irregularities))

    @property
    def problem(self) -> SourceError | None:
        """Why the stack is not read, None where it is."""
        return next(iter(self.problems), None)

    @property
    def channels(self) -> int:
        """Colours of a voxel; 0 where there is no such axis."""
        return self.pixels.channels

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
            error.series = self.key
            raise

    def accepting(
        self, *, allow_missing: bool = False, allow_irregular: bool = False, frames: str | None = None
    ) -> Stack:
        """Return the same stack without the problems that are accepted; each becomes an assumption.

        Parameters
        ----------
        allow_missing : bool
            Accept missing slices, whose neighbours keep their positions, and missing images: NaN.
        allow_irregular : bool
            Accept slices at uneven distances or beside the line of the others.
        frames : {"t", "z"}, optional
            What the frames of a file are that says nothing about them.

        Raises
        ------
        InputError
            ``bad-frames`` for another text, or where the headers say what frames are.
        """
        return accepted(self, Choices(allow_missing, allow_irregular, frames=frames))

    def widened(self) -> Stack:
        """Return the same stack with int32 (from int32: int64) values, for a ``value-overflow``."""
        return replace(self, dtype=wider(self.dtype))


@dataclass(frozen=True)
class Study:
    """The stacks found below a path, and what was skipped.

    Examples
    --------
    >>> from chunkmed.testing import BeatingEllipsoid, write_study
    >>> heart = BeatingEllipsoid(time_points=2, size=(12, 48, 64), spacing_mm=(10.0, 3.0, 3.0))
    >>> files = write_study("study", heart)
    >>> from chunkmed.dicom import scan
    >>> scan("study").select().shape
    (2, 12, 48, 64)
    """

    stacks: tuple[Stack, ...]
    skipped: tuple[Skipped, ...] = ()

    def select(self, selector: str | int | None = None) -> Stack:
        """Return one stack.

        Parameters
        ----------
        selector : str or int, optional
            The key of a stack or the beginning of it, or its number in the printed table. Without
            it the only stack; localizers and what is no image series are passed over when exactly
            one other remains.

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
            fix=how_to_choose(found or self.stacks),
        )

    def _only(self) -> Stack:
        for candidates in (self.stacks, self.images()):
            if len(candidates) == 1:
                return candidates[0]
        if not self.stacks:
            raise SourceError(
                "there is no image series here",
                kind="no-series",
                why="; ".join(dict.fromkeys(item.reason for item in self.skipped[:_MOST_REASONS])),
                fix="see chunkmed scan",
            )
        if len({stack.faults[0].why if stack.faults else str(i) for i, stack in enumerate(self.stacks)}) == 1:
            # One series that came apart by what is wrong with it.
            return max(self.stacks, key=lambda stack: len(stack.pixels.names))
        raise SourceError(
            f"there are {len(self.stacks)} series here",
            kind="several-series",
            why=next((text for stack in self.stacks for text in stack.warnings if "are apart" in text), ""),
            fix="; or ".join(filter(None, [how_to_choose(self.stacks), how_to_merge(self.images())])),
        )

    def _matching(self, selector: str | int) -> list[Stack]:
        text = str(selector)
        exact = [stack for stack in self.stacks if text in (stack.key, *stack.members)]
        if exact:
            return exact
        # Keys are hexadecimal: a short run of digits is a number of the table.
        if text.isdecimal() and len(text) < 4:
            return [self.stacks[int(text)]] if int(text) < len(self.stacks) else []
        return [
            stack
            for stack in self.stacks
            if text and any(key.startswith(text) for key in (stack.key, *stack.members))
        ]

    def merge(self, series: Sequence[str | int] | None = None, *, phases: str | None = None) -> Study:
        """Return a study that holds nothing but the stack that several series make together.

        Cine with one series per slice: different positions, equally many phases. Dynamic series with
        one per time point: the same positions, acquired one after the other. Their headers are read
        once more.

        Parameters
        ----------
        series : sequence of selectors, optional
            Which series (see ``select``); all but localizers by default.
        phases : {"nearest"}, optional
            Accept slices with different numbers of phases: each gets those of the commonest number
            that are nearest in the cycle.

        Raises
        ------
        SourceError
            ``not-one-geometry``, ``duplicate-position``, ``unequal-phases`` or ``not-one-series``,
            naming the series.
        """
        # Not above: it builds stacks, which are made of what this module defines.
        from chunkmed.dicom.merge import merged

        if phases not in (None, "nearest"):
            raise InputError(f"phases={phases!r}", kind="bad-phases", fix='give phases="nearest"')
        chosen = [self.select(item) for item in series] if series is not None else self.images()
        return Study((merged(chosen, phases=phases),), self.skipped)

    def images(self) -> list[Stack]:
        """Return the stacks that are no localizers and hold images that can be read."""
        return [stack for stack in self.stacks if _may_be_meant(stack)]

    def __str__(self) -> str:
        return "\n".join(lines(self.stacks, self.skipped))


def _may_be_meant(stack: Stack) -> bool:
    # What has a problem is not passed over: it may be what is wanted.
    return not stack.localizer and all(fault.kind != "unsupported-object" for fault in stack.faults)
