"""Sums of shifted lines in float64, in the order in which scipy.ndimage adds: equal to the last bit."""

from __future__ import annotations

import numpy as np

from chunkmed.kernels.compiled import part
from chunkmed.kernels.steps import DIFFERENCES, MEAN, PAIRS

__all__ = ["convert", "sum_taps", "tap", "taps4"]

_PAIRS, _DIFFERENCES, _MEAN = PAIRS, DIFFERENCES, MEAN


@part
def sum_taps(out, lines, step, weights, kind):  # type: ignore[no-untyped-def] # pragma: no cover
    """Sum a window of lines: weight k stands for the line that begins k steps on."""
    if kind == _PAIRS:
        _pairs(out, lines, step, weights, True)
    elif kind == _DIFFERENCES:
        _pairs(out, lines, step, weights, False)
    elif kind == _MEAN:
        _mean(out, lines, step, weights.shape[0])
    else:
        _in_order(out, lines, step, weights)


@part
def _pairs(out, lines, step, weights, added):  # type: ignore[no-untyped-def] # pragma: no cover
    radius = weights.shape[0] // 2
    _centre(out, lines[radius * step :], weights[radius])
    k = 0
    # Four pairs at a time: the compiler checks no more arrays for overlap before it gives up.
    while k + 4 <= radius:
        low, high = lines[k * step :], lines[(2 * radius - k - 3) * step :]
        b, c, d, f, g = low[step:], low[2 * step :], low[3 * step :], high[2 * step :], high[step:]
        p, q, r, s = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        if added:
            _four(out, low, b, c, d, high[3 * step :], f, g, high, p, q, r, s)
        else:
            _four_less(out, low, b, c, d, high[3 * step :], f, g, high, p, q, r, s)
        k += 4
    while k < radius:
        low, high = lines[k * step :], lines[(2 * radius - k) * step :]
        if added:
            _one(out, low, high, weights[k])
        else:
            _one_less(out, low, high, weights[k])
        k += 1


@part
def _in_order(out, lines, step, weights):  # type: ignore[no-untyped-def] # pragma: no cover
    # The last one comes first, then the others from left to right.
    last = weights.shape[0] - 1
    _centre(out, lines[last * step :], weights[last])
    k = 0
    while k + 4 <= last:
        low, w = lines[k * step :], weights[k : k + 4]
        taps4(out, low, low[step:], low[2 * step :], low[3 * step :], w[0], w[1], w[2], w[3])
        k += 4
    while k < last:
        tap(out, lines[k * step :], weights[k])
        k += 1


@part
def _mean(out, lines, step, size):  # type: ignore[no-untyped-def] # pragma: no cover
    k = 1
    _centre(out, lines, 1.0)
    while k + 4 <= size:
        low = lines[k * step :]
        _add4(out, low, low[step:], low[2 * step :], low[3 * step :])
        k += 4
    while k < size:
        tap(out, lines[k * step :], 1.0)
        k += 1
    _divide(out, np.float64(size))


@part
def _centre(out, line, w):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] = line[i] * w


@part
def _one(out, a, b, w):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] += (a[i] + b[i]) * w


@part
def _one_less(out, a, b, w):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] += (a[i] - b[i]) * w


@part
def _four(out, a, b, c, d, e, f, g, h, p, q, r, s):  # type: ignore[no-untyped-def] # pragma: no cover
    # One addition after the other, as scipy adds: any other order rounds differently.
    for i in range(out.shape[0]):
        out[i] = (((out[i] + (a[i] + e[i]) * p) + (b[i] + f[i]) * q) + (c[i] + g[i]) * r) + (d[i] + h[i]) * s


@part
def _four_less(out, a, b, c, d, e, f, g, h, p, q, r, s):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] = (((out[i] + (a[i] - e[i]) * p) + (b[i] - f[i]) * q) + (c[i] - g[i]) * r) + (d[i] - h[i]) * s


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
def convert(out, values, whole):  # type: ignore[no-untyped-def] # pragma: no cover
    """Write float64 values as another dtype; ``whole`` says that it is an integer."""
    if whole:
        for i in range(out.shape[0]):
            # By way of 32 bits, as C does.
            out[i] = np.int32(values[i])
    else:
        for i in range(out.shape[0]):
            out[i] = values[i]
