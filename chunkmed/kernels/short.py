"""Short windows along one axis: rows are summed where they lie, nothing is copied to a buffer first.

Differences, smoothing by 1 2 1 and second differences of small integers are sums in their own dtype:
modulo its range they are what scipy's sums in float64 become when they are cut to it. Sums of floats are
made in float64, in scipy's order, and rounded. Means of small integers are exact sums times a reciprocal,
half a unit off the borders between two results, so that no rounding can cross them; means of floats are
sums in float64 from left to right, divided by their number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import kernel, part
from chunkmed.kernels.filling import pad_line, pad_rows
from chunkmed.kernels.lanes import TILE, threes
from chunkmed.kernels.steps import ANY, DIFFERENCES, SHORT, Step

__all__ = ["run", "takes"]

_SMALL = tuple(np.dtype(name) for name in ("i1", "u1", "i2", "u2"))
_FLOATS = (np.dtype("f4"), np.dtype("f8"))
#: Shorter rows are not worth a loop of their own.
_SHORTEST = 16
#: Sums below this are exact in float32 with a bit for the half, and so is their order with the result.
_MOST = 1 << 21


def takes(step: Step, source: np.dtype[Any], dtype: np.dtype[Any], inner: int, cval: float) -> bool:
    """Whether :func:`run` does a step; ``inner`` are the elements from one voxel to the next."""
    if (
        source != dtype
        or dtype not in (*_SMALL, *_FLOATS)
        or 1 < inner < _SHORTEST
        or not _holds(dtype, cval)
    ):
        return False
    if step.mean:
        small = dtype in _SMALL and len(step.weights) * max(map(abs, _range(dtype))) < _MOST
        return small or dtype in _FLOATS
    if len(step.weights) != SHORT or step.kind == ANY:
        return False
    small = dtype in _SMALL and all(w == int(w) and abs(w) < 1 << 12 for w in step.weights)
    return small or dtype in _FLOATS


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    """Whether a value is one of the dtype."""
    if dtype.kind == "f":
        return bool(dtype.type(value) == value)
    low, high = _range(dtype)
    return low <= value <= high and float(value).is_integer()


def _range(dtype: np.dtype[Any]) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def run(
    source: Array,
    target: Array,
    inner: int,
    index: Array,
    ends: tuple[int, int],
    step: Step,
    cval: float,
) -> None:
    """Do a step.

    Parameters
    ----------
    source : ndarray, shape (outer, n * inner)
        Lines; not the target.
    target : ndarray, shape (outer, m * inner)
        Of the same dtype.
    inner : int
        Elements from one voxel of a line to the next.
    index : ndarray, shape (m + size - 1,)
        Which voxel each place of the lines stands for; below 0 for the constant.
    ends : tuple of int
        First and last place of the index between which it counts up.
    step, cval
        What is done, and the constant.
    """
    flat = source.reshape(-1), target.reshape(-1)
    constant, lay = source.dtype.type(cval), (inner, source.shape[1], target.shape[1])
    if step.mean:
        count, whole = len(step.weights), source.dtype.kind in "iu"
        # A reciprocal for integers, the number itself for floats.
        by = np.float32(1.0) / np.float32(count) if whole else np.float64(count)
        sums = np.empty(len(index) - count + 1 if inner == 1 else inner, np.int32 if whole else np.float64)
        _means(*flat, lay, index, ends, constant, count, sums, by, whole)
        return
    kind: Any = int if source.dtype.kind in "iu" else float
    outer, centre = kind(step.weights[0]), kind(step.weights[1])
    sign = kind(-1 if step.kind == DIFFERENCES else 1)
    _threes(*flat, lay, index, ends, constant, outer, centre, sign)


# Places are unsigned, for then numba does not ask whether they count from the end.


@kernel
def _threes(source, target, lay, index, ends, constant, outer, centre, sign):  # type: ignore[no-untyped-def] # pragma: no cover
    inner, length, made = lay
    buffer = np.empty(5 if inner == 1 else 3 * inner, source.dtype)
    # Sums of neighbours that lie side by side.
    low, high = min(ends[0], made), max(min(ends[0], made), ends[1] - 2)
    for o in range(source.shape[0] // length):
        base, to = o * length, o * made
        if inner == 1:
            if high > low:
                first = base + index[low]
                _three(target, to + low, source, first, first + 1, first + 2, high - low, outer, centre, sign)
            _border(target, to, 0, low, source, base, index, buffer, constant, outer, centre, sign)
            _border(target, to, high, made, source, base, index, buffer, constant, outer, centre, sign)
            continue
        for i in range(made // inner):
            at, place = index[i : i + 3], to + i * inner
            if min(at[0], at[1], at[2]) < 0:
                pad_rows(buffer, 0, source, base, at, 0, 3, inner, inner, constant)
                _three(target, place, buffer, 0, inner, 2 * inner, inner, outer, centre, sign)
            else:
                a, b, c = base + at[0] * inner, base + at[1] * inner, base + at[2] * inner
                _three(target, place, source, a, b, c, inner, outer, centre, sign)


@part
def _border(out, to, start, stop, source, base, index, buffer, constant, outer, centre, sign):  # type: ignore[no-untyped-def] # pragma: no cover
    """Fill in single sums of a line."""
    for i in range(start, stop):
        for k in range(3):
            place = index[i + k]
            buffer[k] = constant if place < 0 else source[base + place]
        _three(out, to + i, buffer, 0, 1, 2, 1, outer, centre, sign)


@part
def _three(out, to, values, a, b, c, n, outer, centre, sign):  # type: ignore[no-untyped-def] # pragma: no cover
    # Tiles, then the rest.
    whole = n // TILE * TILE
    for i in range(0, whole, TILE):
        threes(out, to + i, values, a + i, b + i, c + i, outer, centre, sign)
    for i in range(whole, n):
        out[to + i] = values[b + i] * centre + (values[a + i] + values[c + i] * sign) * outer


@kernel
def _means(source, target, lay, index, ends, constant, size, sums, by, whole):  # type: ignore[no-untyped-def] # pragma: no cover
    inner, length, made = lay
    buffer = np.empty(index.shape[0] if inner == 1 else size * inner, source.dtype)
    places = np.arange(size)
    for o in range(source.shape[0] // length):
        base, to = o * length, o * made
        if inner == 1:
            pad_line(buffer, 0, source, base, index, ends, 1, 1, constant)
            _sum(sums, buffer, 0, places, 1)
            _divide(target, to, sums, by, whole)
            continue
        for i in range(made // inner):
            at = index[i : i + size]
            if at.min() < 0:
                pad_rows(buffer, 0, source, base, at, 0, size, inner, inner, constant)
                _sum(sums, buffer, 0, places, inner)
            else:
                _sum(sums, source, base, at, inner)
            _divide(target, to + i * inner, sums, by, whole)


@part
def _sum(sums, values, base, index, step):  # type: ignore[no-untyped-def] # pragma: no cover
    """Sum rows, from left to right."""
    sums[:] = 0
    k, size = 0, index.shape[0]
    while k + 4 <= size:
        a, b = base + index[k] * step, base + index[k + 1] * step
        _add4(sums, values, a, b, base + index[k + 2] * step, base + index[k + 3] * step)
        k += 4
    while k < size:
        _add(sums, values, base + index[k] * step)
        k += 1


@part
def _add(sums, values, a):  # type: ignore[no-untyped-def] # pragma: no cover
    a = np.uint64(a)
    for i in range(np.uint64(sums.shape[0])):
        sums[i] += values[a + i]


@part
def _add4(sums, values, a, b, c, d):  # type: ignore[no-untyped-def] # pragma: no cover
    a, b, c, d = np.uint64(a), np.uint64(b), np.uint64(c), np.uint64(d)
    for i in range(np.uint64(sums.shape[0])):
        sums[i] = sums[i] + values[a + i] + values[b + i] + values[c + i] + values[d + i]


@part
def _divide(out, to, sums, by, whole):  # type: ignore[no-untyped-def] # pragma: no cover
    to, n = np.uint64(to), np.uint64(sums.shape[0])
    if whole:
        half = np.float32(0.5)
        for i in range(n):
            value = np.float32(sums[i])
            out[to + i] = np.int32((value + (half if value >= 0 else -half)) * by)
    else:
        for i in range(n):
            out[to + i] = sums[i] / by
