"""Weights of B-splines and the voxels that they are of.

Weights by the recursion of C. de Boor, "On calculating with B-splines", J. Approx. Theory 6 (1972)
50-62, for knots at distance one. Coordinates beyond the border are brought back as scipy.ndimage does,
with the same roundings, so that interpolation of order 0 and 1 is equal to the last bit.
"""

from __future__ import annotations

import math

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.borders import (
    CONSTANT,
    EXTENT,
    GRID_CONSTANT,
    GRID_WRAP,
    MIRROR,
    NEAREST,
    REFLECT,
    WRAP,
)
from chunkmed.kernels.compiled import kernel, part

__all__ = ["OUTSIDE", "axis_taps", "de_boor", "taps"]

#: Index of a tap whose value is the constant, and of the first tap of a voxel that is all constant.
_BEYOND, OUTSIDE = -1, -2


def axis_taps(at: Array, n: int, order: int, mode: int) -> tuple[Array, Array]:
    """Return the voxels and weights of coordinates along one axis.

    Parameters
    ----------
    at : ndarray of float64, shape (m,)
        Coordinates.
    n : int
        Voxels of the axis.
    order, mode : int
        Of the spline; border mode, a code.

    Returns
    -------
    indices : ndarray of int64, shape (order + 1, m)
        -1 where the value is the constant; -2 in the first row where all is constant.
    weights : ndarray of float64, shape (order + 1, m)
    """
    indices = np.zeros((order + 1, len(at)), np.int64)
    weights = np.zeros((order + 1, len(at)))
    _fill_axis(np.ascontiguousarray(at, np.float64), n, order, mode, indices, weights)
    return indices, weights


@kernel
def _fill_axis(at, n, order, mode, indices, weights):  # type: ignore[no-untyped-def] # pragma: no cover
    index, weight = np.empty(order + 1, np.int64), np.empty(order + 1)
    for i in range(at.shape[0]):
        if taps(at[i], n, order, mode, index, weight):
            indices[:, i], weights[:, i] = index, weight
        else:
            indices[0, i] = OUTSIDE


@part
def taps(at, n, order, mode, index, weight):  # type: ignore[no-untyped-def] # pragma: no cover
    """Fill in the voxels and the weights of a coordinate; return whether it is inside."""
    at = _fold(at, n, mode)
    # NaN is not above either.
    if not at > -1.0 and not (mode in (NEAREST, GRID_CONSTANT) and at == at):
        return False
    knot = math.floor(at if order % 2 else at + 0.5)
    start = np.int64(knot) - order // 2
    de_boor(at - knot if order % 2 else at - knot + 0.5, order, weight)
    if start >= 0 and start + order < n:
        for k in range(order + 1):
            index[k] = start + k
    else:
        for k in range(order + 1):
            index[k] = _fold_tap(start + k, n, mode)
    return True


@part
def de_boor(t, order, weight):  # type: ignore[no-untyped-def] # pragma: no cover
    """Fill in the weights of a point at a distance t, 0 to 1, behind its knot."""
    weight[0] = 1.0
    if order == 1:
        # What is left to one, as scipy rounds it.
        weight[0] = 1.0 - t
        weight[1] = 1.0 - weight[0]
        return
    for k in range(1, order + 1):
        kept, share = 0.0, 1.0 / k
        for r in range(k):
            part = weight[r] * share
            weight[r] = kept + (r + 1 - t) * part
            kept = (k - r - 1 + t) * part
        weight[k] = kept


@part
def _fold(at, n, mode):  # type: ignore[no-untyped-def] # pragma: no cover
    """Return the coordinate inside the image that stands for one outside; -1 for the constant."""
    last = n - 1
    if 0 <= at <= last or at != at:
        return at
    if mode in (NEAREST, GRID_CONSTANT):
        # Taps are brought back one by one; beyond this all are outside.
        return min(max(at, -1e6), last + 1e6)
    if mode == CONSTANT:
        return -1.0
    if mode == EXTENT:
        return min(max(at, 0.0), np.float64(last)) if -0.5 <= at <= last + 0.5 else -1.0
    if n <= 1:
        return 0.0
    if abs(at) > 1e15:
        return -1.0
    if mode == MIRROR:
        return _fold_mirror(at, n)
    if mode == REFLECT:
        return _fold_reflect(at, n)
    if mode == WRAP:
        return at + last * (np.int64(-at / last) + 1) if at < 0 else at - last * np.int64(at / last)
    return at + n * (np.int64((-1 - at) / n) + 1) if at < 0 else at - n * np.int64(at / n)


@part
def _fold_mirror(at, n):  # type: ignore[no-untyped-def] # pragma: no cover
    period = 2 * n - 2
    if at < 0:
        at = period * np.int64(-at / period) + at
        return at + period if at <= 1 - n else -at
    at -= period * np.int64(at / period)
    return period - at if at >= n else at


@part
def _fold_reflect(at, n):  # type: ignore[no-untyped-def] # pragma: no cover
    period = 2 * n
    if at < 0:
        if at < -period:
            at = period * np.int64(-at / period) + at
        # Never quite -1, which would be outside.
        return at + period if at < -n else (1e-15 if at > -1e-15 else -at) - 1
    at -= period * np.int64(at / period)
    return period - at - 1 if at >= n else at


@part
def _fold_tap(at, n, mode):  # type: ignore[no-untyped-def] # pragma: no cover
    if mode == GRID_CONSTANT:
        return at if 0 <= at < n else _BEYOND
    if mode == NEAREST:
        return min(max(at, 0), n - 1)
    if n <= 1:
        return 0
    if mode == GRID_WRAP:
        return at % n
    if mode == REFLECT:
        at = at % (2 * n)
        return min(at, 2 * n - 1 - at)
    at = at % (2 * n - 2)
    return min(at, 2 * n - 2 - at)
