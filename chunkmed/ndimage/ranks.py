"""Rank filters: scipy.ndimage's, lazy, per time point, windows in voxels or mm."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.errors import refusal
from chunkmed.graph.costs import KERNEL_NS
from chunkmed.graph.lift import is_lazy, lift
from chunkmed.graph.nodes import Call
from chunkmed.kernels import ranks as kernels
from chunkmed.kernels.windows import LARGEST_RANKED, compared_bytes
from chunkmed.ndimage.arguments import output_dtype, refuse_text
from chunkmed.ndimage.stencils import window_of
from chunkmed.ndimage.windows import check_values, footprint_window, origins_of, stencil, warn_of_size

__all__ = ["median_filter", "percentile_filter", "rank_filter"]

#: Of a voxel: what is always to do, and each comparison, a byte, of a network that selects a rank.
_FIXED_NS, _SELECTION_NS = 0.8, 0.004


def rank_filter(
    input: Any,  # noqa: A002
    rank: int,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Rank filter, as :func:`scipy.ndimage.rank_filter`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    rank : int
        Which of the sorted values of a window; negative ones count from the highest.
    size : int, str or sequence of them
        Width of the window in voxels, or in mm as text (rounded to the next odd number of voxels).
    footprint, output, mode, cval, origin
        As in scipy. ``output`` is a dtype.
    axes : tuple of int or str, optional
        Axes to filter along, numbers or names of dims.

    Returns
    -------
    same type as input
        Same shape and coordinates.

    Raises
    ------
    InputError
        Where scipy raises, and of scipy's type too.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> ndi.rank_filter(da.from_array(np.array([1, 9, 2, 8, 3]), chunks=2), -2, size=3).compute().tolist()
    [1, 2, 8, 3, 3]
    """
    rank = operator.index(rank)
    if not is_lazy(input):
        refuse_text(size=size)
        return scipy.ndimage.rank_filter(input, rank, size, footprint, output, mode, cval, origin, axes=axes)
    return _ranked(input, lambda _: rank, size, footprint, output, mode, cval, origin, axes)


def median_filter(
    input: Any,  # noqa: A002
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Median filter, as :func:`scipy.ndimage.median_filter`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    size : int, str or sequence of them
        Width of the window in voxels, or in mm as text (rounded to the next odd number of voxels).
    footprint, output, mode, cval, origin
        As in scipy. ``output`` is a dtype.
    axes : tuple of int or str, optional
        Axes to filter along, numbers or names of dims.

    Returns
    -------
    same type as input
        Same shape and coordinates.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([1, 5, 2, 8, 3], np.int16), chunks=2)
    >>> ndi.median_filter(line, size=3).compute().tolist()
    [1, 2, 5, 3, 3]
    """
    if not is_lazy(input):
        refuse_text(size=size)
        return scipy.ndimage.median_filter(input, size, footprint, output, mode, cval, origin, axes=axes)
    return _ranked(input, lambda count: count // 2, size, footprint, output, mode, cval, origin, axes)


def percentile_filter(
    input: Any,  # noqa: A002
    percentile: float,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Percentile filter, as :func:`scipy.ndimage.percentile_filter`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    percentile : float
        Percent; -20 is 80.
    size, footprint, output, mode, cval, origin, axes
        As of :func:`rank_filter`.

    Returns
    -------
    same type as input
        Same shape and coordinates.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([1, 5, 2, 8, 3], np.int16), chunks=2)
    >>> ndi.percentile_filter(line, 50, size=3).compute().tolist()
    [1, 2, 5, 3, 3]
    """
    if not is_lazy(input):
        refuse_text(size=size)
        given = (percentile, size, footprint, output, mode, cval, origin)
        return scipy.ndimage.percentile_filter(input, *given, axes=axes)
    percent = percentile + 100.0 if percentile < 0 else percentile
    if not 0 <= percent <= 100:
        raise refusal(RuntimeError, "invalid percentile", kind="bad-percentile", why=f"{percentile} %")

    def rank(count: int) -> int:
        return count - 1 if percent == 100 else int(float(count) * percent / 100.0)

    return _ranked(input, rank, size, footprint, output, mode, cval, origin, axes)


def _ranked(
    input: Any,  # noqa: A002
    rank_of: Callable[[int], int],
    size: Any,
    footprint: Any,
    output: Any,
    mode: Any,
    cval: Any,
    origin: Any,
    axes: Any,
) -> Any:
    """Return the value of a rank, which depends on the number of voxels in the window."""
    warn_of_size(size, footprint)
    image = lift(input)
    check_values(image)
    along = image.axes(axes)
    if footprint is None:
        sizes, _ = window_of(image, sorted(along), size, None)
        footprint = np.ones(sizes, bool)
    window = footprint_window(image, along, footprint, mode, cval, origins_of(origin, along))
    rank = rank_of(window.count)
    rank += window.count if rank < 0 else 0
    if not 0 <= rank < window.count:
        raise refusal(RuntimeError, "rank not within filter footprint size", kind="bad-rank")
    call = Call(kernels.ranked, {"window": window, "rank": rank})
    dtype = output_dtype(output, image.node.dtype)
    return image.lower(stencil(image.node, call, window, dtype, _cost_ns(window.count, image.node.dtype)))


def _cost_ns(count: int, dtype: np.dtype[Any]) -> float:
    """Return the time of a voxel: sorted lists are merged, each as often as there are powers of two."""
    if count > LARGEST_RANKED:
        return KERNEL_NS["rank"] * count
    return _FIXED_NS + _SELECTION_NS * compared_bytes(dtype) * count * math.log2(max(2, count)) ** 2
