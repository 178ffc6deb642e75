"""Gaussian filters: scipy.ndimage's, lazy, per time point, in voxels or mm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import scipy.ndimage

from chunkmed.errors import InputError
from chunkmed.graph.lift import is_lazy, lift
from chunkmed.kernels.steps import Step, gaussian_weights
from chunkmed.ndimage.arguments import check_modes, mm_to_voxels, per_axis, refuse_text
from chunkmed.ndimage.lines import along_lines
from chunkmed.ndimage.probe import domain_of, named_axis, tried

__all__ = ["gaussian_filter", "gaussian_filter1d", "gaussian_steps"]


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
    if min(sigmas, default=0) < 0:
        raise InputError(f"sigma = {sigma}", kind="bad-sigma", fix="give a positive number")
    modes = check_modes(mode, len(along))
    orders, radii = per_axis(order, len(along), "order"), per_axis(radius, len(along), "radius")
    settings = {"output": output, "mode": modes, "cval": cval, "truncate": truncate, "radius": radii}
    reference = scipy.ndimage.gaussian_filter
    dtype = tried(reference, image.node.dtype, len(along), sigmas, orders, **settings)
    steps = gaussian_steps(along, sigmas, orders, modes, truncate, radii)
    return along_lines("gaussian_filter", image, steps, dtype, cval)


def gaussian_steps(
    along: Sequence[int],
    sigmas: Sequence[float],
    orders: Sequence[int],
    modes: Sequence[str],
    truncate: float,
    radii: Sequence[Any],
) -> list[Step]:
    """Return the steps of a gaussian filter; scipy leaves axes of a tiny sigma alone."""
    rows = zip(along, sigmas, orders, modes, radii, strict=True)
    return [
        Step(axis, gaussian_weights(float(sigma), order, _radius(sigma, truncate, radius)), mode)
        for axis, sigma, order, mode, radius in rows
        if sigma > 1e-15
    ]


def _radius(sigma: float, truncate: float, radius: Any) -> int:
    return int(truncate * float(sigma) + 0.5) if radius is None else int(radius)


def gaussian_filter1d(
    input: Any,  # noqa: A002
    sigma: Any,
    axis: Any = -1,
    order: int = 0,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
) -> Any:
    """Gaussian filter along one axis, as :func:`scipy.ndimage.gaussian_filter1d`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily.
    sigma : float or str
        Standard deviation in voxels, or in mm as text (``"1.5 mm"``).
    axis : int or str
        Number or name of the axis: the only way to filter along t is to name it.
    order, output, mode, cval, truncate, radius
        As in scipy. ``output`` is a dtype.

    Returns
    -------
    same type as input
        Same shape and coordinates.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([0, 0, 90, 0, 0], np.int16), chunks=2)
    >>> ndi.gaussian_filter1d(line, sigma=1).compute().tolist()
    [5, 21, 35, 21, 5]
    """
    settings = {"mode": mode, "cval": cval, "truncate": truncate, "radius": radius}
    if not is_lazy(input):
        refuse_text(sigma=sigma)
        return scipy.ndimage.gaussian_filter1d(input, sigma, axis, order, output, **settings)
    image = lift(input)
    at = named_axis(image, axis)
    (width,) = mm_to_voxels([sigma], image, [at], "sigma")
    reference, seen = scipy.ndimage.gaussian_filter1d, domain_of(image, [at])
    dtype = tried(
        reference, image.node.dtype, len(seen), width, seen.index(at), order, output=output, **settings
    )
    # Here scipy takes any sigma, however small.
    weights = gaussian_weights(width, order, _radius(width, truncate, radius))
    return along_lines("gaussian_filter1d", image, [Step(at, weights, mode)], dtype, cval)
