"""All mergeable statistics of all labels of one block, in one pass.

Rows are taken run by run of equal labels: what depends on the place of a voxel follows from the ends of
the run, and sums of its values are vectorised. Columns of integers stay exact (int64). Squares are summed
around the first value of each label in the block, so that nothing cancels; blocks are merged by the
formula of Chan, Golub & LeVeque (1983).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import inlined, kernel, part, relaxed
from chunkmed.kernels.groups import Groups, run_ends

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
    scatter: Array
    """(n, 6), sums of products of deviations from the mean index: zz, yy, xx, zy, zx, yx."""

    def __len__(self) -> int:
        return len(self.label)

    @classmethod
    def empty(cls) -> Moments:
        """Return a table without rows."""
        sizes = dict.fromkeys(("start", "stop", "positions", "weighted"), (0, 3)) | {"scatter": (0, 6)}
        return cls(**{f.name: np.zeros(sizes.get(f.name, 0), np.int64) for f in fields(cls)})

    @property
    def objects(self) -> Moments:
        """The rows of labels above zero."""
        return self.rows(self.label > 0)

    def rows(self, which: Array | slice) -> Moments:
        """Return some of the rows."""
        return Moments(**{name: column[which] for name, column in vars(self).items()})


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
    whole, real = np.zeros((n, _WHOLE), np.int64), np.zeros((n, _REAL), np.float64)
    where = groups.base, groups.rows, origin, shape
    if values is None:
        _count_places(groups.ids, *where, slices, whole, real)
        return _without_values(groups.names, whole, real, origin)
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
        _accumulate(groups.ids[part], first, *where, slices[part], plain, zero, whole, real, total, ends)
    return _table(groups.names, whole, real, total, ends, origin)


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return one of four dtypes, so that few kernels are compiled."""
    if dtype.kind == "f":
        return np.dtype(np.float32 if dtype == np.float32 else np.float64)
    return np.dtype(np.int32 if dtype.itemsize < 4 or dtype == np.int32 else np.int64)


#: Values that are converted at a time.
_PIECE = 1 << 18
#: Columns of integers: count, first lowest, first highest, start and stop (3 each), sums of local indices
#: (3) and of their products (zz, yy, xx, zy, zx, yx).
_COUNT, _LOW_AT, _HIGH_AT, _START, _STOP, _SUM, _PRODUCT, _WHOLE = 0, 1, 2, 3, 6, 9, 12, 18
#: Columns of floats: depth, height, weighted height, pivot, sum and squares of what deviates from it,
#: sums of value times index (3).
_DEPTH, _HEIGHT, _WEIGHTED_HEIGHT, _PIVOT, _OFFSET, _SQUARES, _WEIGHTED, _REAL = 0, 1, 2, 3, 4, 5, 6, 9
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def _without_values(names: Array, whole: Array, real: Array, origin: tuple[int, int, int]) -> Moments:
    """Return the table where every value is 1."""
    real[:, _WEIGHTED_HEIGHT] = real[:, _HEIGHT]
    real[:, _WEIGHTED:] = whole[:, _SUM:_PRODUCT] + whole[:, [_COUNT]] * np.array(origin)
    return _table(names, whole, real, whole[:, _COUNT], np.ones((len(names), 2), np.int32), origin)


def _table(
    names: Array, whole: Array, real: Array, total: Array, ends: Array, origin: tuple[int, int, int]
) -> Moments:
    count, sums = whole[:, _COUNT], whole[:, _SUM:_PRODUCT]
    with np.errstate(invalid="ignore"):
        spread = np.maximum(0.0, real[:, _SQUARES] - real[:, _OFFSET] ** 2 / count)
    scatter = whole[:, _PRODUCT:].astype(np.float64)
    for column, (a, b) in enumerate(_PAIRS):
        scatter[:, column] -= sums[:, a].astype(np.float64) * sums[:, b] / count
    return Moments(
        label=names,
        count=count,
        depth=real[:, _DEPTH],
        height=real[:, _HEIGHT],
        total=total,
        spread=spread,
        low=ends[:, 0],
        high=ends[:, 1],
        low_at=whole[:, _LOW_AT],
        high_at=whole[:, _HIGH_AT],
        start=whole[:, _START:_STOP],
        stop=whole[:, _STOP:_SUM],
        positions=sums + count[:, None] * np.array(origin),
        weighted=real[:, _WEIGHTED:],
        weighted_height=real[:, _WEIGHTED_HEIGHT],
        scatter=scatter,
    )


@inlined
def _put_run(whole, real, z, y, x, a, b, row, slices):  # type: ignore[no-untyped-def] # pragma: no cover
    """Count the places of a run of one label: local indices a to b of slice z, row y, corner x."""
    n = b - a
    if whole[_COUNT] == 0:
        whole[_LOW_AT] = whole[_HIGH_AT] = row + a
        whole[_START], whole[_START + 1], whole[_START + 2] = z[1], y[1], x + a
    # z only rises.
    whole[_STOP] = z[1] + 1
    whole[_START + 1] = min(whole[_START + 1], y[1])
    whole[_STOP + 1] = max(whole[_STOP + 1], y[1] + 1)
    whole[_START + 2] = min(whole[_START + 2], x + a)
    whole[_STOP + 2] = max(whole[_STOP + 2], x + b)
    along = (a + b - 1) * n // 2
    # The sum of k * k up to m is m (m + 1) (2 m + 1) / 6.
    squares = ((b - 1) * b * (2 * b - 1) - (a - 1) * a * (2 * a - 1)) // 6
    whole[_COUNT] += n
    whole[_SUM] += n * z[0]
    whole[_SUM + 1] += n * y[0]
    whole[_SUM + 2] += along
    whole[_PRODUCT] += n * z[0] * z[0]
    whole[_PRODUCT + 1] += n * y[0] * y[0]
    whole[_PRODUCT + 2] += squares
    whole[_PRODUCT + 3] += n * z[0] * y[0]
    whole[_PRODUCT + 4] += along * z[0]
    whole[_PRODUCT + 5] += along * y[0]
    real[_DEPTH] += n * slices[0]
    real[_HEIGHT] += n * slices[1]


@kernel
def _count_places(ids, base, rows, origin, shape, slices, whole, real):  # type: ignore[no-untyped-def] # pragma: no cover
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
                    _put_run(whole[o], real[o], z, y, origin[2], a, b, row, slices[i])
                a = b


@kernel
def _accumulate(ids, first, base, rows, origin, shape, slices, values, zero, whole, real, total, ends):  # type: ignore[no-untyped-def] # pragma: no cover
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
                    part, mine, sums = values[i, j, a:b], whole[o], real[o]
                    if mine[_COUNT] == 0:
                        ends[o, 0] = ends[o, 1] = part[0]
                        # A pivot that is no finite number would spoil the rest of its label.
                        sums[_PIVOT] = np.float64(part[0]) if abs(np.float64(part[0])) < np.inf else 0.0
                    _put_run(mine, sums, z, y, origin[2], a, b, row, slices[i])
                    added, offset, squares, moment = _sums(part, origin[2] + a, sums[_PIVOT], zero[0])
                    total[o] += added
                    weight = np.float64(added)
                    sums[_OFFSET] += offset
                    sums[_SQUARES] += squares
                    sums[_WEIGHTED_HEIGHT] += weight * slices[i, 1]
                    sums[_WEIGHTED] += weight * z[1]
                    sums[_WEIGHTED + 1] += weight * y[1]
                    sums[_WEIGHTED + 2] += moment
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
                ends[0], mine[_LOW_AT] = value, place + k
            if value > ends[1] or (value != value and ends[1] == ends[1]):
                ends[1], mine[_HIGH_AT] = value, place + k
        return
    low, high = _lowest_highest(run)
    if low < ends[0]:
        ends[0], mine[_LOW_AT] = low, place + _index_of(run, low)
    if high > ends[1]:
        ends[1], mine[_HIGH_AT] = high, place + _index_of(run, high)


@part
def _index_of(run, value):  # type: ignore[no-untyped-def] # pragma: no cover
    k = 0
    while run[k] != value:
        k += 1
    return k


def merge_moments(parts: list[Moments]) -> Moments:
    """Return the statistics of all blocks of one time point, labels ascending.

    The result does not depend on the order of the parts but in the last bits of floats.
    """
    label = np.concatenate([part.label for part in parts])
    # Stable, which is fast where the parts are sorted.
    order = np.argsort(label, kind="stable")
    label = label[order]
    first = np.flatnonzero(np.concatenate([[True], label[1:] != label[:-1]])[: len(label)])
    sizes = np.diff(np.append(first, len(label)))
    several = sizes > 1
    chosen, split = order[first], order[np.repeat(several, sizes)]
    out, rest = {}, {}
    for name in (f.name for f in fields(Moments)):
        # A column at a time: no second copy of everything.
        column = np.concatenate([getattr(part, name) for part in parts])
        out[name], rest[name] = column[chosen], column[split]
    if len(split):
        # Most labels lie in one block and stay as they are.
        added = _merged(Moments(**rest), sizes[several])
        for name, column in out.items():
            column[several] = getattr(added, name)
    return Moments(**out)


def _merged(every: Moments, sizes: Array) -> Moments:
    """Return a row for each of so many rows that follow one another."""
    first, row = np.cumsum(sizes) - sizes, np.repeat(np.arange(len(sizes)), sizes)
    count, total, positions = (_added(c, first) for c in (every.count, every.total, every.positions))
    with np.errstate(invalid="ignore"):
        gap = every.total / every.count - (total / count)[row]
    low, low_at = _extreme(np.minimum, every.low, every.low_at, first, row)
    high, high_at = _extreme(np.maximum, every.high, every.high_at, first, row)
    return Moments(
        label=every.label[first],
        count=count,
        depth=_added(every.depth, first),
        height=_added(every.height, first),
        total=total,
        spread=_added(every.spread + every.count * gap**2, first),
        low=low,
        high=high,
        low_at=low_at,
        high_at=high_at,
        start=np.minimum.reduceat(every.start, first),
        stop=np.maximum.reduceat(every.stop, first),
        positions=positions,
        weighted=_added(every.weighted, first),
        weighted_height=_added(every.weighted_height, first),
        scatter=_added(every.scatter + _apart(every, positions / count[:, None], row), first),
    )


def _added(column: Array, first: Array) -> Array:
    out: Array = np.add.reduceat(column, first)
    return out


def _apart(every: Moments, means: Array, row: Array) -> Array:
    """Return what the parts of a label add to its scatter because their centres differ."""
    gaps = every.positions / every.count[:, None] - means[row]
    return np.stack([every.count * gaps[:, a] * gaps[:, b] for a, b in _PAIRS], axis=1)


def _extreme(function: np.ufunc, values: Array, at: Array, first: Array, row: Array) -> tuple[Array, Array]:
    """Return the extreme of each label and where it is; of equals the lowest index. NaN is before all."""
    found = function.reduceat(values, first)
    wanted = found[row]
    same = (values == wanted) | ((values != values) & (wanted != wanted))
    return found, np.minimum.reduceat(np.where(same, at, np.iinfo(np.int64).max), first)
