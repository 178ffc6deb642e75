"""Statistics along one axis, piece after piece: memory does not grow with the length of the axis.

Six numbers of every voxel, as float64 on a leading axis: the count of values, the first one, the sums
of the differences from it and of their squares (nothing cancels; sums of integers below 2**53 are
exact), the lowest and the highest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import kernel, part

__all__ = ["FIELDS", "add", "empty", "maximum", "mean", "minimum", "total", "variance"]

#: Length of the leading axis.
FIELDS = 6
_TILE = 512
_COUNT, _FIRST, _SHIFTED, _SQUARES, _LOW, _HIGH = range(FIELDS)


def empty(shape: Sequence[int]) -> Array:
    """Return the statistics of nothing."""
    return np.zeros((FIELDS, *shape))


def add(statistics: Array, values: Array, skipna: bool) -> None:
    """Add values to statistics, in place.

    Parameters
    ----------
    statistics : ndarray, shape (6, ...)
        What :func:`empty` gave.
    values : ndarray, shape (n, ...)
        n values of every voxel.
    skipna : bool
        Whether NaN is left out, or makes the result NaN.
    """
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    plain = np.ascontiguousarray(native.reshape(len(values), -1))
    _add_tiles(statistics.reshape(FIELDS, -1), plain, skipna)


@kernel
def _add_tiles(statistics, values, skipna):  # type: ignore[no-untyped-def] # pragma: no cover
    # So few voxels at a time that their statistics stay in the processor's first cache.
    for start in range(0, values.shape[1], _TILE):
        stop = min(start + _TILE, values.shape[1])
        # Rows of their own: a slice of all six would not be contiguous to numba.
        count, first = statistics[0][start:stop], statistics[1][start:stop]
        shifted, squares = statistics[2][start:stop], statistics[3][start:stop]
        low, high = statistics[4][start:stop], statistics[5][start:stop]
        for i in range(values.shape[0]):
            _add(count, first, shifted, squares, low, high, values[i][start:stop], skipna)


@part
def _add(count, first, shifted, squares, low, high, row, skipna):  # type: ignore[no-untyped-def] # pragma: no cover
    # Choices instead of branches: LLVM vectorises the loop. NaN differs from itself.
    for x in range(len(row)):
        value = np.float64(row[x])
        counts = (value == value) | (not skipna)
        fresh = count[x] == 0
        # From an infinite first value all differences would be NaN.
        start = (value if abs(value) < np.inf else 0.0) if fresh else first[x]
        difference = value - start if counts else 0.0
        lower = fresh | ((low[x] == low[x]) & (not value >= low[x]))
        higher = fresh | ((high[x] == high[x]) & (not value <= high[x]))
        first[x] = start if counts else first[x]
        count[x] += 1.0 if counts else 0.0
        shifted[x] += difference
        squares[x] += difference * difference
        low[x] = value if counts & lower else low[x]
        high[x] = value if counts & higher else high[x]


# In place below: on large blocks the memory of every intermediate costs more than its arithmetic.


def total(statistics: Array) -> Array:
    """Return the sum, exact for integers."""
    out = statistics[_COUNT] * statistics[_FIRST]
    out += statistics[_SHIFTED]
    return np.asarray(out)


def mean(statistics: Array) -> Array:
    """Return the mean; NaN where there is no value."""
    out = total(statistics)
    with np.errstate(invalid="ignore", divide="ignore"):
        out /= statistics[_COUNT]
    return out


def variance(statistics: Array, ddof: float = 0) -> Array:
    """Return the variance; NaN where there are fewer values than ``ddof``."""
    count = statistics[_COUNT]
    out = np.square(statistics[_SHIFTED])
    with np.errstate(invalid="ignore", divide="ignore"):
        out /= count
        np.subtract(statistics[_SQUARES], out, out=out)
        # Rounding may leave a little less than nothing.
        np.maximum(out, 0.0, out=out)
        rest = count - ddof
        rest[rest < 0] = np.nan
        out /= rest
    return np.asarray(out)


def minimum(statistics: Array) -> Array:
    """Return the lowest value; NaN where there is none."""
    return np.where(statistics[_COUNT] > 0, statistics[_LOW], np.nan)


def maximum(statistics: Array) -> Array:
    """Return the highest value; NaN where there is none."""
    return np.where(statistics[_COUNT] > 0, statistics[_HIGH], np.nan)
