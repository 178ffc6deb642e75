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

__all__ = ["fill_nowhere", "nearest", "offset_dtype", "roots", "squares"]

#: Sums of two offsets of longer lines do not fit int16.
_LONGEST = 16000
#: Voxels whose squares are made at a time.
_PIECE = 1 << 17


def offset_dtype(size: int) -> np.dtype[Any]:
    """Return the dtype of offsets along an axis of ``size`` voxels; its lowest number says "none"."""
    return np.dtype(np.int16 if size <= _LONGEST else np.int32)


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
    out = np.empty(mask.shape, dtype)
    values = np.ascontiguousarray(mask).view(np.uint8)
    sides = lines(mask.shape, axis.number)
    if axis.even:
        offsets.nearest_even(values.reshape(sides), out.reshape(sides), np.iinfo(dtype).min, latest)
    else:
        offsets.nearest_uneven(
            values.reshape(sides), out.reshape(sides), axis.positions, np.iinfo(dtype).min, latest
        )
    return out[keep]


def squares(
    block: Array, *, box: Box, keep: tuple[slice, ...], axis: Axis, first: Axis | None = None
) -> Array:
    """Return squared distances over one more axis.

    Parameters
    ----------
    block : ndarray
        Squared distances (float64) over the axes before, inf where there is no background; with
        ``first`` the offsets along that axis.
    box, keep
        Where the block lies, and the part of it that is wanted.
    axis : Axis
        The axis that is added; lines along it are whole.
    first : Axis, optional
        The axis of the offsets.
    """
    return _added(block, box, keep, axis, first, root=False)


def roots(
    block: Array,
    *,
    box: Box,
    keep: tuple[slice, ...],
    axis: Axis,
    first: Axis | None = None,
    along: Sequence[Axis] = (),
    nowhere: float | None = None,
) -> Array:
    """Return distances: :func:`squares` over the last axis, and the root of them.

    Parameters
    ----------
    block, box, keep, axis, first
        As of :func:`squares`.
    along : sequence of Axis
        All axes, in order.
    nowhere : float, optional
        The distance where there is no background at all; by default, as
        :func:`scipy.ndimage.distance_transform_edt`, the distance from the voxel (-1, 0, 0).
    """
    if first is not None and first.number == axis.number:
        out = np.sqrt(axis.squares(block, box[axis.number][0], axis.number)[keep])
    else:
        out = _added(block, box, keep, axis, first, root=True)
    return fill_nowhere(
        out, [(a + k.start, a + k.stop) for (a, _), k in zip(box, keep, strict=True)], along, nowhere
    )


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


def _added(
    block: Array, box: Box, keep: tuple[slice, ...], axis: Axis, first: Axis | None, *, root: bool
) -> Array:
    from chunkmed.kernels.envelopes import envelopes, heights

    block = np.ascontiguousarray(block)
    if first is not None and not first.even:
        block, first = first.squares(block, box[first.number][0], first.number), None
    outer, n, inner = lines(block.shape, axis.number)
    out = np.empty([k.stop - k.start for k in keep])
    start, length = keep[axis.number].start, out.shape[axis.number]
    # So many lines at a time that their squares stay in the processor's cache.
    count = max(1, _PIECE // max(1, n * inner))
    for o in range(0, outer, count):
        sides = min(count, outer - o), n, inner
        piece = block.reshape(outer, -1)[o : o + count].reshape(-1)
        if first is not None:
            squared = np.empty(piece.shape)
            heights(piece, first.step, np.iinfo(piece.dtype).min, squared)
            piece = squared
        filled = out.reshape(outer, -1)[o : o + count].reshape(-1)
        envelopes(piece, sides, filled, length, axis.positions, axis.step, axis.even, start, root)
    return out
