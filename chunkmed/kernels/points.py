"""Interpolation at any points: one after the other, each with the weights of its own coordinates.

Splines of order 0 and 1 are added up in scipy.ndimage's order, equal to the last bit; of higher orders
lines are summed first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.borders import CONSTANT, Runs
from chunkmed.kernels.bsplines import de_boor, taps
from chunkmed.kernels.compiled import kernel, part, relaxed

__all__ = ["MOST_AXES", "Places", "interpolate"]

MOST_AXES = 4
#: Points whose weights stay in the processor's first cache.
_BATCH = 128
_INNER, _EDGE, _OUTSIDE = range(3)


class Places:
    """Where voxels of an axis lie in a block that holds some runs of them.

    Parameters
    ----------
    n : int
        Voxels of the axis.
    runs : sequence of (start, stop)
        Those that the block holds, one behind the other.
    """

    def __init__(self, n: int, runs: Runs) -> None:
        self.n = n
        # One more for the constant, which index -1 finds: it lies behind all runs.
        self.table = np.zeros(n + 1, np.int64)
        at = 0
        for start, stop in runs:
            self.table[start:stop] = np.arange(at, at + stop - start)
            at += stop - start
        self.table[n] = at


def interpolate(
    block: Array, places: Sequence[Places], points: Array, order: int, mode: int, cval: float
) -> Array:
    """Return the values at points.

    Parameters
    ----------
    block : ndarray of float32 or float64
        Frames, and one to four axes; contiguous.
    places : sequence of Places
        One for each axis.
    points : ndarray of float64, shape (axes, n)
        Coordinates in the whole image.
    order, mode, cval
        Of the spline; border mode, a code; value of points outside.

    Returns
    -------
    ndarray of float64, shape (frames, n)
    """
    lead = MOST_AXES + 1 - block.ndim
    sizes = np.array([each.n for each in places])
    tables = np.concatenate([each.table for each in places])
    starts = np.cumsum([0] + [each.n + 1 for each in places])
    strides = np.array([stride // block.itemsize for stride in block.strides[1:]])
    frames = block.reshape(len(block), -1)
    out = np.empty((len(block), points.shape[1]))
    _points(frames, tables, starts, sizes, strides, lead, points, order, mode, float(cval), out)
    return out


@kernel
def _points(frames, tables, starts, sizes, strides, lead, points, order, mode, cval, out):  # type: ignore[no-untyped-def] # pragma: no cover
    base, state = np.empty(_BATCH, np.int64), np.empty(_BATCH, np.int32)
    start = np.empty(_BATCH, np.int32)
    weights = np.ones((4, order + 1, _BATCH))
    # Steps from tap to tap; axes that are not there have one tap.
    counts, steps = np.ones(4, np.int64), np.zeros(4, np.int64)
    counts[lead:], steps[lead:] = order + 1, strides
    slow, value = np.empty((4, order + 1), np.int64), np.empty((4, order + 1))
    for first in range(0, out.shape[1], _BATCH):
        count = min(_BATCH, out.shape[1] - first)
        base[:], state[:] = 0, _INNER
        for h in range(sizes.shape[0]):
            table, at = tables[starts[h] : starts[h + 1]], points[h][first : first + count]
            _prepare(
                at, sizes[h], order, mode, table, strides[h], base, state, weights[lead + h], start[:count]
            )
        for f in range(out.shape[0]):
            part = out[f][first : first + count]
            _inner(frames[f], base[:count], state, order, counts, steps, weights, part)
        for i in range(count):
            if state[i] != _INNER:
                inside = state[i] == _EDGE
                for h in range(sizes.shape[0] if inside else 0):
                    inside = inside and taps(points[h, first + i], sizes[h], order, mode, slow[h], value[h])
                    for k in range(order + 1 if inside else 0):
                        at = slow[h, k]
                        slow[h, k] = tables[starts[h] + (at if at >= 0 else sizes[h])] * strides[h]
                for f in range(out.shape[0]):
                    out[f, first + i] = _edge(frames[f], slow, value, sizes.shape[0]) if inside else cval


@part
def _inner(block, base, state, order, counts, steps, weights, out):  # type: ignore[no-untyped-def] # pragma: no cover
    """Sum up the points whose taps all lie inside, along three axes or two mostly."""
    volume, plane = counts[0] == 1 and counts[1] > 1, counts[1] == 1 and counts[2] > 1
    if order == 0:
        for i in range(out.shape[0]):
            out[i] = block[base[i]]
    elif order == 1 and volume:
        _two_cubed(block, base, state, steps[1], steps[2], weights[1], weights[2], weights[3], out)
    elif order == 1 and plane:
        _two_squared(block, base, state, steps[2], weights[2], weights[3], out)
    elif order == 1:
        for i in range(out.shape[0]):
            if state[i] == _INNER:
                out[i] = _two(block, base[i], counts, steps, weights, i)
    elif order == 3 and volume:
        _four_cubed(block, base, state, steps[1], steps[2], weights[1], weights[2], weights[3], out)
    elif order == 3 and plane:
        _four_squared(block, base, state, steps[2], weights[2], weights[3], out)
    else:
        for i in range(out.shape[0]):
            if state[i] == _INNER:
                out[i] = _many(block, base[i], counts, steps, weights, i)


@part
def _prepare(at, n, order, mode, table, stride, base, state, weights, start):  # type: ignore[no-untyped-def] # pragma: no cover
    half = 0.0 if order % 2 else 0.5
    if order == 1:
        _two_weights(at, weights[0], weights[1])
    elif order == 3:
        _four_weights(at, weights[0], weights[1], weights[2], weights[3])
    elif order > 1:
        one = np.empty(order + 1)
        for i in range(at.shape[0]):
            de_boor(at[i] + half - np.floor(at[i] + half), order, one)
            weights[:, i] = one
    _starts(at, half, order, n, mode == CONSTANT, start, state)
    _places(start, table, stride, base)


@part
def _two_weights(at, first, second):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(at.shape[0]):
        first[i] = 1.0 - (at[i] - np.floor(at[i]))
        # What is left to one, as scipy rounds it.
        second[i] = 1.0 - first[i]


@part
def _four_weights(at, a, b, c, d):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(at.shape[0]):
        t = at[i] - np.floor(at[i])
        rest = 1.0 - t
        a[i] = rest * rest * rest * (1 / 6)
        b[i] = 2 / 3 - t * t * (1.0 - 0.5 * t)
        c[i] = 2 / 3 - rest * rest * (1.0 - 0.5 * rest)
        d[i] = t * t * t * (1 / 6)


@part
def _starts(at, half, order, n, constant, start, state):  # type: ignore[no-untyped-def] # pragma: no cover
    """Find the first voxel of every point, and which points are none of the simple ones."""
    behind, last = np.float64(order // 2), np.float64(n - 1)
    highest = last - order
    for i in range(at.shape[0]):
        first = np.floor(at[i] + half) - behind
        within = (at[i] >= 0.0) & (at[i] <= last)
        inner = within & (first >= 0.0) & (first <= highest)
        start[i] = np.int32(first if inner else 0.0)
        kind = _INNER if inner else (_OUTSIDE if constant & (not within) else _EDGE)
        state[i] = max(state[i], kind)


@part
def _places(start, table, stride, base):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(start.shape[0]):
        base[i] += table[start[i]] * stride


@part
def _two(block, base, counts, steps, weights, i):  # type: ignore[no-untyped-def] # pragma: no cover
    total, step = 0.0, steps[3]
    for p in range(counts[0]):
        u = weights[0, p, i]
        for q in range(counts[1]):
            v = weights[1, q, i]
            for r in range(counts[2]):
                w = weights[2, r, i]
                at = base + p * steps[0] + q * steps[1] + r * steps[2]
                total += (((block[at] * u) * v) * w) * weights[3, 0, i]
                total += (((block[at + step] * u) * v) * w) * weights[3, 1, i]
    return total


@part
def _two_squared(block, base, state, row, v, w, out):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        if state[i] == _INNER:
            at, c, d, x, y = base[i], v[0, i], v[1, i], w[0, i], w[1, i]
            total = (block[at] * c) * x
            total += (block[at + 1] * c) * y
            at += row
            total += (block[at] * d) * x
            out[i] = total + (block[at + 1] * d) * y


@part
def _two_cubed(block, base, state, plane, row, u, v, w, out):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        if state[i] == _INNER:
            at, a, b, c, d, x, y = base[i], u[0, i], u[1, i], v[0, i], v[1, i], w[0, i], w[1, i]
            total = ((block[at] * a) * c) * x
            total += ((block[at + 1] * a) * c) * y
            at += row
            total += ((block[at] * a) * d) * x
            total += ((block[at + 1] * a) * d) * y
            at = base[i] + plane
            total += ((block[at] * b) * c) * x
            total += ((block[at + 1] * b) * c) * y
            at += row
            total += ((block[at] * b) * d) * x
            out[i] = total + ((block[at + 1] * b) * d) * y


@relaxed("contract")
def _four_squared(block, base, state, row, v, w, out):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        if state[i] == _INNER:
            # Four sums side by side: one vector.
            a, b, c, d = 0.0, 0.0, 0.0, 0.0
            for q in range(4):
                at, share = base[i] + q * row, v[q, i]
                a += block[at] * share
                b += block[at + 1] * share
                c += block[at + 2] * share
                d += block[at + 3] * share
            out[i] = a * w[0, i] + b * w[1, i] + c * w[2, i] + d * w[3, i]


@relaxed("contract")
def _four_cubed(block, base, state, plane, row, u, v, w, out):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        if state[i] == _INNER:
            # Four sums side by side: one vector.
            a, b, c, d = 0.0, 0.0, 0.0, 0.0
            for p in range(4):
                for q in range(4):
                    at, share = base[i] + p * plane + q * row, u[p, i] * v[q, i]
                    a += block[at] * share
                    b += block[at + 1] * share
                    c += block[at + 2] * share
                    d += block[at + 3] * share
            out[i] = a * w[0, i] + b * w[1, i] + c * w[2, i] + d * w[3, i]


@part
def _many(block, base, counts, steps, weights, i):  # type: ignore[no-untyped-def] # pragma: no cover
    total = 0.0
    for p in range(counts[0]):
        for q in range(counts[1]):
            for r in range(counts[2]):
                at, line = base + p * steps[0] + q * steps[1] + r * steps[2], 0.0
                for s in range(counts[3]):
                    line += block[at + s * steps[3]] * weights[3, s, i]
                total += line * (weights[0, p, i] * weights[1, q, i] * weights[2, r, i])
    return total


@part
def _edge(block, index, weight, ndim):  # type: ignore[no-untyped-def] # pragma: no cover
    count, total = index.shape[1], 0.0
    for tap in range(count**ndim):
        at, rest = 0, tap
        for h in range(ndim - 1, -1, -1):
            at += index[h, rest % count]
            rest //= count
        value, rest, share = np.float64(block[at]), tap, count ** (ndim - 1)
        for h in range(ndim):
            value *= weight[h, rest // share]
            rest, share = rest % share, max(share // count, 1)
        total += value
    return total
