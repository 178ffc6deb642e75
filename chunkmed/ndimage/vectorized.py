"""Filters by vectorised functions of the user's: scipy.ndimage's, lazy, per time point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.ndimage
import xarray as xr

from chunkmed.errors import InputError
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.nodes import Call
from chunkmed.kernels import functions as kernels
from chunkmed.ndimage.arguments import output_dtype, per_axis, refuse_text
from chunkmed.ndimage.generic import checked_function, user_made, widths_of
from chunkmed.ndimage.probe import tried
from chunkmed.ndimage.reach import reach_of

__all__ = ["vectorized_filter"]


def vectorized_filter(
    input: Any,  # noqa: A002 - scipy's name
    function: Callable[..., Any],
    *,
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: str = "reflect",
    cval: Any = None,
    origin: Any = None,
    axes: Any = None,
    batch_memory: float = 2**30,
) -> Any:
    """Filter with a vectorised function of windows, as :func:`scipy.ndimage.vectorized_filter`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    function : callable
        ``function(windows, *, axis)``: one value per window.
    size : int, str or sequence of them
        Width of the window in voxels, or in mm as text (rounded to the next odd number of voxels).
    footprint, mode, cval, origin, batch_memory
        As in scipy. With ``mode="valid"`` the result is smaller, and its coordinates are cut alike.
    output : dtype, optional
        By default what the function gives.
    axes : tuple of int or str, optional
        Axes to filter along, numbers or names of dims.

    Returns
    -------
    same type as input
        Equal to scipy.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> image = da.from_array(np.array([2.0, np.nan, 0, 4, 1]), chunks=2)
    >>> ndi.vectorized_filter(image, np.nanmax, size=3).compute().tolist()
    [2.0, 2.0, 4.0, 4.0, 4.0]
    """
    settings = {"mode": mode, "cval": cval, "origin": origin, "batch_memory": batch_memory}
    if not is_lazy(input):
        refuse_text(size=size)
        return scipy.ndimage.vectorized_filter(
            input, function, size=size, footprint=footprint, output=output, axes=axes, **settings
        )
    image = lift(input)
    along = image.axes(axes)
    widths = widths_of(image, along, size)
    windows = {"size": None if widths is None else tuple(widths), "footprint": footprint}
    found = _dtype(image, function, along, settings | windows)
    call = checked_function(function)
    if 0 in image.node.shape:
        return image.lower(image.node)
    dtype = output_dtype(output, found)
    shape = tuple(widths) if footprint is None else np.asarray(footprint).shape
    origins = [int(value) for value in per_axis(0 if origin is None else origin, len(along), "origin")]
    depth = [0] * len(image.node.shape)
    for axis, reach in zip(along, reach_of(shape, origins), strict=True):
        depth[axis] = reach
    if mode == "valid":
        # What lies beyond the border is cut off in the end.
        settings["mode"] = "nearest"
    kernel = Call(
        kernels.vectorized, {**settings, **windows, "function": call, "output": dtype, "axes": along}
    )
    wrap = along if mode in ("wrap", "grid-wrap") else ()
    # Windows of one slice of a block, and what a function makes of them.
    workspace = 2.0 + math.prod(shape) / 4
    out = user_made("vectorized_filter", image, kernel, depth, dtype, wrap, workspace)
    return _valid(out, image, along, shape) if mode == "valid" else out


def _dtype(
    image: Lifted, function: Callable[..., Any], along: Sequence[int], settings: dict[str, Any]
) -> Any:
    """Return the dtype that a function gives; refuse what scipy refuses."""
    reference, count = scipy.ndimage.vectorized_filter, len(along)
    plain = {**settings, "mode": "nearest", "cval": None, "origin": None}
    with np.errstate(all="ignore"):
        # First without a voxel: the function is not called before all other arguments are right.
        if count:
            tried(reference, image.node.dtype, count, function, side=0, **settings)
        return tried(_of_one, image.node.dtype, count, function, plain)


def _of_one(sample: Any, function: Callable[..., Any], settings: dict[str, Any]) -> Any:
    """Apply a filter to an image of one voxel and check that it gives one value."""
    out = np.asarray(scipy.ndimage.vectorized_filter(sample, function, **settings))
    if out.shape != sample.shape:
        raise InputError(
            "the function gives several values for a window",
            kind="bad-function",
            why=f"shape {out.shape} for one voxel",
            fix="filter once for each value",
        )
    return out


def _valid(out: Any, image: Lifted, along: Sequence[int], shape: Sequence[int]) -> Any:
    """Cut off what depends on voxels beyond the border."""
    cut: list[slice] = [slice(None)] * len(image.node.shape)
    for axis, n in zip(along, shape, strict=True):
        length = image.node.shape[axis] - n + 1
        if length < 1:
            raise InputError(
                "window shape cannot be larger than input array shape", kind="bad-size", why=f"axis {axis}"
            )
        cut[axis] = slice(n // 2, n // 2 + length)
    if isinstance(out, xr.DataArray):
        return out.isel(dict(zip(out.dims, cut, strict=True)))
    return out[tuple(cut)]
