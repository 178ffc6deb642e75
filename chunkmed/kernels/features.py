"""Where the nearest background of each voxel lies, one axis at a time.

A place is one number: the index of the background along each axis so far, the last one in the units. It
is carried from pass to pass in place of the distance, which follows from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.axes import Axis, Box, lines
from chunkmed.kernels.compiled import kernel
from chunkmed.kernels.distance import fill_nowhere
from chunkmed.kernels.parabolas import solve

__all__ = ["distances", "indices", "place_dtype", "places", "unravelled"]


def place_dtype(axes: Sequence[Axis]) -> np.dtype[np.signedinteger]:
    """Return the dtype of places along axes; -1 says "none"."""
    return np.dtype(np.int32 if math.prod(axis.size for axis in axes) < 2**31 else np.int64)


def places(
    block: Array,
    *,
    box: Box,
    keep: tuple[slice, ...],
    before: Sequence[Axis],
    axis: Axis,
    latest: bool = False,
) -> Array:
    """Return places over one more axis.

    Parameters
    ----------
    block : ndarray of int
        Places over the axes before; of a single one the offsets along it.
    box, keep
        Where the block lies, and the part of it that is wanted.
    before : sequence of Axis
        The axes before, in the order they were taken.
    axis : Axis
        The axis that is added; lines along it are whole.
    latest : bool
        Whether the later one of two that are as near counts, or the earlier one.
    """
    dtype = place_dtype([*before, axis])
    block = np.ascontiguousarray(_indices(block, box, before[0]) if len(before) == 1 else block)
    block = block.astype(dtype, copy=False)
    out = np.empty([k.stop - k.start for k in keep], dtype)
    _add_axis(
        block.reshape(lines(block.shape, axis.number)),
        _squares(block, box, before, range(len(before))).reshape(lines(block.shape, axis.number)),
        out.reshape(lines(out.shape, axis.number)),
        axis.positions,
        axis.step,
        keep[axis.number].start,
        latest,
    )
    return out


def distances(
    block: Array, *, box: Box, keep: tuple[slice, ...], taken: Sequence[Axis], nowhere: float | None = None
) -> Array:
    """Return the distances of places over axes in the order they were ``taken``."""
    # As scipy: squares are summed from the first axis to the last.
    order = sorted(range(len(taken)), key=lambda i: taken[i].number)
    out = _squares(np.ascontiguousarray(block), box, taken, order)
    np.sqrt(out, out=out)
    return fill_nowhere(out, box, [taken[i] for i in order], nowhere)[keep]


def unravelled(
    block: Array, *, wanted: Sequence[int], taken: Sequence[Axis], nowhere: Sequence[int]
) -> Array:
    """Return indices along each axis, on a new first axis.

    Parameters
    ----------
    block : ndarray of int
        Places.
    wanted : sequence of int
        Which indices, by the order of the axes of the image.
    taken : sequence of Axis
        Axes in the order they were taken.
    nowhere : sequence of int
        What the indices are where there is no background.
    """
    order = sorted(range(len(taken)), key=lambda i: taken[i].number)
    out = np.empty((len(wanted), *block.shape), np.int32)
    for row, which in zip(out, wanted, strict=True):
        unit = math.prod(axis.size for axis in taken[order[which] + 1 :])
        np.copyto(row, block // unit % taken[order[which]].size)
        row[block < 0] = nowhere[which]
    return out


def indices(offsets: Array, *, box: Box, keep: tuple[slice, ...], axis: Axis) -> Array:
    """Return places along a single axis from the offsets along it."""
    return _indices(offsets, box, axis)[keep]


def _indices(offsets: Array, box: Box, axis: Axis) -> Array:
    sides = [1] * offsets.ndim
    sides[axis.number] = -1
    own = np.arange(*box[axis.number], dtype=np.int32).reshape(sides)
    return np.where(offsets == np.iinfo(offsets.dtype).min, np.int32(-1), offsets + own)


def _squares(block: Array, box: Box, axes: Sequence[Axis], order: Sequence[int]) -> Array:
    """Return squared distances of places, inf where there is none."""
    rows = block.reshape(-1, block.shape[-1])
    grid = np.meshgrid(*(np.arange(*span) for span in box[:-1]), [box[-1][0]], indexing="ij", sparse=False)
    own = np.stack([grid[axis.number].reshape(-1) for axis in axes], axis=1)
    moves = np.array([axis.number == block.ndim - 1 for axis in axes])
    positions = np.zeros((len(axes), max(axis.size for axis in axes)))
    for row, axis in zip(positions, axes, strict=True):
        row[: axis.size] = axis.positions
    out = np.empty(rows.shape)
    steps = np.array([axis.step for axis in axes])
    sizes = np.array([axis.size for axis in axes])
    _fill_squares(rows, out, own, moves, positions, steps, sizes, np.array(order))
    return out.reshape(block.shape)


@kernel
def _fill_squares(places, out, own, moves, positions, steps, sizes, order):  # type: ignore[no-untyped-def] # pragma: no cover
    found = np.empty(len(sizes))
    for row in range(places.shape[0]):
        for x in range(places.shape[1]):
            rest = np.int64(places[row, x])
            if rest < 0:
                out[row, x] = np.inf
                continue
            for axis in range(len(sizes) - 1, -1, -1):
                index = rest % sizes[axis] if axis else rest
                rest //= sizes[axis]
                at = own[row, axis] + (x if moves[axis] else 0)
                length = (positions[axis, index] - positions[axis, at]) * steps[axis]
                found[axis] = length * length
            total = 0.0
            for axis in order:
                total += found[axis]
            out[row, x] = total


@kernel
def _add_axis(places, heights, out, positions, step, start, latest):  # type: ignore[no-untyped-def] # pragma: no cover
    outer, n, inner = places.shape
    line, values = np.empty(n), np.empty(n)
    hull, winners = np.empty(n + 2, np.int64), np.empty(n, np.int64)
    for o in range(outer):
        for x in range(inner):
            for i in range(n):
                line[i] = heights[o, i, x]
                values[i] = -1.0
            solve(line, positions, step, hull, winners, values, latest)
            for i in range(out.shape[1]):
                best = winners[start + i]
                out[o, i, x] = -1 if best < 0 else places[o, best, x] * n + best
