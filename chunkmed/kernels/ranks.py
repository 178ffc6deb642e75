"""Ranks, minima and maxima of one block; scipy.ndimage is the reference, and what the rest falls back to.

``CHUNKMED_KERNELS=scipy`` in the environment leaves everything to scipy.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace

import numpy as np
import scipy.ndimage

from chunkmed.kernels import Array
from chunkmed.kernels.windows import Window, is_value_of, selected
from chunkmed.reused import release, throughout

__all__ = ["extreme", "ranked"]


@throughout
def ranked(
    block: Array, *, window: Window, rank: int, output: np.dtype[np.generic], keep: tuple[slice, ...]
) -> Array:
    """Return a part of :func:`scipy.ndimage.rank_filter` of a block.

    Parameters
    ----------
    block : ndarray
        Any number of axes.
    window : Window
        Whose values are ranked; one border mode for all axes.
    rank : int
        0 is the lowest.
    output : dtype
        Of the result.
    keep : tuple of slice
        The part.
    """
    if rank in (0, window.count - 1):
        return extreme(block, window=window, highest=rank > 0, output=output, keep=keep)
    if _is_plain(block, window, output) and not _has_nan(block):
        out = selected(block, window, rank, keep)
        if out is not None:
            return out.astype(output, copy=False)
    if block.ndim == 1:
        # scipy has another way for lines, which is wrong for windows that are longer.
        plane = replace(window, axes=(1,))
        return np.asarray(_ranked(block[np.newaxis], plane, rank, output)[0][keep])
    return _ranked(block, window, rank, output)[keep]


@throughout
def extreme(
    block: Array, *, window: Window, highest: bool, output: np.dtype[np.generic], keep: tuple[slice, ...]
) -> Array:
    """Return a part of :func:`scipy.ndimage.minimum_filter` or of ``maximum_filter`` of a block.

    Windows that hold NaN give NaN; what scipy makes of them depends on what was there before.

    Parameters
    ----------
    block, window, output, keep
        As of :func:`ranked`; a border mode per axis where the window is a box.
    highest : bool
        Whether the maximum is wanted.
    """
    rank = window.count - 1 if highest else 0
    out = None
    if _is_plain(block, window, output):
        out = selected(block, window, rank, keep)
    if out is None:
        out = _extreme(block, window, highest, output)[keep]
    out = out.astype(output, copy=False)
    nan_outside = window.has_constant and math.isnan(window.cval)
    if output.kind == "f" and (nan_outside or _has_nan(block)):
        holes = replace(window, cval=float(nan_outside))
        out[extreme(np.isnan(block), window=holes, highest=True, output=np.dtype(bool), keep=keep)] = np.nan
    return out


def _is_plain(block: Array, window: Window, output: np.dtype[np.generic]) -> bool:
    """Return whether values compare as they are: no rounding between them and the result."""
    dtype = block.dtype
    if os.environ.get("CHUNKMED_KERNELS") == "scipy" or block.size == 0:
        return False
    if dtype.kind not in "biuf" or dtype.itemsize > 8 or dtype == np.float16:
        return False
    if not (output == dtype or np.can_cast(dtype, output, "safe")):
        return False
    return not window.has_constant or _is_one_of(window.cval, dtype, output)


def _is_one_of(cval: float, dtype: np.dtype[np.generic], output: np.dtype[np.generic]) -> bool:
    if dtype.kind == "f":
        # Rounding keeps the order: early or late is the same.
        return output == dtype or dtype == np.float64 or float(np.float32(cval)) == cval
    return is_value_of(cval, dtype)


def _has_nan(block: Array) -> bool:
    return block.dtype.kind == "f" and block.size > 0 and bool(np.isnan(block.min()))


def _ranked(block: Array, window: Window, rank: int, output: np.dtype[np.generic]) -> Array:
    release()
    footprint = np.ones(window.shape, bool) if window.footprint is None else window.footprint
    return scipy.ndimage.rank_filter(  # type: ignore[no-any-return]
        block,
        rank,
        footprint=footprint,
        output=output,
        mode=window.modes[0],
        cval=window.cval,
        origin=window.origins,
        axes=window.axes,
    )


def _extreme(block: Array, window: Window, highest: bool, output: np.dtype[np.generic]) -> Array:
    release()
    function = scipy.ndimage.maximum_filter if highest else scipy.ndimage.minimum_filter
    box = window.footprint is None
    return function(  # type: ignore[no-any-return]
        block,
        size=window.shape if box else None,
        footprint=window.footprint,
        output=output,
        mode=window.modes if box else window.modes[0],
        cval=window.cval,
        origin=window.origins,
        axes=window.axes,
    )
