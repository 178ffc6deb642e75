"""Weights along axes, one after the other: correlation as scipy.ndimage does it, to the last bit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.kernels import Array, slabs
from chunkmed.kernels.along import along, is_short
from chunkmed.kernels.steps import DTYPES, Step
from chunkmed.reused import empty

__all__ = ["as_bytes", "correlate", "supports"]


def supports(block: Array, output: npt.DTypeLike) -> bool:
    """Whether :func:`correlate` takes these dtypes, truth values :func:`as_bytes`."""
    known = as_bytes(block.dtype) in DTYPES and as_bytes(output) in DTYPES
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
    *,
    overwrite: bool = False,
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
    overwrite : bool, default False
        Whether the block's memory may be written to; the result may then be in it.

    Returns
    -------
    ndarray
        As repeated ``scipy.ndimage.correlate1d``.
    """
    wanted = keep or tuple(slice(0, n) for n in block.shape)
    spans = {each.axis: wanted[each.axis].indices(block.shape[each.axis])[:2] for each in steps}
    dtype, array = np.dtype(output), np.ascontiguousarray(block)
    if slabs.takes(array, steps, dtype, cval):
        done = slabs.filtered(array, steps, cval, spans)
    else:
        done = _whole(
            array, steps, cval, dtype, spans, spare=overwrite or not np.may_share_memory(array, block)
        )
    rest = tuple(slice(None) if i in spans else part for i, part in enumerate(wanted))
    return done[rest].astype(output, copy=False)


def _whole(
    block: Array,
    steps: Sequence[Step],
    cval: float,
    dtype: np.dtype[Any],
    spans: slabs.Spans,
    *,
    spare: bool,
) -> Array:
    """Return all steps of a block, one after the other.

    Long windows are done in place, for lines are read first, and what is left of each lies where it was or
    before; short ones, which are not copied before they are written, go to other memory.
    """
    nothing = np.empty(0, dtype)
    usable = spare and block.dtype == dtype and block.flags.writeable
    array, own, other = block, block.reshape(-1) if usable else nothing, nothing
    for each in steps:
        shape = slabs.cut(array.shape, each.axis, spans[each.axis])
        size = math.prod(shape)
        if (array is block and not usable) or is_short(each, array, dtype, cval):
            own, other = (other, own) if size <= other.size else (empty(size, dtype), own)
        out = own[:size].reshape(shape)
        along(array, each, cval, spans[each.axis], out)
        array = out
    return array
