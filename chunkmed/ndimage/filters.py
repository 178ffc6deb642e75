"""Filters: scipy.ndimage's, lazy, per time point, in voxels or mm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.errors import InputError
from chunkmed.graph.costs import KERNEL_NS
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.nodes import Call, Stencil
from chunkmed.kernels import filters as kernels
from chunkmed.ndimage.arguments import (
    check_modes,
    check_origins,
    mm_to_voxels,
    output_dtype,
    per_axis,
    refuse_text,
    wrapped_axes,
)

__all__ = ["gaussian_filter", "median_filter"]


def gaussian_filter(
    input: Any,  # noqa: A002 - scipy's name
    sigma: Any,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
    axes: Any = None,
) -> Any:
    """Gaussian filter, as :func:`scipy.ndimage.gaussian_filter`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    sigma : float, str or sequence of them
        Standard deviation in voxels, or in mm as text (``"1.5 mm"``).
    order, output, mode, cval, truncate, radius
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
    >>> image = da.from_array(np.eye(6), chunks=3)
    >>> ndi.gaussian_filter(image, sigma=1).compute().shape
    (6, 6)
    """
    if not is_lazy(input):
        refuse_text(sigma=sigma)
        return scipy.ndimage.gaussian_filter(
            input, sigma, order, output, mode, cval, truncate, radius=radius, axes=axes
        )
    image = lift(input)
    along = image.axes(axes)
    sigmas = mm_to_voxels(per_axis(sigma, len(along), "sigma"), image, along, "sigma")
    radii = per_axis(radius, len(along), "radius")
    modes = check_modes(mode, len(along))
    pairs = zip(sigmas, radii, strict=True)
    depths = [_gaussian_depth(value, given, truncate) for value, given in pairs]
    settings = {
        "sigma": sigmas,
        "order": per_axis(order, len(along), "order"),
        "mode": modes,
        "cval": cval,
        "truncate": truncate,
        "radius": None if radius is None else radii,
        "axes": along,
    }
    # scipy leaves axes of a tiny sigma alone.
    return _filtered(
        image,
        Call(kernels.gaussian, settings),
        along,
        depths,
        output,
        modes,
        crops=True,
        cost_ns=_gaussian_ns(depths),
    )


def _gaussian_ns(depths: Sequence[int]) -> float:
    taps = sum(2 * depth + 1 for depth in depths)
    return KERNEL_NS["axis"] * len(depths) + KERNEL_NS["tap"] * taps


def _gaussian_depth(sigma: float, radius: Any, truncate: float) -> int:
    if sigma < 0:
        raise InputError(f"sigma = {sigma}", kind="bad-sigma", fix="give a positive number")
    if sigma <= 1e-15:
        return 0
    return int(radius) if radius is not None else int(truncate * sigma + 0.5)


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
    sizes, window = _window(image, along, size, footprint)
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
    return _filtered(image, call, along, depths, output, modes, cost_ns=cost)


def _window(image: Lifted, along: Sequence[int], size: Any, footprint: Any) -> tuple[list[int], Any]:
    """Return the sizes of the window and the footprint, where there is one."""
    if footprint is not None:
        window = np.asarray(footprint, dtype=bool)
        if window.ndim != len(along):
            raise InputError(
                f"footprint has {window.ndim} axes, the image is filtered along {len(along)}",
                kind="sequence-length",
            )
        if not window.any():
            raise InputError("all footprint elements are zero", kind="empty-footprint")
        return list(window.shape), window
    if size is None:
        raise InputError("no footprint or filter size provided", kind="no-size", fix="give size=3")
    given = per_axis(size, len(along), "size")
    voxels = mm_to_voxels(given, image, along, "size")
    if min(voxels) <= 0:
        raise InputError(f"size = {size}", kind="bad-size", fix="give a positive length")
    pairs = zip(given, voxels, strict=True)
    sizes = [_odd(value) if isinstance(text, str) else int(value) for text, value in pairs]
    if min(sizes) < 1:
        raise InputError(f"size = {size}", kind="bad-size", fix="give at least 1")
    return sizes, None


def _odd(voxels: float) -> int:
    """Return the nearest odd number of voxels, at least 1."""
    return 2 * max(0, round((voxels - 1) / 2)) + 1


def _filtered(
    image: Lifted,
    call: Call,
    along: Sequence[int],
    depths: Sequence[int],
    output: Any,
    modes: Sequence[str],
    *,
    crops: bool = False,
    cost_ns: float,
) -> Any:
    dtype = output_dtype(output, image.node.dtype)
    call = Call(call.function, {**call.settings, "output": dtype})
    depth = [0] * len(image.node.shape)
    for axis, d in zip(along, depths, strict=True):
        depth[axis] = d
    wrap = wrapped_axes(modes, along)
    return image.lower(Stencil(call, [image.node], depth, dtype, wrap=wrap, crops=crops, cost_ns=cost_ns))
