"""Interpolation on a grid along the axes: the weights of an axis are the same for all its lines.

Splines of order 0 and 1 are added up tap by tap in scipy.ndimage's order, whole rows at a time: equal
to the last bit. Higher orders are summed axis by axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.bsplines import OUTSIDE
from chunkmed.kernels.compiled import kernel, part
from chunkmed.kernels.stored import store

__all__ = ["MOST_AXES", "AxisTaps", "interpolate"]

MOST_AXES = 4
#: Values that are made before they are rounded: a part of the processor's second cache.
_SLAB = 1 << 16


@dataclass(frozen=True)
class AxisTaps:
    """Which voxels of a block the results along an axis are made of."""

    indices: Array
    """int64, (taps, m); :data:`~chunkmed.kernels.bsplines.OUTSIDE` in the first row: the constant."""
    weights: Array
    """float64, (taps, m)."""


_ONE = AxisTaps(np.zeros((1, 1), np.int64), np.ones((1, 1)))


def interpolate(block: Array, axes: Sequence[AxisTaps], cval: float, out: Array) -> None:
    """Interpolate a block at the points of a grid.

    Parameters
    ----------
    block : ndarray of float32 or float64
        One to four axes, contiguous.
    axes : sequence of AxisTaps
        One for each axis.
    cval : float
        Value of points outside.
    out : ndarray
        Filled in; contiguous, any real dtype.
    """
    lead = MOST_AXES - block.ndim
    given = (*(_ONE,) * lead, *axes)
    shape = (1,) * lead + out.shape
    block, out = block.reshape((1,) * lead + block.shape), out.reshape(shape)
    exact = max(len(each.indices) for each in axes) <= 2
    taps: list[Array] = [array for each in given for array in (each.indices, each.weights)]
    kernel: Any = _exact if exact else _summed
    rows = max(1, _SLAB // max(1, shape[3]))
    for a in range(shape[0]):
        # Several planes at a time where they are small.
        planes = max(1, rows // max(1, shape[2]))
        for b in range(0, shape[1], planes):
            for c in range(0, shape[2], rows):
                place = (a, min(b + planes, shape[1]), min(c + rows, shape[2]))
                values = np.empty((place[1] - b, place[2] - c, shape[3]))
                kernel(block, *taps, float(cval), a, b, c, values)
                store(values, out[a, b : place[1], c : place[2]])


@kernel
def _exact(block, i0, w0, i1, w1, i2, w2, i3, w3, cval, a, b0, c0, out):  # type: ignore[no-untyped-def] # pragma: no cover
    line = np.empty(block.shape[3], np.float64)
    for b in range(out.shape[0]):
        for c in range(out.shape[1]):
            row = out[b, c]
            if i0[0, a] == OUTSIDE or i1[0, b0 + b] == OUTSIDE or i2[0, c0 + c] == OUTSIDE:
                row[:] = cval
                continue
            row[:] = 0.0
            for p in range(i0.shape[0]):
                for q in range(i1.shape[0]):
                    for r in range(i2.shape[0]):
                        source = block[i0[p, a], i1[q, b0 + b], i2[r, c0 + c]]
                        _scale(line, source, w0[p, a], w1[q, b0 + b], w2[r, c0 + c])
                        if i3.shape[0] == 2:
                            _add_two(row, line, i3[0], i3[1], w3[0], w3[1])
                        else:
                            _add_one(row, line, i3[0], w3[0])
            _blank(row, i3[0], cval)


@kernel
def _summed(block, i0, w0, i1, w1, i2, w2, i3, w3, cval, a, b0, c0, out):  # type: ignore[no-untyped-def] # pragma: no cover
    height, width = block.shape[2], block.shape[3]
    plane, line = np.empty(height * width), np.empty(width)
    low, high = _range(i2, c0, out.shape[1])
    for b in range(out.shape[0]):
        if i0[0, a] == OUTSIDE or i1[0, b0 + b] == OUTSIDE or high <= low:
            out[b] = cval
            continue
        part = plane[low * width : high * width]
        part[:] = 0.0
        for p in range(i0.shape[0]):
            for q in range(i1.shape[0]):
                rows = block[i0[p, a], i1[q, b0 + b]].reshape(height * width)
                _add(part, rows[low * width : high * width], w0[p, a] * w1[q, b0 + b])
        for c in range(out.shape[1]):
            row = out[b, c]
            if i2[0, c0 + c] == OUTSIDE:
                row[:] = cval
                continue
            line[:] = 0.0
            for r in range(i2.shape[0]):
                start = i2[r, c0 + c] * width
                _add(line, plane[start : start + width], w2[r, c0 + c])
            row[:] = 0.0
            for k in range(i3.shape[0]):
                _add_one(row, line, i3[k], w3[k])
            _blank(row, i3[0], cval)


@part
def _range(indices, first, count):  # type: ignore[no-untyped-def] # pragma: no cover
    """Return the lowest and one more than the highest row that some rows of the result need."""
    low, high = np.int64(1 << 62), np.int64(0)
    for c in range(first, first + count):
        if indices[0, c] != OUTSIDE:
            for r in range(indices.shape[0]):
                low, high = min(low, indices[r, c]), max(high, indices[r, c] + 1)
    return low, high


@part
def _scale(out, source, u, v, w):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] = ((np.float64(source[i]) * u) * v) * w


@part
def _add(out, source, w):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] += source[i] * w


@part
def _add_one(out, line, index, weight):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] += line[max(index[i], 0)] * weight[i]


@part
def _add_two(out, line, first, second, u, v):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] = (out[i] + line[max(first[i], 0)] * u[i]) + line[max(second[i], 0)] * v[i]


@part
def _blank(row, index, cval):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(row.shape[0]):
        if index[i] == OUTSIDE:
            row[i] = cval
