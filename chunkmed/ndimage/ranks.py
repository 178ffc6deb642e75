"""Rank filters: scipy.ndimage's, lazy, per time point, windows in voxels or mm."""

from __future__ import annotations

import math
from typing import Any

import scipy.ndimage

from chunkmed.graph.costs import KERNEL_NS
from chunkmed.graph.lift import is_lazy, lift
from chunkmed.graph.nodes import Call
from chunkmed.kernels import ranks as kernels
from chunkmed.ndimage.arguments import check_modes, check_origins, per_axis, refuse_text
from chunkmed.ndimage.stencils import filtered, window_of

__all__ = ["median_filter"]


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
    """
    if not is_lazy(input):
        refuse_text(size=size)
        return scipy.ndimage.median_filter(input, size, footprint, output, mode, cval, origin, axes=axes)
    image = lift(input)
    along = image.axes(axes)
    if not isinstance(mode, str):
        raise RuntimeError("A sequence of modes is not supported by non-separable rank filters")
    modes = check_modes(mode, len(along))
    origins = [int(value) for value in per_axis(origin, len(along), "origin")]
    sizes, window = window_of(image, along, size, footprint)
    check_origins(origins, sizes)
    depths = [n // 2 + abs(o) for n, o in zip(sizes, origins, strict=True)]
    settings = {
        "size": None if window is not None else sizes,
        "footprint": window,
        "mode": mode,
        "cval": cval,
        "origin": origins,
        "axes": along,
    }
    voxels = int(window.sum()) if window is not None else math.prod(sizes)
    call, cost = Call(kernels.median, settings), KERNEL_NS["rank"] * voxels
    return filtered(image, call, along, depths, output, modes, cost_ns=cost)
