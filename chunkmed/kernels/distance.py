"""Exact Euclidean distances of a block, one axis at a time.

The first axis gives every voxel the offset of the nearest background of its line; every further axis
takes the lower envelope of one parabola a voxel (Felzenszwalb & Huttenlocher 2012, Distance Transforms of
Sampled Functions; in the form without divisions of Maurer et al. 2003). Axes are taken in order and
squares are summed in order, as scipy does: results are equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.axes import Axis, Box, lines
from chunkmed.reused import empty, release, throughout

__all__ = ["fill_nowhere", "nearest", "offset_dtype", "roots"]

#: Sums of two offsets of longer lines do not fit int16.
_LONGEST = 16000
#: Voxels whose squares are made at a time.
_PIECE = 1 << 17


def offset_dtype(size: int) -> np.dtype[Any]:
    """Return the dtype of offsets along an axis of ``size`` voxels; its lowest number says "none"."""
    return np.dtype(np.int16 if size <= _LONGEST else np.int32)


@throughout
def nearest(mask: Array, *, keep: tuple[slice, ...], axis: Axis, latest: bool = False) -> Array:
    """Return how many voxels on the nearest background lies along an axis.

    Parameters
    ----------
    mask : ndarray of bool
        False is background; lines are whole.
    keep : tuple of slice
        The part that is wanted.
    axis : Axis
        Along which axis.
    latest : bool
        Whether the later one of two that are as near counts, or the earlier one.

    Returns
    -------
    ndarray of int16 or int32
        The lowest number of the dtype where there is none.
    """
    # Here, for numba takes a second to import.
    from chunkmed.kernels import offsets

    dtype = offset_dtype(axis.size)
    out = empty(mask.shape, dtype)
    values = np.ascontiguousarray(mask).view(np.uint8)
    sides = lines(mask.shape, axis.number)
    if axis.even:
        offsets.nearest_even(values.reshape(sides), out.reshape(sides), np.iinfo(dtype).min, latest)
    else:
        offsets.nearest_uneven(
            values.reshape(sides), out.reshape(sides), axis.positions, np.iinfo(dtype).min, latest
        )
    return out[keep]


@throughout
def roots(
    block: Array,
    *,
    box: Box,
    keep: tuple[slice, ...],
    first: Axis,
    rest: Sequence[Axis] = (),
    nowhere: float | None = None,
) -> Array:
    """Return distances from the offsets along one axis, over all others.

    Parameters
    ----------
    block : ndarray of int16 or int32
        What :func:`nearest` gives; lines along ``rest`` are whole.
    box, keep
        Where the block lies, and the part of it that is wanted.
    first : Axis
        The axis of the offsets.
    rest : sequence of Axis
        The other axes, in order.
    nowhere : float, optional
        The distance where there is no background at all; by default, as
        :func:`scipy.ndimage.distance_transform_edt`, the distance from the voxel (-1, 0, 0).
    """
    if not rest or not first.even:
        release()
        block = first.squares(block, box[first.number][0], first.number)
    out = _enveloped(block, keep, rest, first if first.even else None) if rest else np.sqrt(block[keep])
    inside = [(a + k.start, a + k.stop) for (a, _), k in zip(box, keep, strict=True)]
    return fill_nowhere(out, inside, (first, *rest), nowhere)


def fill_nowhere(out: Array, box: Box, along: Sequence[Axis], nowhere: float | None) -> Array:
    """Put a number where there is no background, in place; ``box`` is where ``out`` lies."""
    corner = out[(0,) * out.ndim] if out.size else 0.0
    if corner < np.inf and len(along) == out.ndim:
        # One voxel of an image knows of background if any does.
        return out
    lost = np.isinf(out)
    if lost.any():
        values = _from_outside(out.shape, box, along) if nowhere is None else nowhere
        np.copyto(out, values, where=lost)
    return out


def _from_outside(shape: Sequence[int], box: Box, along: Sequence[Axis]) -> Array:
    """Return the distance from the voxel one before the first, along the first axis."""
    total: Any = 0.0
    for place, axis in enumerate(along):
        start, stop = box[axis.number]
        steps = (0 if place else -1) - np.arange(start, stop)
        sides = [1] * len(shape)
        sides[axis.number] = -1
        lengths = steps.astype(np.float64).reshape(sides) * axis.step
        total = total + lengths * lengths
    return np.broadcast_to(np.sqrt(total), shape)


def _enveloped(block: Array, keep: tuple[slice, ...], rest: Sequence[Axis], first: Axis | None) -> Array:
    """Return the roots of squares over all axes, some slices at a time: nothing whole lies in between."""
    out = empty([k.stop - k.start for k in keep], np.float64)
    numbers = [axis.number for axis in rest]
    # Where lines do not lie in the last axes, in order, all is one slice.
    split = numbers[0] if numbers == list(range(numbers[0], block.ndim)) else 0
    slices = np.ascontiguousarray(block).reshape(-1, *block.shape[split:])
    kept = out.reshape(-1, *out.shape[split:])
    count = max(1, _PIECE // max(1, slices[:1].size))
    for o in range(0, len(slices), count):
        piece, pending = slices[o : o + count], first
        for axis in rest:
            place, last = axis.number - split + 1, axis is rest[-1]
            wanted = keep[axis.number]
            sides = [*piece.shape[:place], wanted.stop - wanted.start, *piece.shape[place + 1 :]]
            made = kept[o : o + count] if last else empty(sides, np.float64)
            _add_axis(piece, made, place, axis, wanted.start, pending, root=last)
            piece, pending = made, None
    return out


def _add_axis(
    block: Array, out: Array, place: int, axis: Axis, start: int, first: Axis | None, *, root: bool
) -> None:
    """Fill ``out`` with squared distances over one more axis, or their roots; both lie in C order."""
    from chunkmed.kernels.envelopes import envelopes, heights

    outer, n, inner = lines(block.shape, place)
    length = out.shape[place]
    # So many lines at a time that their squares stay in the processor's cache.
    count = min(max(1, _PIECE // max(1, n * inner)), outer)
    squared = empty(count * n * inner if first is not None else 0, np.float64)
    for o in range(0, outer, count):
        sides = min(count, outer - o), n, inner
        piece = block.reshape(outer, -1)[o : o + count].reshape(-1)
        if first is not None:
            heights(piece, first.step, np.iinfo(piece.dtype).min, squared[: piece.size])
            piece = squared[: piece.size]
        filled = out.reshape(outer, -1)[o : o + count].reshape(-1)
        envelopes(piece, sides, filled, length, axis.positions, axis.step, axis.even, start, root)
