"""What lies beyond the border of an image that is interpolated, and which voxels a stretch of it needs.

Names and meanings are scipy.ndimage's; ``extent`` is ours: half a voxel beyond the outermost centres
still belongs to the image, further out is the constant.
"""

from __future__ import annotations

import math

import numpy as np

from chunkmed.kernels import Array

__all__ = [
    "CODES",
    "CONSTANT",
    "EXTENT",
    "GRID_CONSTANT",
    "GRID_WRAP",
    "MIRROR",
    "NEAREST",
    "REFLECT",
    "WRAP",
    "Runs",
    "leaves",
    "touched",
]

Runs = tuple[tuple[int, int], ...]

CONSTANT, NEAREST, MIRROR, REFLECT, WRAP, GRID_WRAP, GRID_CONSTANT, EXTENT = range(8)
CODES = {
    "constant": CONSTANT,
    "nearest": NEAREST,
    "mirror": MIRROR,
    "reflect": REFLECT,
    "grid-mirror": REFLECT,
    "wrap": WRAP,
    "grid-wrap": GRID_WRAP,
    "grid-constant": GRID_CONSTANT,
    "extent": EXTENT,
}
#: Runs of voxels with a smaller gap between them are read as one.
_GAP = 8


def leaves(low: float, high: float, n: int, order: int) -> bool:
    """Whether splines at coordinates between two reach beyond an axis of n voxels."""
    if not math.isfinite(high - low):
        return True
    start, stop = _reach(low, high, order)
    return start < 0 or stop > n


def touched(low: float, high: float, n: int, mode: int, order: int) -> Runs:
    """Return the runs of voxels that hold all that splines at coordinates between two need.

    Parameters
    ----------
    low, high : float
        Lowest and highest coordinate along the axis.
    n : int
        Voxels of the axis.
    mode : int
        Border mode, a code.
    order : int
        Of the spline.

    Examples
    --------
    >>> touched(2.5, 4.0, 90, MIRROR, 1), touched(-2.0, 4.0, 90, GRID_WRAP, 1)
    (((2, 6),), ((0, 7), (87, 90)))
    """
    if n <= 1:
        return ((0, n),)
    if mode in (CONSTANT, EXTENT):
        if not (high >= -0.5 and low <= n - 0.5):
            return ((0, 1),)
        low, high = min(max(low, 0.0), n - 1.0), min(max(high, 0.0), n - 1.0)
    if not high - low < 2 * n:
        return ((0, n),)
    start, stop = _reach(low, high, order)
    if start >= 0 and stop <= n:
        return ((start, stop),)
    if mode in (NEAREST, GRID_CONSTANT):
        first = min(max(start, 0), n - 1)
        return ((first, max(first + 1, min(stop, n))),)
    # Folded coordinates are rounded to the other side: one more at each end.
    return _runs(_folded(np.arange(start - 1, stop + 1), n, mode, order))


def _reach(low: float, high: float, order: int) -> tuple[int, int]:
    return math.floor(low) - order // 2, math.floor(high) + order // 2 + 2


def _folded(at: Array, n: int, mode: int, order: int) -> Array:
    """Return the voxels that stand for indices that may lie outside."""
    if mode == GRID_WRAP:
        return np.asarray(at % n)
    if mode == REFLECT:
        folded = at % (2 * n)
        return np.asarray(np.minimum(folded, 2 * n - 1 - folded))
    if mode == WRAP:
        # The last voxel is the first one again; at both ends splines are mirrored.
        inside = np.unique(at % (n - 1))
        ends = [np.arange(order + 2), np.arange(n - 2 - order, n)]
        near = [inside[0] <= order, inside[-1] >= n - 2 - order]
        more = [end for end, close in zip(ends, near, strict=True) if close]
        return np.asarray(np.clip(np.concatenate([inside, *more]), 0, n - 1))
    folded = at % (2 * n - 2)
    return np.asarray(np.minimum(folded, 2 * n - 2 - folded))


def _runs(indices: Array) -> Runs:
    ordered = np.unique(indices)
    cuts = np.flatnonzero(np.diff(ordered) > _GAP) + 1
    parts = np.split(ordered, cuts)
    return tuple((int(part[0]), int(part[-1]) + 1) for part in parts)
