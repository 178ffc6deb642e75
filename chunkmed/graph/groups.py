"""Which voxels are counted together: all of a time point, those of a mask, those of each label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chunkmed.graph.box import Box, sides
from chunkmed.graph.nodes import Array

__all__ = ["Frame", "Groups"]


@dataclass(frozen=True)
class Frame:
    """What a block holds of one time point, flat, in C order of the axes of space."""

    time: int
    values: Array
    groups: Array | None
    """Group of each voxel (int32, -1 for none); None where all are of the only one."""


@dataclass(frozen=True)
class Groups:
    """Groups of voxels of an image, the same at every time point.

    Parameters
    ----------
    shape : tuple of int
        Of the image.
    time : int, optional
        Axis that every index is counted apart of.
    masked : bool
        Whether a second image says which voxels belong to which group.
    names : ndarray, ascending, optional
        Its values: one group each. Without them all values above zero are one group.
    """

    shape: tuple[int, ...]
    time: int | None = None
    masked: bool = False
    names: Array | None = None

    @property
    def count(self) -> int:
        """Number of groups of a time point."""
        return 1 if self.names is None else len(self.names)

    @property
    def times(self) -> int:
        """Number of time points."""
        return 1 if self.time is None else self.shape[self.time]

    @property
    def space(self) -> tuple[int, ...]:
        """Axes but that of time."""
        return tuple(axis for axis in range(len(self.shape)) if axis != self.time)

    @property
    def volume(self) -> tuple[int, ...]:
        """Shape of a time point."""
        return tuple(self.shape[axis] for axis in self.space)

    @property
    def bytes_per_voxel(self) -> int:
        """What a task makes beside the arrays that it is given, the copy of the values included."""
        return 8 + (12 if self.masked else 0)

    def frames(self, box: Box, arrays: Sequence[Array]) -> Iterator[Frame]:
        """Yield the time points of a block, from its values and what says where they belong."""
        # Here, for numba takes a second to import.
        from chunkmed.kernels.counts import number_groups

        values = self._flat(np.broadcast_to(arrays[0], sides(box)))
        marks = self._flat(np.broadcast_to(arrays[1], sides(box))) if self.masked else None
        start = 0 if self.time is None else box[self.time][0]
        for t, part in enumerate(values):
            groups = None if marks is None else number_groups(marks[t], self.names)
            yield Frame(start + t, part, groups)

    def _flat(self, array: Array) -> Array:
        times = 1 if self.time is None else array.shape[self.time]
        order = (*(() if self.time is None else (self.time,)), *self.space)
        rest = int(np.prod([array.shape[axis] for axis in self.space], dtype=np.int64))
        return array.transpose(order).reshape(times, rest)

    def positions(self, box: Box, places: Array) -> Array:
        """Return the C-order index in a time point of places in a block's frame."""
        own = [box[axis] for axis in self.space]
        if not own:
            return places
        inside = np.unravel_index(places, [stop - start for start, stop in own])
        whole = tuple(index + start for index, (start, _) in zip(inside, own, strict=True))
        out: Array = np.ravel_multi_index(whole, self.volume).astype(np.int64)
        return out
