"""Sums of shifted lines in float64, in the order in which scipy.ndimage adds: equal to the last bit."""

from __future__ import annotations

import numpy as np

from chunkmed.kernels.compiled import inlined, part
from chunkmed.kernels.filling import copy
from chunkmed.kernels.lanes import (
    TILE,
    cut_differences,
    cut_in_order,
    cut_pairs,
    differences,
    in_order,
    pairs,
)
from chunkmed.kernels.steps import DIFFERENCES, MEAN, PAIRS

__all__ = ["convert", "cut_taps", "sum_taps", "tap", "taps4"]

_PAIRS, _DIFFERENCES, _MEAN = PAIRS, DIFFERENCES, MEAN


@part
def sum_taps(out, n, lines, first, step, weights, kind):  # type: ignore[no-untyped-def] # pragma: no cover
    """Sum a window of lines: weight k stands for the line that begins k steps on.

    The first n sums are wanted; lines, and the array of sums, hold a tile more than that needs.
    """
    radius, last = weights.shape[0] // 2, weights.shape[0] - 1
    if kind == _MEAN:
        _mean(out[:n], lines[first:], step, weights.shape[0])
    elif kind == _PAIRS:
        for at in range(0, n, TILE):
            pairs(out, at, lines, first + at, step, weights, radius)
    elif kind == _DIFFERENCES:
        for at in range(0, n, TILE):
            differences(out, at, lines, first + at, step, weights, radius)
    else:
        for at in range(0, n, TILE):
            in_order(out, at, lines, first + at, step, weights, last)


@inlined
def cut_taps(out, at, lines, first, step, weights, kind, error):  # type: ignore[no-untyped-def] # pragma: no cover
    """Cut the sums of one tile, in float32, to integers; return whether one is too near to a whole number."""
    radius, last = weights.shape[0] // 2, weights.shape[0] - 1
    if kind == _PAIRS:
        return cut_pairs(out, at, lines, first, step, weights, radius, error)
    if kind == _DIFFERENCES:
        return cut_differences(out, at, lines, first, step, weights, radius, error)
    return cut_in_order(out, at, lines, first, step, weights, last, error)


@part
def _mean(out, lines, step, size):  # type: ignore[no-untyped-def] # pragma: no cover
    k = 1
    copy(out, 0, lines, 0, out.shape[0])
    while k + 4 <= size:
        low = lines[k * step :]
        _add4(out, low, low[step:], low[2 * step :], low[3 * step :])
        k += 4
    while k < size:
        tap(out, lines[k * step :], 1.0)
        k += 1
    _divide(out, np.float64(size))


@part
def tap(out, line, w):  # type: ignore[no-untyped-def] # pragma: no cover
    """Add one weighted line."""
    for i in range(out.shape[0]):
        out[i] += line[i] * w


@part
def taps4(out, a, b, c, d, p, q, r, s):  # type: ignore[no-untyped-def] # pragma: no cover
    """Add four weighted lines, one after the other."""
    for i in range(out.shape[0]):
        out[i] = (((out[i] + a[i] * p) + b[i] * q) + c[i] * r) + d[i] * s


@part
def _add4(out, a, b, c, d):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] = out[i] + a[i] + b[i] + c[i] + d[i]


@part
def _divide(out, by):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] = out[i] / by


@part
def convert(out, to, n, values, start, whole):  # type: ignore[no-untyped-def] # pragma: no cover
    """Write n float64 values as another dtype; ``whole`` says that it is an integer."""
    if not whole:
        copy(out, to, values, start, n)
        return
    # Unsigned, for then numba does not ask whether places count from the end.
    to, start = np.uint64(to), np.uint64(start)
    for i in range(np.uint64(n)):
        # By way of 32 bits, as C does.
        out[to + i] = np.int32(values[start + i])
