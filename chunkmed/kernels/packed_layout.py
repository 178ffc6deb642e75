"""Where the voxels of a block lie in a stream of words: geometry only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.packed_words import GROUP_FIRST, GROUP_NEXT, GROUP_TO_FOUND, TO_FOUND
from chunkmed.reused import filled

__all__ = ["Layout", "layouts", "merged"]

#: Words of a stream of several volumes: two of them fit into the processor's second cache.
_CHUNK = 1 << 16
#: Words that are worked on at a time: they stay in the first cache.
_TILE = 1 << 10
#: Words of a stream that may be room for the most part.
_SHORT = 1 << 16


@dataclass(frozen=True)
class Layout:
    """Rows, planes and volumes in one stream, with room between them for what lies outside."""

    sizes: tuple[int, ...]
    """Volumes, planes, rows, voxels of a row."""
    room: tuple[int, ...]
    """How far a neighbour may lie outside along each axis; what is behind one row is before the next."""

    @cached_property
    def pitches(self) -> tuple[int, int, int]:
        """Words from one volume, plane, row to the next."""
        row = -(-(self.sizes[3] + self.room[3]) // 64)
        plane = (self.sizes[2] + self.room[2]) * row
        return (self.sizes[1] + self.room[1]) * plane, plane, row

    @cached_property
    def start(self) -> int:
        """Word of the first voxel: neighbours before it are inside the stream."""
        along = zip(self.room, self.pitches, strict=False)
        return sum(n * pitch for n, pitch in along) + self.margin

    @property
    def margin(self) -> int:
        """Words that a neighbour in the same row, or a shift, may lie aside."""
        return self.room[3] // 64 + 1

    @property
    def place(self) -> tuple[int, tuple[int, ...], tuple[int, int, int]]:
        """Start, sizes and pitches."""
        return self.start, self.sizes, self.pitches

    @cached_property
    def rows(self) -> int:
        """Rows that are worked on at a time."""
        return max(1, min(self.sizes[2], _TILE // self.pitches[2]))

    @property
    def words(self) -> int:
        """Length of a stream: neighbours behind the last voxel are inside, and one word that shifts read."""
        return 2 * self.start + self.sizes[0] * self.pitches[0] + 1

    @property
    def is_wasteful(self) -> bool:
        """Whether most of a long stream is room: rows much shorter than a word, or a huge structure."""
        return self.words > max(_SHORT, math.prod(self.sizes) // 16)

    def stream(self, value: bool) -> Array:
        """Return a stream of one value."""
        return filled(self.words, 0xFFFFFFFFFFFFFFFF if value else 0, np.uint64)

    def inside(self) -> Array:
        """Return the voxels of some rows, not the room behind them."""
        row = np.arange(64 * self.pitches[2]) < self.sizes[3]
        return np.tile(np.packbits(row, bitorder="little").view(np.uint64), self.rows)

    def program(self, offsets: Array) -> Array:
        """Return which words meet: lines of a kind and a distance in bits.

        Neighbours in the same rows at several x meet as whole words first, and are shifted once for
        every x: a box of 27 takes 9 and 3 lines. It is done where it makes the program shorter.
        """
        lines = []
        for rows, shifts in _sharing(offsets, self.pitches).items():
            if len(rows) * len(shifts) <= len(rows) + len(shifts):
                lines += [(TO_FOUND, row + shift) for row in rows for shift in shifts]
                continue
            lines += [(GROUP_FIRST if i == 0 else GROUP_NEXT, row) for i, row in enumerate(rows)]
            lines += [(GROUP_TO_FOUND, shift) for shift in shifts]
        return np.array(lines, np.int64).reshape(-1, 2)


def _sharing(offsets: Array, pitches: Sequence[int]) -> dict[tuple[int, ...], list[int]]:
    """Return along x which neighbours there are in which rows; rows as distances in bits."""
    full = np.zeros((len(offsets), 4), np.int64)
    full[:, 4 - offsets.shape[1] :] = offsets
    distances, shifts = 64 * (full[:, :3] @ np.array(pitches)), full[:, 3]
    out: dict[tuple[int, ...], list[int]] = {}
    for shift in np.unique(shifts).tolist():
        out.setdefault(tuple(sorted(distances[shifts == shift].tolist())), []).append(shift)
    return out


def merged(shape: Sequence[int], offsets: Sequence[Array]) -> tuple[tuple[int, ...], list[Array]]:
    """Return shape and offsets of the same voxels with fewer axes.

    Neighbouring axes along which nothing reaches are joined.
    """
    sizes: list[int] = []
    axes: list[int] = []
    joins = False
    for axis, n in enumerate(shape):
        still = not any(reach[:, axis].any() for reach in offsets)
        if still and joins:
            sizes[-1] *= n
        else:
            sizes.append(n)
            axes.append(axis)
        joins = still
    return tuple(sizes), [reach[:, axes] for reach in offsets]


def layouts(shape: Sequence[int], offsets: Sequence[Array]) -> list[tuple[Layout, int]]:
    """Return layouts of parts that do not reach each other, and the first voxel of each.

    Parameters
    ----------
    shape : sequence of one to four int
        What :func:`merged` gave, as well as ``offsets``.
    """
    extent = np.abs(np.concatenate([np.zeros((1, len(shape)), np.int64), *offsets])).max(axis=0)
    axis = 4 - len(shape)
    room, sizes = (*[0] * axis, *extent.tolist()), [*[1] * axis, *shape]
    whole = Layout(tuple(sizes), room)
    if room[axis] or axis == 3:
        return [(whole, 0)]
    n = max(1, _CHUNK * shape[0] // whole.words)
    parts = []
    for first in range(0, shape[0], n):
        sizes[axis] = min(n, shape[0] - first)
        parts.append((Layout(tuple(sizes), room), first * math.prod(shape[1:])))
    return parts
