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
from chunkmed.kernels.steps import ANY, DIFFERENCES, Step

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
    if len(step.weights) != 3 or step.kind == ANY:
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
    constant = np.full(inner, cval, source.dtype)
    if step.mean:
        count, whole = len(step.weights), source.dtype.kind in "iu"
        # A reciprocal for integers, the number itself for floats.
        by = np.float32(1.0) / np.float32(count) if whole else np.float64(count)
        sums = np.empty(len(index) - count + 1 if inner == 1 else inner, np.int32 if whole else np.float64)
        _means(source, target, inner, index, ends, constant, count, sums, by, whole)
        return
    kind: Any = int if source.dtype.kind in "iu" else float
    outer, centre = kind(step.weights[0]), kind(step.weights[1])
    sign = kind(-1 if step.kind == DIFFERENCES else 1)
    _threes(source, target, inner, index, ends, constant, outer, centre, sign)


@kernel
def _threes(source, target, inner, index, ends, constant, outer, centre, sign):  # type: ignore[no-untyped-def] # pragma: no cover
    length = target.shape[1] // inner
    buffer = np.empty(index.shape[0], source.dtype)
    for o in range(source.shape[0]):
        line, out = source[o], target[o]
        if inner == 1:
            _padded(buffer, line, index, ends, constant[0])
            _three(out, buffer, buffer[1:], buffer[2:], outer, centre, sign)
        else:
            for i in range(length):
                a = _row(line, index[i], inner, constant)
                b = _row(line, index[i + 1], inner, constant)
                c = _row(line, index[i + 2], inner, constant)
                _three(out[i * inner : (i + 1) * inner], a, b, c, outer, centre, sign)


@part
def _row(line, at, inner, constant):  # type: ignore[no-untyped-def] # pragma: no cover
    return constant if at < 0 else line[at * inner : (at + 1) * inner]


@part
def _padded(buffer, line, index, ends, constant):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(ends[0]):
        buffer[i] = constant if index[i] < 0 else line[index[i]]
    if ends[0] < ends[1]:
        _copy(buffer[ends[0] : ends[1]], line[index[ends[0]] :])
    for i in range(ends[1], index.shape[0]):
        buffer[i] = constant if index[i] < 0 else line[index[i]]


@part
def _copy(out, values):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] = values[i]


@part
def _three(out, a, b, c, outer, centre, sign):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] = b[i] * centre + (a[i] + c[i] * sign) * outer


@kernel
def _means(source, target, inner, index, ends, constant, size, sums, by, whole):  # type: ignore[no-untyped-def] # pragma: no cover
    length = target.shape[1] // inner
    buffer = np.empty(index.shape[0], source.dtype)
    for o in range(source.shape[0]):
        line, out = source[o], target[o]
        if inner == 1:
            _padded(buffer, line, index, ends, constant[0])
            sums[:] = 0
            k = 0
            while k + 4 <= size:
                _add4(sums, buffer[k:], buffer[k + 1 :], buffer[k + 2 :], buffer[k + 3 :])
                k += 4
            while k < size:
                _add(sums, buffer[k:])
                k += 1
            _divide(out, sums, by, whole)
        else:
            for i in range(length):
                _sum_rows(sums, line, index[i : i + size], inner, constant)
                _divide(out[i * inner : (i + 1) * inner], sums, by, whole)


@part
def _sum_rows(sums, line, index, inner, constant):  # type: ignore[no-untyped-def] # pragma: no cover
    sums[:] = 0
    k, size = 0, index.shape[0]
    while k + 4 <= size:
        a, b = _row(line, index[k], inner, constant), _row(line, index[k + 1], inner, constant)
        c, d = _row(line, index[k + 2], inner, constant), _row(line, index[k + 3], inner, constant)
        _add4(sums, a, b, c, d)
        k += 4
    while k < size:
        _add(sums, _row(line, index[k], inner, constant))
        k += 1


@part
def _add(sums, values):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(sums.shape[0]):
        sums[i] += values[i]


@part
def _add4(sums, a, b, c, d):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(sums.shape[0]):
        sums[i] = sums[i] + a[i] + b[i] + c[i] + d[i]


@part
def _divide(out, sums, by, whole):  # type: ignore[no-untyped-def] # pragma: no cover
    if whole:
        half = np.float32(0.5)
        for i in range(out.shape[0]):
            value = np.float32(sums[i])
            out[i] = np.int32((value + (half if value >= 0 else -half)) * by)
    else:
        for i in range(out.shape[0]):
            out[i] = sums[i] / by
