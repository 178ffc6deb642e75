"""One axis of a correlation: lines are copied to a buffer, padded, and summed there.

scipy adds in float64, in a fixed order, and rounds to the output's dtype after every axis. Here lines
along the axis are put side by side in a buffer, padded as the border mode says; a tap is then a shift of
the whole buffer, whatever the axis, and sums run over contiguous memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chunkmed.kernels import Array, short
from chunkmed.kernels.compiled import kernel, part
from chunkmed.kernels.filling import pad_line
from chunkmed.kernels.outside import standing_for
from chunkmed.kernels.rounded import CHUNK, COARSE, ROOM, error_of, fill, fill_rounded, memory, peak
from chunkmed.kernels.steps import MEAN, Step

__all__ = ["along", "is_short"]

_SMALL = tuple(np.dtype(name) for name in ("i1", "u1", "i2", "u2"))
#: Elements of the buffer: half a megabyte at most, a part of the processor's second cache.
_BUFFER = 1 << 16
_NARROWEST = 256
#: How often sums are made in float64 at once where those in float32 were of no use.
_EXACT = 7
#: Elements of short lines that are summed at a time.
_BATCH = 4096


def is_short(each: Step, block: Array, dtype: np.dtype[Any], cval: float) -> bool:
    """Whether a step is done on rows where they lie: its result can't be where its input is."""
    return short.takes(each, block.dtype, dtype, math.prod(block.shape[each.axis + 1 :]), cval)


def along(block: Array, each: Step, cval: float, span: tuple[int, int], out: Array) -> None:
    """Do one step.

    Parameters
    ----------
    block : ndarray
        Of a dtype that is supported, contiguous.
    each : Step
        What is done.
    cval : float
        What lies beyond the border in mode ``constant``.
    span : tuple of int
        The part along the axis that is wanted.
    out : ndarray
        Filled in: the shape of the block but for the axis, contiguous, of a dtype that is supported. It may
        begin where the block does where lines are long and dtypes the same.
    """
    n, (start, stop) = block.shape[each.axis], span
    index = standing_for(np.arange(start - each.lead, stop + each.trail), n, each.mode)
    lead, tail = max(0, each.lead - start), max(0, stop + each.trail - n)
    outer, inner = math.prod(block.shape[: each.axis]), math.prod(block.shape[each.axis + 1 :])
    ends = (min(lead, len(index)), max(len(index) - tail, min(lead, len(index))))
    source, target = block.reshape(outer, n * inner), out.reshape(outer, (stop - start) * inner)
    if is_short(each, block, out.dtype, cval):
        short.run(source, target, inner, index, ends, each, cval)
    else:
        _long(source, target, inner, index, ends, each, cval)


def _long(
    source: Array, target: Array, inner: int, index: Array, ends: tuple[int, int], each: Step, cval: float
) -> None:
    """Do a step on lines that are copied first."""
    single = _single(source.dtype, cval, constant=bool((index < 0).any()))
    weights = np.asarray(each.weights, np.float64)
    rounded = single and each.kind != MEAN and source.dtype.kind in "iu" and target.dtype in _SMALL
    with np.errstate(over="ignore"):
        # What is too large becomes infinite: then the error is, and nothing is made in float32.
        narrow = weights.astype(np.float32) if rounded else None
        error = np.float32(error_of(each.weights, each.kind))
    width = _narrowed(len(index), inner)
    lines = max(1, min(len(source), _BATCH // (len(index) * inner))) if width == inner else 1
    buffer = np.zeros(lines * len(index) * width + ROOM, np.float32 if single else np.float64)
    lay = inner, width, lines, source.shape[1], target.shape[1], target.dtype.kind in "iu"
    how = weights, narrow, each.kind, error
    _run(
        source.reshape(-1),
        target.reshape(-1),
        index,
        ends,
        float(cval),
        *how,
        buffer,
        *memory(target.dtype),
        lay,
    )


def _single(dtype: np.dtype[Any], cval: float, *, constant: bool) -> bool:
    """Whether float32 holds all that is summed."""
    return (dtype in _SMALL or dtype == np.float32) and (not constant or float(np.float32(cval)) == cval)


def _narrowed(length: int, inner: int) -> int:
    """Return how many lines side by side fit the buffer."""
    if length * inner <= _BUFFER:
        return inner
    widest = min(max(_NARROWEST, _BUFFER // length), CHUNK)
    # Strips of nearly the same width.
    return -(-inner // -(-inner // widest))


@kernel
def _run(source, target, index, ends, cval, weights, narrow, kind, error, buffer, sums, again, tail, lay):  # type: ignore[no-untyped-def] # pragma: no cover
    inner, width, lines, length, made, whole = lay
    line, off, exact = index.shape[0] * width, np.float32(0.0), 0
    for o in range(0, source.shape[0] // length, lines):
        count = min(lines, source.shape[0] // length - o)
        for left in range(0, inner, width):
            side, to = min(width, inner - left), o * made + left
            for k in range(count):
                pad_line(buffer, k * line, source, (o + k) * length + left, index, ends, inner, side, cval)
            if narrow is not None:
                off = error * peak(buffer, count * line)
            # Lines that lie one behind the other, or rows of a strip.
            rows = (count, line, made, made) if side == inner else (made // inner, side, side, inner)
            about = weights, kind, whole, off, exact
            exact = _sum_rows(target, to, rows, buffer, side, about, narrow, sums, again, tail)


@part
def _sum_rows(target, to, rows, buffer, step, about, narrow, sums, again, tail):  # type: ignore[no-untyped-def] # pragma: no cover
    """Fill rows with sums; return how many times more they are to be made in float64 at once."""
    count, pitch, n, between = rows
    weights, kind, whole, off, exact = about
    for first in range(0, n, CHUNK):
        size = min(CHUNK, n - first)
        high = 1 + (CHUNK - size) // pitch
        for row in range(0, count, high):
            where = to + row * between + first, between, size, min(high, count - row)
            lay = row * pitch + first, pitch, step
            if narrow is None or exact > 0 or not off < COARSE:
                fill(target, where, sums, buffer, lay, weights, kind, whole)
                exact -= 1
            elif fill_rounded(target, where, tail, again, buffer, lay, weights, narrow, kind, off):
                exact = _EXACT
    return exact
