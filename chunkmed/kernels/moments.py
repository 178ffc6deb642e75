"""All mergeable statistics of all labels of one block, in one pass.

Rows are taken run by run of equal labels: what depends on the place of a voxel follows from the ends of
the run, and sums of its values are vectorised. Columns of integers stay exact (int64). Squares are summed
around the first value of each label in the block, so that nothing cancels; tables are merged in
:mod:`chunkmed.kernels.joined`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import inlined, kernel, part, relaxed
from chunkmed.kernels.groups import Groups, run_ends

__all__ = ["COUNT", "HIGH_AT", "LOW_AT", "SCATTER", "SPREAD", "START", "WEIGHTED", "Moments", "block_moments"]


#: Columns of integers: voxels, first lowest, first highest, then start, stop and sums of indices (local ones
#: while a block is gone through), as many as there are axes.
COUNT, LOW_AT, HIGH_AT, START = 0, 1, 2, 3
_STOP, _SUM = START + 3, START + 6
#: Columns of floats: depth, height, weighted height, spread (squares of what deviates from the pivot while a
#: block is gone through), scatter, sums of value times index.
DEPTH, HEIGHT, WEIGHTED_HEIGHT, SPREAD, SCATTER, WEIGHTED = 0, 1, 2, 3, 4, 10
#: Where scatter will be: the pivot, and the sum of what deviates from it.
_PIVOT, _OFFSET = SCATTER, SCATTER + 1


@dataclass(frozen=True)
class Moments:
    """One row per label; positions are global voxel indices z, y, x, after those of outer axes.

    Columns that are made and merged together lie together.
    """

    label: Array
    whole: Array
    """int64, (n, 3 + 3 axes): what has a name below."""
    real: Array
    """float64, (n, 10 + axes)."""
    total: Array
    """Sum of values."""
    ends: Array
    """(n, 2), lowest and highest value."""

    def __len__(self) -> int:
        return len(self.label)

    @property
    def axes(self) -> int:
        """Number of axes of a position."""
        return int(self.real.shape[1]) - WEIGHTED

    @property
    def count(self) -> Array:
        """Number of voxels."""
        return self.whole[:, COUNT]

    @property
    def low_at(self) -> Array:
        """C-order index in the volume of the first voxel with the lowest value."""
        return self.whole[:, LOW_AT]

    @property
    def high_at(self) -> Array:
        """The same of the highest value."""
        return self.whole[:, HIGH_AT]

    @property
    def start(self) -> Array:
        """(n, axes), lowest index on each axis."""
        return self._indices(0)

    @property
    def stop(self) -> Array:
        """(n, axes), one more than the highest index on each axis."""
        return self._indices(1)

    @property
    def positions(self) -> Array:
        """(n, axes), sum of indices."""
        return self._indices(2)

    def _indices(self, which: int) -> Array:
        first = START + which * self.axes
        return self.whole[:, first : first + self.axes]

    @property
    def depth(self) -> Array:
        """Sum of the slice depths of all voxels (mm where z is in mm)."""
        return self.real[:, DEPTH]

    @property
    def height(self) -> Array:
        """Sum of slice positions (mm where z is in mm)."""
        return self.real[:, HEIGHT]

    @property
    def weighted_height(self) -> Array:
        """Sum of value times slice position."""
        return self.real[:, WEIGHTED_HEIGHT]

    @property
    def spread(self) -> Array:
        """Sum of squared deviations from the mean."""
        return self.real[:, SPREAD]

    @property
    def scatter(self) -> Array:
        """(n, 6), sums of products of deviations from the mean index: zz, yy, xx, zy, zx, yx."""
        return self.real[:, SCATTER:WEIGHTED]

    @property
    def weighted(self) -> Array:
        """(n, axes), sum of value times index."""
        return self.real[:, WEIGHTED:]

    @property
    def low(self) -> Array:
        """Lowest value."""
        return self.ends[:, 0]

    @property
    def high(self) -> Array:
        """Highest value."""
        return self.ends[:, 1]

    @classmethod
    def empty(cls) -> Moments:
        """Return a table without rows."""
        none = np.zeros(0, np.int64)
        whole, real = np.zeros((0, START + 9), np.int64), np.zeros((0, WEIGHTED + 3))
        return cls(none, whole, real, none, np.zeros((0, 2), np.int64))

    @property
    def objects(self) -> Moments:
        """The rows of labels above zero."""
        return self.rows(self.label > 0)

    def rows(self, which: Array | slice) -> Moments:
        """Return some of the rows."""
        return Moments(**{name: columns[which] for name, columns in vars(self).items()})

    def within(self, outer: tuple[int, ...], before: int) -> Moments:
        """Return the table of a volume that lies at an index along outer axes, after so many voxels."""
        at = np.broadcast_to(np.array(outer, np.int64), (len(self), len(outer)))
        places = self.whole[:, :START] + np.array([0, before, before])
        indices = (at, self.start, at + 1, self.stop, at * self.count[:, None], self.positions)
        weighted = at * self.total[:, None].astype(np.float64)
        real = (self.real[:, :WEIGHTED], weighted, self.weighted)
        return replace(
            self, whole=np.concatenate([places, *indices], axis=1), real=np.concatenate(real, axis=1)
        )


def block_moments(
    groups: Groups,
    values: Array | None,
    origin: tuple[int, int, int],
    shape: tuple[int, int, int],
    slices: Array,
) -> Moments:
    """Return the statistics of the labels of one block of one time point.

    Parameters
    ----------
    groups : Groups
        Labels, shape (z, y, x).
    values : ndarray, shape (z, y, x), optional
        1 everywhere where there are none.
    origin : tuple of int
        Index of the block's first voxel in the volume.
    shape : tuple of int
        Shape of the volume.
    slices : ndarray of float64, shape (z, 2)
        What one voxel of each slice of the block adds to ``depth`` and to ``height``.
    """
    n = len(groups)
    whole, products = np.zeros((n, START + 9), np.int64), np.zeros((n, 6), np.int64)
    real = np.zeros((n, WEIGHTED + 3), np.float64)
    where, sums = (groups.base, groups.rows, origin, shape), (whole, products, real)
    if values is None:
        _count_places(groups.ids, where, slices, sums)
        _finish(*sums, origin)
        return _without_values(groups.names, whole, real)
    dtype = _plain(values.dtype)
    zero = np.zeros(1, np.float64 if dtype.kind == "f" else np.int64)
    total, ends = np.zeros(n, zero.dtype), np.zeros((n, 2), dtype)
    same = values.dtype == dtype
    step = max(1, len(values) if same else _PIECE // max(1, values[:1].size))
    # Copies are made some slices at a time, in the same memory, and stay in the cache.
    copy = np.empty((0 if same else min(step, len(values)), *values.shape[1:]), dtype)
    for first in range(0, len(values), step):
        part = slice(first, first + step)
        plain = np.ascontiguousarray(values[part]) if same else copy[: len(values[part])]
        if not same:
            np.copyto(plain, values[part], casting="unsafe")
        _accumulate(groups.ids[part], first, where, slices[part], plain, zero, sums, total, ends)
    _finish(*sums, origin)
    return Moments(groups.names, whole, real, total, ends)


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return one of four dtypes, so that few kernels are compiled."""
    if dtype.kind == "f":
        return np.dtype(np.float32 if dtype == np.float32 else np.float64)
    return np.dtype(np.int32 if dtype.itemsize < 4 or dtype == np.int32 else np.int64)


#: Values that are converted at a time.
_PIECE = 1 << 18


def _without_values(names: Array, whole: Array, real: Array) -> Moments:
    """Return the table where every value is 1."""
    ones = Moments(names, whole, real, whole[:, COUNT].copy(), np.ones((len(names), 2), np.int32))
    ones.weighted_height[...], ones.weighted[...] = ones.height, ones.positions
    return ones


@kernel
def _finish(whole, products, real, origin):  # type: ignore[no-untyped-def] # pragma: no cover
    """Make spread and scatter of sums of squares, and global indices of local ones."""
    for o in range(len(whole)):
        mine, sums, scatter = whole[o], real[o], real[o, SCATTER:]
        count = np.float64(mine[COUNT])
        spread = sums[SPREAD] - sums[_OFFSET] * sums[_OFFSET] / count
        # NaN stays.
        sums[SPREAD] = 0.0 if spread < 0 else spread
        z, y, x = np.float64(mine[_SUM]), np.float64(mine[_SUM + 1]), np.float64(mine[_SUM + 2])
        scatter[0] = products[o, 0] - z * z / count
        scatter[1] = products[o, 1] - y * y / count
        scatter[2] = products[o, 2] - x * x / count
        scatter[3] = products[o, 3] - z * y / count
        scatter[4] = products[o, 4] - z * x / count
        scatter[5] = products[o, 5] - y * x / count
        for axis in range(3):
            mine[_SUM + axis] += mine[COUNT] * origin[axis]


@inlined
def _put_run(whole, products, real, z, y, x, a, b, row, slices):  # type: ignore[no-untyped-def] # pragma: no cover
    """Count the places of a run of one label: local indices a to b of slice z, row y, corner x."""
    n = b - a
    if whole[COUNT] == 0:
        whole[LOW_AT] = whole[HIGH_AT] = row + a
        whole[START], whole[START + 1], whole[START + 2] = z[1], y[1], x + a
    # z only rises.
    whole[_STOP] = z[1] + 1
    whole[START + 1] = min(whole[START + 1], y[1])
    whole[_STOP + 1] = max(whole[_STOP + 1], y[1] + 1)
    whole[START + 2] = min(whole[START + 2], x + a)
    whole[_STOP + 2] = max(whole[_STOP + 2], x + b)
    along = (a + b - 1) * n // 2
    # The sum of k * k up to m is m (m + 1) (2 m + 1) / 6.
    squares = ((b - 1) * b * (2 * b - 1) - (a - 1) * a * (2 * a - 1)) // 6
    whole[COUNT] += n
    whole[_SUM] += n * z[0]
    whole[_SUM + 1] += n * y[0]
    whole[_SUM + 2] += along
    products[0] += n * z[0] * z[0]
    products[1] += n * y[0] * y[0]
    products[2] += squares
    products[3] += n * z[0] * y[0]
    products[4] += along * z[0]
    products[5] += along * y[0]
    real[DEPTH] += n * slices[0]
    real[HEIGHT] += n * slices[1]


@kernel
def _count_places(ids, where, slices, sums):  # type: ignore[no-untyped-def] # pragma: no cover
    base, rows, origin, shape = where
    whole, products, real = sums
    stops = np.empty(ids.shape[2] + 1, np.int64)
    for i in range(ids.shape[0]):
        z = i, i + origin[0]
        for j in range(ids.shape[1]):
            y = j, j + origin[1]
            row = (z[1] * shape[1] + y[1]) * shape[2] + origin[2]
            line, a = ids[i, j], 0
            for run in range(run_ends(line, stops)):
                b, o = stops[run], rows[line[a] - base]
                if o >= 0:
                    _put_run(whole[o], products[o], real[o], z, y, origin[2], a, b, row, slices[i])
                a = b


@kernel
def _accumulate(ids, first, where, slices, values, zero, sums, total, ends):  # type: ignore[no-untyped-def] # pragma: no cover
    base, rows, origin, shape = where
    whole, products, real = sums
    stops = np.empty(ids.shape[2] + 1, np.int64)
    for i in range(ids.shape[0]):
        z = first + i, first + i + origin[0]
        for j in range(ids.shape[1]):
            y = j, j + origin[1]
            row = (z[1] * shape[1] + y[1]) * shape[2] + origin[2]
            line, a = ids[i, j], 0
            for run in range(run_ends(line, stops)):
                b, o = stops[run], rows[line[a] - base]
                if o >= 0:
                    part, mine, floats = values[i, j, a:b], whole[o], real[o]
                    if mine[COUNT] == 0:
                        ends[o, 0] = ends[o, 1] = part[0]
                        # A pivot that is no finite number would spoil the rest of its label.
                        floats[_PIVOT] = np.float64(part[0]) if abs(np.float64(part[0])) < np.inf else 0.0
                    _put_run(mine, products[o], floats, z, y, origin[2], a, b, row, slices[i])
                    added, offset, squares, moment = _sums(part, origin[2] + a, floats[_PIVOT], zero[0])
                    total[o] += added
                    weight = np.float64(added)
                    floats[_OFFSET] += offset
                    floats[SPREAD] += squares
                    floats[WEIGHTED_HEIGHT] += weight * slices[i, 1]
                    floats[WEIGHTED] += weight * z[1]
                    floats[WEIGHTED + 1] += weight * y[1]
                    floats[WEIGHTED + 2] += moment
                    _put_ends(mine, ends[o], part, row + a, added != added)
                a = b


@relaxed("reassoc")
def _sums(run, start, pivot, zero):  # type: ignore[no-untyped-def] # pragma: no cover
    total, offset, squares, moment = zero, 0.0, 0.0, 0.0
    for k in range(len(run)):
        value = np.float64(run[k])
        total += run[k]
        off = value - pivot
        offset += off
        squares += off * off
        moment += value * (start + k)
    return total, offset, squares, moment


@relaxed("nnan", "nsz")
def _lowest_highest(run):  # type: ignore[no-untyped-def] # pragma: no cover
    low = high = run[0]
    for k in range(1, len(run)):
        low, high = min(low, run[k]), max(high, run[k])
    return low, high


@part
def _put_ends(mine, ends, run, place, odd):  # type: ignore[no-untyped-def] # pragma: no cover
    if odd:
        # A value that is no number stays, as it does in NumPy's min and max.
        for k in range(len(run)):
            value = run[k]
            if value < ends[0] or (value != value and ends[0] == ends[0]):
                ends[0], mine[LOW_AT] = value, place + k
            if value > ends[1] or (value != value and ends[1] == ends[1]):
                ends[1], mine[HIGH_AT] = value, place + k
        return
    low, high = _lowest_highest(run)
    if low < ends[0]:
        ends[0], mine[LOW_AT] = low, place + _index_of(run, low)
    if high > ends[1]:
        ends[1], mine[HIGH_AT] = high, place + _index_of(run, high)


@part
def _index_of(run, value):  # type: ignore[no-untyped-def] # pragma: no cover
    k = 0
    while run[k] != value:
        k += 1
    return k
