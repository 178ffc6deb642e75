"""All mergeable statistics of all labels of one block, in one pass.

Columns of integers stay exact (int64). Squares are summed around the first value of each label in
the block, so that nothing cancels; blocks are merged by the formula of Chan, Golub & LeVeque (1983).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numba
import numpy as np

from chunkmed.kernels import Array

__all__ = ["Moments", "block_moments", "merge_moments"]


@dataclass(frozen=True)
class Moments:
    """One row per label; positions are global voxel indices z, y, x."""

    label: Array
    count: Array
    depth: Array
    """Sum of the slice depths of all voxels (mm where z is in mm)."""
    height: Array
    """Sum of slice positions (mm where z is in mm)."""
    total: Array
    """Sum of values."""
    spread: Array
    """Sum of squared deviations from the mean."""
    low: Array
    high: Array
    low_at: Array
    """C-order index in the volume of the first voxel with the lowest value."""
    high_at: Array
    start: Array
    """(n, 3), lowest index on each axis."""
    stop: Array
    """(n, 3), one more than the highest index on each axis."""
    positions: Array
    """(n, 3), sum of indices."""
    weighted: Array
    """(n, 3), sum of value times index."""
    weighted_height: Array
    """Sum of value times slice position."""

    def __len__(self) -> int:
        return len(self.label)

    @classmethod
    def empty(cls) -> Moments:
        """Return a table without rows."""
        vectors = ("start", "stop", "positions", "weighted")
        return cls(**{f.name: np.zeros((0, 3) if f.name in vectors else 0, np.int64) for f in fields(cls)})

    @property
    def objects(self) -> Moments:
        """The rows of labels above zero."""
        keep = self.label > 0
        return Moments(**{name: column[keep] for name, column in vars(self).items()})


def block_moments(
    labels: Array, values: Array, origin: tuple[int, int, int], shape: tuple[int, int, int], slices: Array
) -> Moments:
    """Return the statistics of the labels of one block of one time point.

    Parameters
    ----------
    labels : ndarray of integers or bool, shape (z, y, x)
        Every number counts, 0 included.
    values : ndarray, shape (z, y, x)
        May be broadcast (strides of zero).
    origin : tuple of int
        Index of the block's first voxel in the volume.
    shape : tuple of int
        Shape of the volume.
    slices : ndarray of float64, shape (z, 2)
        What one voxel of each slice of the block adds to ``depth`` and to ``height``.
    """
    wide = labels.dtype.itemsize > 4 or labels.dtype == np.uint32
    ids = np.ascontiguousarray(labels.astype(np.int64 if wide else np.int32, copy=False))
    base, top = (int(ids.min()), int(ids.max())) if ids.size else (0, -1)
    if top - base > 4 * ids.size + 1024:
        # Numbers far apart: a dense table would be larger than the block.
        names, inverse = np.unique(ids, return_inverse=True)
        ids, base = inverse.reshape(ids.shape).astype(np.int32), 0
    else:
        names = np.arange(base, top + 1, dtype=np.int64)
    plain, zero = _plain(values)
    columns = _accumulate(ids, base, len(names), plain, zero, origin, shape, slices)
    used = columns[0] > 0
    return Moments(names[used].astype(np.int64), *(column[used] for column in columns))


def _plain(values: Array) -> tuple[Array, Array]:
    """Return values in one of four dtypes, so that few kernels are compiled, and their sum's zero."""
    if values.dtype.kind == "f":
        kept = values.dtype in (np.float32, np.float64)
        return np.ascontiguousarray(values if kept else values.astype(np.float64)), np.zeros(1, np.float64)
    small = values.dtype.itemsize < 4 or values.dtype == np.int32
    return np.ascontiguousarray(values, dtype=np.int32 if small else np.int64), np.zeros(1, np.int64)


@numba.njit(nogil=True, cache=True)
def _accumulate(ids, base, n, values, zero, origin, shape, slices):  # type: ignore[no-untyped-def] # pragma: no cover
    count = np.zeros(n, np.int64)
    depth, height, total = np.zeros(n, np.float64), np.zeros(n, np.float64), np.zeros(n, zero.dtype)
    weighted_height = np.zeros(n, np.float64)
    pivot, low, high = np.zeros(n, values.dtype), np.zeros(n, values.dtype), np.zeros(n, values.dtype)
    offset, squares = np.zeros(n, np.float64), np.zeros(n, np.float64)
    low_at, high_at = np.zeros(n, np.int64), np.zeros(n, np.int64)
    start, stop = np.zeros((n, 3), np.int64), np.zeros((n, 3), np.int64)
    positions, weighted = np.zeros((n, 3), np.int64), np.zeros((n, 3), np.float64)
    for i in range(ids.shape[0]):
        z = i + origin[0]
        for j in range(ids.shape[1]):
            y = j + origin[1]
            row = (z * shape[1] + y) * shape[2] + origin[2]
            for k in range(ids.shape[2]):
                x = k + origin[2]
                o = ids[i, j, k] - base
                v = values[i, j, k]
                if count[o] == 0:
                    pivot[o] = low[o] = high[o] = v
                    low_at[o] = high_at[o] = row + k
                    start[o, 0], start[o, 1], start[o, 2] = z, y, x
                    stop[o, 0], stop[o, 1], stop[o, 2] = z + 1, y + 1, x + 1
                count[o] += 1
                depth[o] += slices[i, 0]
                height[o] += slices[i, 1]
                weighted_height[o] += np.float64(v) * slices[i, 1]
                total[o] += v
                d = np.float64(v) - np.float64(pivot[o])
                offset[o] += d
                squares[o] += d * d
                # A value that is no number stays, as it does in NumPy's min and max.
                if v < low[o] or (v != v and low[o] == low[o]):
                    low[o], low_at[o] = v, row + k
                if v > high[o] or (v != v and high[o] == high[o]):
                    high[o], high_at[o] = v, row + k
                # z and y only rise, and x alone may fall from row to row.
                stop[o, 0] = z + 1
                start[o, 1], stop[o, 1] = min(start[o, 1], y), max(stop[o, 1], y + 1)
                start[o, 2], stop[o, 2] = min(start[o, 2], x), max(stop[o, 2], x + 1)
                positions[o, 0] += z
                positions[o, 1] += y
                positions[o, 2] += x
                weighted[o, 0] += np.float64(v) * z
                weighted[o, 1] += np.float64(v) * y
                weighted[o, 2] += np.float64(v) * x
    spread = np.zeros(n, np.float64)
    for o in range(n):
        if count[o] > 0:
            spread[o] = max(0.0, squares[o] - offset[o] * offset[o] / count[o])
    extremes = (spread, low, high, low_at, high_at)
    return count, depth, height, total, *extremes, start, stop, positions, weighted, weighted_height


def merge_moments(parts: list[Moments]) -> Moments:
    """Return the statistics of all blocks of one time point, labels ascending.

    The result does not depend on the order of the parts but in the last bits of floats.
    """
    every = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Moments)}
    names, row = np.unique(every["label"], return_inverse=True)
    n = len(names)
    count = _added(every["count"], row, n)
    total = _added(every["total"], row, n)
    with np.errstate(invalid="ignore"):
        mean = total / count
        gap = every["total"] / every["count"] - mean[row]
    low, low_at = _extreme(every["low"], every["low_at"], row, n, sign=1)
    high, high_at = _extreme(every["high"], every["high_at"], row, n, sign=-1)
    start, stop = every["start"].copy(), every["stop"].copy()
    return Moments(
        label=names,
        count=count,
        depth=_added(every["depth"], row, n),
        height=_added(every["height"], row, n),
        total=total,
        spread=_added(every["spread"] + every["count"] * gap**2, row, n),
        low=low,
        high=high,
        low_at=low_at,
        high_at=high_at,
        start=_bound(np.minimum, start, row, n),
        stop=_bound(np.maximum, stop, row, n),
        positions=_added(every["positions"], row, n),
        weighted=_added(every["weighted"], row, n),
        weighted_height=_added(every["weighted_height"], row, n),
    )


def _added(column: Array, row: Array, n: int) -> Array:
    out = np.zeros((n, *column.shape[1:]), column.dtype)
    np.add.at(out, row, column)
    return out


def _bound(function: np.ufunc, column: Array, row: Array, n: int) -> Array:
    out = np.zeros((n, *column.shape[1:]), column.dtype)
    # Any member is a fair start: reversed, so that the first of each label stays.
    out[row[::-1]] = column[::-1]
    function.at(out, row, column)
    return out


def _extreme(values: Array, at: Array, row: Array, n: int, *, sign: int) -> tuple[Array, Array]:
    """Return the extreme of each label and where it is; of equals the lowest index."""
    order = np.lexsort((at, _rising(values, sign), row))
    first = np.searchsorted(row[order], np.arange(n))
    chosen = order[first]
    return values[chosen], at[chosen]


def _rising(values: Array, sign: int) -> Array:
    """Return keys whose lowest is the extreme: NaN before all."""
    if values.dtype.kind in "iu":
        return values if sign > 0 else ~values
    return np.where(np.isnan(values), -np.inf, sign * values)
