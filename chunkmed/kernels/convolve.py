"""Weights along axes: correlation as scipy.ndimage does it, to the last bit.

scipy adds in float64, in a fixed order, and rounds to the output's dtype after every axis. Here lines
along the axis are put side by side in a buffer of float64, padded as the border mode says; a tap is
then a shift of the whole buffer, whatever the axis, and sums run over contiguous memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.kernels import Array, short
from chunkmed.kernels.compiled import kernel, part
from chunkmed.kernels.outside import standing_for
from chunkmed.kernels.steps import Step
from chunkmed.kernels.taps import convert, sum_taps

__all__ = ["as_bytes", "correlate", "supports"]

#: Dtypes whose rounding from float64 is that of C on every machine.
_DTYPES = tuple(np.dtype(name) for name in ("i1", "u1", "i2", "u2", "i4", "f4", "f8"))
#: Elements of the buffer: half a megabyte, a part of the processor's second cache.
_BUFFER = 1 << 16
#: Elements that are summed at a time: they stay in the first cache.
_CHUNK = 1024
_NARROWEST = 128
#: Elements of short lines that are summed at a time.
_BATCH = 4096


def supports(block: Array, output: npt.DTypeLike) -> bool:
    """Whether :func:`correlate` takes these dtypes, truth values :func:`as_bytes`."""
    known = as_bytes(block.dtype) in _DTYPES and as_bytes(output) in _DTYPES
    return bool(known) and block.ndim > 0 and block.size > 0


def as_bytes(item: Any) -> Any:
    """Return an array or a dtype with truth values as bytes, as which C and scipy take them."""
    if isinstance(item, np.ndarray):
        return item.view(np.uint8) if item.dtype.kind == "b" else item
    dtype = np.dtype(item)
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype


def correlate(
    block: Array,
    steps: Sequence[Step],
    cval: float,
    output: npt.DTypeLike,
    keep: tuple[slice, ...] | None = None,
) -> Array:
    """Correlate along axes, one after the other.

    Parameters
    ----------
    block : ndarray
        Any number of axes.
    steps : sequence of Step
        In the order in which they are taken.
    cval : float
        What lies beyond the border in mode ``constant``.
    output : dtype
        Of the result, and of what is between two axes.
    keep : tuple of slice, optional
        The part of the result that is wanted; borders are those of the block.

    Returns
    -------
    ndarray
        As repeated ``scipy.ndimage.correlate1d``.
    """
    wanted = keep or tuple(slice(0, n) for n in block.shape)
    array, spare = block, None
    for each in steps:
        own = array is not block
        done = _along(array, each, cval, np.dtype(output), wanted[each.axis], reuse=own, spare=spare)
        if own and done is not array:
            spare = array
        array = done
    seen = {each.axis for each in steps}
    rest = tuple(slice(None) if i in seen else part for i, part in enumerate(wanted))
    return array[rest].astype(output, copy=False)


def _along(
    block: Array,
    each: Step,
    cval: float,
    dtype: np.dtype[np.generic],
    wanted: slice,
    *,
    reuse: bool,
    spare: Array | None,
) -> Array:
    """Return one axis done.

    Where the block may be reused that is in place, for lines are read first; short windows, which are
    not copied to a buffer before they are written, go to a spare array.
    """
    n = block.shape[each.axis]
    start, stop, _ = wanted.indices(n)
    index = standing_for(np.arange(start - each.lead, stop + each.trail), n, each.mode)
    lead, tail = max(0, each.lead - start), max(0, stop + each.trail - n)
    outer, inner = int(np.prod(block.shape[: each.axis])), int(np.prod(block.shape[each.axis + 1 :]))
    shape = (*block.shape[: each.axis], stop - start, *block.shape[each.axis + 1 :])
    ends = (min(lead, len(index)), max(len(index) - tail, min(lead, len(index))))
    source = np.ascontiguousarray(block).reshape(outer, n * inner)
    if short.takes(each, block.dtype, dtype, inner, cval):
        fits = spare is not None and spare.shape == shape and spare.dtype == dtype
        out = spare if fits and spare is not None else np.empty(shape, dtype)
        short.run(source, out.reshape(outer, (stop - start) * inner), inner, index, ends, each, cval)
        return out
    out = block if reuse and shape == block.shape else np.empty(shape, dtype)
    target = out.reshape(outer, (stop - start) * inner)
    width = inner if len(index) * inner <= _BUFFER else max(_NARROWEST, _BUFFER // len(index) // 64 * 64)
    weights = np.asarray(each.weights, np.float64)
    whole, width = dtype.kind in "iu", min(width, inner)
    _run(source, index, ends, weights, each.kind, float(cval), target, inner, width, whole)
    return out


@kernel
def _run(source, index, ends, weights, kind, cval, target, inner, width, whole):  # type: ignore[no-untyped-def] # pragma: no cover
    reach = (weights.shape[0] - 1) * width
    line = index.shape[0] * width
    lines = max(1, min(source.shape[0], _BATCH // line)) if width == inner else 1
    buffer = np.empty(lines * line, np.float64)
    sums = np.empty(buffer.shape[0] - reach if lines > 1 else max(1, _CHUNK // width) * width, np.float64)
    for o in range(0, source.shape[0], lines):
        count = min(lines, source.shape[0] - o)
        for left in range(0, inner, width):
            side = min(width, inner - left)
            for k in range(count):
                _fill(buffer[k * line : (k + 1) * line], source[o + k], index, ends, inner, left, side, cval)
            if lines > 1:
                # Short lines lie one behind the other; what is summed across their ends is not taken.
                sum_taps(sums[: count * line - reach], buffer, side, weights, kind)
                for k in range(count):
                    convert(target[o + k], sums[k * line :], whole)
            else:
                _sum_rows(target[o], buffer, sums, weights, kind, inner, left, side, whole)


@part
def _fill(buffer, line, index, ends, inner, left, side, cval):  # type: ignore[no-untyped-def] # pragma: no cover
    _fill_rows(buffer, line, index, 0, ends[0], inner, left, side, cval)
    _fill_rows(buffer, line, index, ends[1], index.shape[0], inner, left, side, cval)
    if side == inner and ends[0] < ends[1]:
        # Whole rows lie one behind the other.
        _copy(buffer[ends[0] * side : ends[1] * side], line[index[ends[0]] * inner :])
    elif side < inner:
        _fill_rows(buffer, line, index, ends[0], ends[1], inner, left, side, cval)


@part
def _fill_rows(buffer, line, index, first, last, inner, left, side, cval):  # type: ignore[no-untyped-def] # pragma: no cover
    for k in range(first, last):
        at, place = index[k] * inner + left, k * side
        if at < 0:
            buffer[place : place + side] = cval
        else:
            for i in range(side):
                buffer[place + i] = line[at + i]


@part
def _sum_rows(target, buffer, sums, weights, kind, inner, left, side, whole):  # type: ignore[no-untyped-def] # pragma: no cover
    rows, length = sums.shape[0] // side, target.shape[0] // inner
    for first in range(0, length, rows):
        last = min(first + rows, length)
        sum_taps(sums[: (last - first) * side], buffer[first * side :], side, weights, kind)
        if side == inner:
            convert(target[first * inner : last * inner], sums, whole)
        else:
            for k in range(first, last):
                convert(target[k * inner + left : k * inner + left + side], sums[(k - first) * side :], whole)


@part
def _copy(out, values):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] = values[i]
