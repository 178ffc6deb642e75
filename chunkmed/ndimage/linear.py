"""Linear filters: scipy.ndimage's, lazy, per time point, in voxels or mm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import scipy.ndimage

from chunkmed.errors import InputError
from chunkmed.graph.costs import KERNEL_NS
from chunkmed.graph.lift import is_lazy, lift
from chunkmed.graph.nodes import Call
from chunkmed.kernels import linear as kernels
from chunkmed.ndimage.arguments import check_modes, mm_to_voxels, per_axis, refuse_text
from chunkmed.ndimage.stencils import filtered

__all__ = ["gaussian_filter"]


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
    return filtered(
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
