"""Weighted sums of small integers, cut to integers: in float32, and in float64 where that is too coarse.

scipy sums in float64 and cuts the fraction off. A sum in float32 whose distance from the nearest integer
is more than its error can be has the same integer part; the others, one in a thousand where images are
noisy and all of them where they are even, are summed again as scipy does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import part
from chunkmed.kernels.lanes import TILE
from chunkmed.kernels.steps import ANY
from chunkmed.kernels.taps import convert, cut_taps, sum_taps

__all__ = ["CHUNK", "COARSE", "ROOM", "error_of", "fill", "fill_rounded", "memory", "peak"]

#: Sums that are made at a time: they stay in the first cache.
CHUNK = 1024
#: What is read and written beyond the lines and sums that are wanted.
ROOM = TILE
#: Where the error may be more than this, nothing is gained.
COARSE = 0.05


def error_of(weights: Sequence[float], kind: int) -> float:
    """Return the largest error of a sum in float32, for integers of at most 1.

    Every operation rounds off half a unit in the last of 24 bits: weights themselves, products, and sums
    of what was added until then. Sums of two integers of 16 bits are exact, but constants beyond the
    border need not be integers.
    """
    sizes = np.abs(np.asarray(weights, np.float64))
    middle = len(sizes) - 1 if kind == ANY else len(sizes) // 2
    others = sizes[:middle] if kind == ANY else sizes[:middle] + sizes[:middle:-1]
    added = np.cumsum([sizes[middle], *others])
    # A little more, for what float64 rounds off.
    return float((added.sum() + 3 * added[-1]) * 2.0**-24 * 1.01)


def memory(dtype: np.dtype[np.generic]) -> tuple[Array, Array, Array]:
    """Return the arrays that sums are made in, those that are made again, and the ends of lines."""
    return np.empty(CHUNK + ROOM), np.empty(ROOM), np.empty(ROOM, dtype)


@part
def peak(lines, n):  # type: ignore[no-untyped-def] # pragma: no cover
    """Return the largest magnitude of n float32 values; NaN is larger than any."""
    bits, most = lines.view(np.int32), np.int32(0)
    for i in range(np.uint64(n)):
        most = max(most, np.int32(bits[i] & 0x7FFFFFFF))
    one = np.empty(1, np.int32)
    one[0] = most
    return one.view(np.float32)[0]


@part
def fill(out, where, sums, lines, lay, weights, kind, whole):  # type: ignore[no-untyped-def] # pragma: no cover
    """Fill rows with sums of lines.

    Parameters
    ----------
    out : ndarray
        Filled in.
    where : tuple of int
        Where the first row begins, and the next one; the length of a row; how many there are.
    sums : ndarray of float64
        Memory.
    lines : ndarray
        What is summed; it holds :data:`ROOM` more than it needs.
    lay : tuple of int
        Where the sums of the first row begin, those of the next, and the next line.
    weights, kind
        As in :func:`chunkmed.kernels.taps.sum_taps`.
    whole : bool
        Whether the result is of integers.
    """
    (to, between, n, rows), (first, pitch, step) = where, lay
    sum_taps(sums, (rows - 1) * pitch + n, lines, first, step, weights, kind)
    for row in range(rows):
        convert(out, to + row * between, n, sums, row * pitch, whole)


@part
def fill_rounded(out, where, tail, again, lines, lay, weights, narrow, kind, error):  # type: ignore[no-untyped-def] # pragma: no cover
    """Fill rows of small integers with sums of float32 lines; return whether most had to be made again.

    Parameters
    ----------
    out, where, lines, lay, weights, kind
        As in :func:`fill`.
    tail, again : ndarray of the result's dtype, of float64
        Memory.
    narrow : ndarray of float32
        The weights.
    error : float32
        How far a sum in float32 may be off.
    """
    (to, between, n, rows), (first, pitch, step) = where, lay
    made_again = 0
    for row in range(rows):
        for at in range(0, n, TILE):
            size, start, place = min(TILE, n - at), first + row * pitch + at, to + row * between + at
            if size == TILE:
                near = cut_taps(out, place, lines, start, step, narrow, kind, error)
            else:
                near = cut_taps(tail, 0, lines, start, step, narrow, kind, error)
                for i in range(size):
                    out[place + i] = tail[i]
            if near:
                sum_taps(again, size, lines, start, step, weights, kind)
                convert(out, place, size, again, 0, True)
                made_again += size
    return 2 * made_again > rows * n
