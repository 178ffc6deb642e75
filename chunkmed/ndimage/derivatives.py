"""Derivatives: scipy.ndimage's, lazy, per time point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import scipy.ndimage

from chunkmed.graph.lift import is_lazy, lift
from chunkmed.kernels import linear as kernels
from chunkmed.kernels.steps import Step
from chunkmed.ndimage.arguments import mm_to_voxels, per_axis, refuse_text
from chunkmed.ndimage.gaussian import gaussian_steps
from chunkmed.ndimage.lines import along_lines, gain_of
from chunkmed.ndimage.probe import domain_of, named_axis, tried, warn_of_range
from chunkmed.ndimage.terms import of_terms

__all__ = ["gaussian_gradient_magnitude", "gaussian_laplace", "laplace", "prewitt", "sobel"]


def sobel(
    input: Any,  # noqa: A002 - scipy's name
    axis: Any = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
) -> Any:
    """Sobel filter, as :func:`scipy.ndimage.sobel`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    axis : int or str
        Number or name of the axis of the derivative; the others of z, y, x are smoothed.
    output, mode, cval
        As in scipy. ``output`` is a dtype.

    Returns
    -------
    same type as input
        Same shape and coordinates, equal to scipy. Integers keep their dtype and wrap around where
        they leave its range, as in scipy: there is a warning, and ``output="float32"`` avoids it.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> image = da.from_array(np.array([0.0, 0, 1, 3, 3]), chunks=2)
    >>> ndi.sobel(image).compute().tolist()
    [0.0, 1.0, 3.0, 2.0, 0.0]
    """
    if not is_lazy(input):
        return scipy.ndimage.sobel(input, axis, output, mode, cval)
    return _smoothed_difference(scipy.ndimage.sobel, (1.0, 2.0, 1.0), input, axis, output, mode, cval)


def prewitt(
    input: Any,  # noqa: A002
    axis: Any = -1,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
) -> Any:
    """Prewitt filter, as :func:`scipy.ndimage.prewitt`.

    Arguments and result are those of :func:`sobel`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([1, 2, 4, 8, 16], np.int16), chunks=2)
    >>> ndi.prewitt(line).compute().tolist()
    [1, 3, 6, 12, 8]
    """
    if not is_lazy(input):
        return scipy.ndimage.prewitt(input, axis, output, mode, cval)
    return _smoothed_difference(scipy.ndimage.prewitt, (1.0, 1.0, 1.0), input, axis, output, mode, cval)


def _smoothed_difference(
    reference: Callable[..., Any],
    smooth: tuple[float, ...],
    input: Any,  # noqa: A002
    axis: Any,
    output: Any,
    mode: Any,
    cval: Any,
) -> Any:
    image = lift(input)
    at = named_axis(image, axis)
    seen = domain_of(image, [at])
    settings = {"output": output, "mode": mode, "cval": cval}
    dtype = tried(reference, image.node.dtype, len(seen), seen.index(at), **settings)
    modes = dict(zip(seen, per_axis(mode, len(seen), "mode"), strict=True))
    steps = [Step(at, (-1.0, 0.0, 1.0), modes[at])]
    steps += [Step(other, smooth, modes[other]) for other in seen if other != at]
    warn_of_range(reference.__name__, image.node.dtype, *gain_of(steps), output)
    return along_lines(reference.__name__, image, steps, dtype, cval)


def laplace(
    input: Any,  # noqa: A002
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    *,
    axes: Any = None,
) -> Any:
    """Laplace filter of second differences, as :func:`scipy.ndimage.laplace`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    output, mode, cval
        As in scipy. ``output`` is a dtype.
    axes : tuple of int or str, optional
        Axes to filter along, numbers or names of dims.

    Returns
    -------
    same type as input
        As :func:`sobel`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([0, 0, 4, 0, 0], np.int16), chunks=2)
    >>> ndi.laplace(line).compute().tolist()
    [0, 4, -8, 4, 0]
    """
    if not is_lazy(input):
        return scipy.ndimage.laplace(input, output, mode, cval, axes=axes)
    image = lift(input)
    along = image.axes(axes)
    dtype = tried(scipy.ndimage.laplace, image.node.dtype, len(along), output=output, mode=mode, cval=cval)
    modes = per_axis(mode, len(along), "mode")
    terms = [[Step(axis, (1.0, -2.0, 1.0), name)] for axis, name in zip(along, modes, strict=True)]
    warn_of_range("laplace", image.node.dtype, *_summed(terms), output)
    return of_terms("laplace", image, kernels.sum_of_lines, terms, dtype, cval)


def gaussian_laplace(
    input: Any,  # noqa: A002
    sigma: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    *,
    axes: Any = None,
    **kwargs: Any,
) -> Any:
    """Laplace filter of second derivatives of a gaussian, as :func:`scipy.ndimage.gaussian_laplace`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    sigma : float, str or sequence of them
        Standard deviation in voxels, or in mm as text (``"1.5 mm"``).
    output, mode, cval
        As in scipy. ``output`` is a dtype.
    axes : tuple of int or str, optional
        Axes to filter along, numbers or names of dims.
    **kwargs
        ``truncate`` and ``radius``, as in scipy.

    Returns
    -------
    same type as input
        As :func:`sobel`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([0, 0, 90, 0, 0], np.int16), chunks=2)
    >>> ndi.gaussian_laplace(line, sigma=1).compute().tolist()
    [17, 0, -35, 0, 17]
    """
    if not is_lazy(input):
        refuse_text(sigma=sigma)
        return scipy.ndimage.gaussian_laplace(input, sigma, output, mode, cval, axes=axes, **kwargs)
    image = lift(input)
    along = image.axes(axes)
    sigmas = mm_to_voxels(per_axis(sigma, len(along), "sigma"), image, along, "sigma")
    seen = domain_of(image, along)
    own = tuple(seen.index(axis) for axis in along)
    dtype = tried(
        scipy.ndimage.gaussian_laplace, image.node.dtype, len(seen), sigmas, output=output, mode=mode,
        cval=cval, axes=own, **kwargs,
    )  # fmt: skip
    widths = dict.fromkeys(seen, 0.0) | dict(zip(along, sigmas, strict=True))
    terms = _gaussian_terms(along, widths, 2, per_axis(mode, len(along), "mode"), kwargs)
    warn_of_range("gaussian_laplace", image.node.dtype, *_summed(terms), output)
    return of_terms("gaussian_laplace", image, kernels.sum_of_lines, terms, dtype, cval)


def gaussian_gradient_magnitude(
    input: Any,  # noqa: A002
    sigma: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    *,
    axes: Any = None,
    **kwargs: Any,
) -> Any:
    """Length of the gradient of a gaussian, as :func:`scipy.ndimage.gaussian_gradient_magnitude`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    sigma : float, str or sequence of them
        Standard deviation in voxels, or in mm as text (``"1.5 mm"``). As in scipy there is one for
        every axis, whatever the ``axes``: axes that are not named are smoothed, too.
    output, mode, cval
        As in scipy. ``output`` is a dtype.
    axes : tuple of int or str, optional
        Axes of the gradient, numbers or names of dims.
    **kwargs
        ``truncate`` and ``radius``, as in scipy.

    Returns
    -------
    same type as input
        As :func:`sobel`. Squares of integers are integers, too: give ``output="float32"``.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([0, 0, 90, 90, 90], np.int16), chunks=2)
    >>> ndi.gaussian_gradient_magnitude(line, sigma=1).compute().tolist()
    [9, 32, 32, 10, 1]
    """
    if not is_lazy(input):
        refuse_text(sigma=sigma)
        return scipy.ndimage.gaussian_gradient_magnitude(
            input, sigma, output, mode, cval, axes=axes, **kwargs
        )
    image = lift(input)
    along = image.axes(axes)
    seen = domain_of(image, along)
    own = tuple(seen.index(axis) for axis in along)
    sigmas = mm_to_voxels(per_axis(sigma, len(seen), "sigma"), image, seen, "sigma")
    dtype = tried(
        scipy.ndimage.gaussian_gradient_magnitude, image.node.dtype, len(seen), sigmas, output=output,
        mode=mode, cval=cval, axes=own, **kwargs,
    )  # fmt: skip
    widths = dict(zip(seen, sigmas, strict=True))
    terms = _gaussian_terms(along, widths, 1, per_axis(mode, len(along), "mode"), kwargs)
    warn_of_range("gaussian_gradient_magnitude", image.node.dtype, -math.inf, math.inf, output)
    return of_terms("gaussian_gradient_magnitude", image, kernels.magnitude, terms, dtype, cval)


def _gaussian_terms(
    along: Sequence[int], widths: dict[int, float], order: int, modes: Sequence[str], more: dict[str, Any]
) -> list[list[Step]]:
    """Return a derivative along each axis; its mode is that of all axes, as in scipy."""
    seen, sigmas = list(widths), list(widths.values())
    radii = per_axis(more.get("radius"), len(seen), "radius")
    truncate = more.get("truncate", 4.0)
    terms = []
    for axis, mode in zip(along, modes, strict=True):
        orders = [order if other == axis else 0 for other in seen]
        terms.append(gaussian_steps(seen, sigmas, orders, [mode] * len(seen), truncate, radii))
    return terms


def _summed(terms: Sequence[Sequence[Step]]) -> tuple[float, float]:
    gains = [gain_of(steps) for steps in terms]
    return math.fsum(low for low, _ in gains), math.fsum(high for _, high in gains)
