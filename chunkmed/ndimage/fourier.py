"""Filters of Fourier transforms: scipy.ndimage's, lazy, per time point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.errors import refusal
from chunkmed.graph.lift import is_lazy, lift
from chunkmed.graph.located import Located
from chunkmed.graph.nodes import Call
from chunkmed.kernels import fourier as kernels
from chunkmed.ndimage.arguments import output_dtype, per_axis
from chunkmed.ndimage.probe import named_axis, tried

__all__ = ["fourier_ellipsoid", "fourier_gaussian", "fourier_shift", "fourier_uniform"]

#: A table of one axis from its length, the user's value and the length of its real transform.
_Table = Callable[[int, float, int], Any]


def fourier_gaussian(input: Any, sigma: Any, n: int = -1, axis: Any = -1, output: Any = None) -> Any:  # noqa: A002
    """Multiply a transform with that of a gaussian, as :func:`scipy.ndimage.fourier_gaussian`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        A Fourier transform. NumPy arrays are filtered at once, others lazily. Of a DataArray the axes
        z, y, x are frequencies.
    sigma : float or sequence of float
        Standard deviation in voxels of the image.
    n : int
        Length of the image along ``axis`` where that is the axis of a real transform; below 0 the
        transform is complex.
    axis : int or str
        Number or name of the axis of a real transform.
    output : dtype, optional
        Complex for complex input; float64 for integers otherwise.

    Returns
    -------
    same type as input
        Same shape and coordinates, equal to scipy.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> image = np.array([0.0, 0, 1, 0, 0, 0])
    >>> transform = da.from_array(np.fft.fft(image), chunks=2)
    >>> np.fft.ifft(ndi.fourier_gaussian(transform, 1).compute()).real.round(2).tolist()
    [0.05, 0.24, 0.4, 0.24, 0.05, 0.01]
    """
    if not is_lazy(input):
        return scipy.ndimage.fourier_gaussian(input, sigma, n, axis, output)
    return _filtered(scipy.ndimage.fourier_gaussian, input, sigma, n, axis, output)


def fourier_uniform(input: Any, size: Any, n: int = -1, axis: Any = -1, output: Any = None) -> Any:  # noqa: A002
    """Multiply a transform with that of a box, as :func:`scipy.ndimage.fourier_uniform`.

    ``size`` is the width of the box in voxels; the rest is as in :func:`fourier_gaussian`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.fft.fft(np.eye(6)[2]), chunks=3)
    >>> np.fft.ifft(ndi.fourier_uniform(line, 3).compute()).real.sum().round(6).item()
    1.0
    """
    if not is_lazy(input):
        return scipy.ndimage.fourier_uniform(input, size, n, axis, output)
    return _filtered(scipy.ndimage.fourier_uniform, input, size, n, axis, output)


def fourier_ellipsoid(input: Any, size: Any, n: int = -1, axis: Any = -1, output: Any = None) -> Any:  # noqa: A002
    """Multiply a transform with that of an ellipsoid, as :func:`scipy.ndimage.fourier_ellipsoid`.

    ``size`` are its axes in voxels, one to three; the rest is as in :func:`fourier_gaussian`, equal to
    scipy to 1e-13 of the input.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.fft.fft(np.eye(6)[2]), chunks=3)
    >>> np.fft.ifft(ndi.fourier_ellipsoid(line, 3).compute()).real.sum().round(6).item()
    1.0
    """
    if not is_lazy(input):
        return scipy.ndimage.fourier_ellipsoid(input, size, n, axis, output)
    return _filtered(scipy.ndimage.fourier_ellipsoid, input, size, n, axis, output)


def fourier_shift(input: Any, shift: Any, n: int = -1, axis: Any = -1, output: Any = None) -> Any:  # noqa: A002
    """Multiply a transform with the phase of a shift, as :func:`scipy.ndimage.fourier_shift`.

    ``shift`` is in voxels of the image, ``output`` complex; the rest is as in :func:`fourier_gaussian`,
    equal to scipy to 1e-13 of the input.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.fft.fft([0.0, 5.0, 0.0, 0.0]), chunks=2)
    >>> abs(np.fft.ifft(ndi.fourier_shift(line, 2).compute())).round(6).tolist()
    [0.0, 0.0, 0.0, 5.0]
    """
    if not is_lazy(input):
        return scipy.ndimage.fourier_shift(input, shift, n, axis, output)
    return _filtered(scipy.ndimage.fourier_shift, input, shift, n, axis, output)


def _filtered(
    reference: Callable[..., Any],
    input: Any,  # noqa: A002
    value: Any,
    n: int,
    axis: Any,
    output: Any,
) -> Any:
    image = lift(input)
    at = named_axis(image, axis)
    seen = list(image.space_axes)
    if at not in seen:
        raise refusal(IndexError, f"axis {axis} is not transformed", kind="bad-axis", fix="name z, y or x")
    kind = None if output is None else output_dtype(output, None).type
    dtype = tried(reference, image.node.dtype, len(seen), value, n, seen.index(at), output=kind)
    if image.node.dtype.kind == "c" and dtype.kind != "c":
        raise refusal(RuntimeError, "a real output of a complex transform", kind="bad-dtype")
    kernel, make = _maker(reference, len(seen))
    tables: list[Any] = [None] * len(image.node.shape)
    for place, given in zip(seen, per_axis(value, len(seen), reference.__name__), strict=True):
        tables[place] = make(image.node.shape[place], float(given), n if place == at else -1)
    call = Call(kernel, {"tables": tables, "output": dtype})
    return image.lower(Located(call, image.node, dtype))


def _maker(reference: Callable[..., Any], ndim: int) -> tuple[Callable[..., Any], _Table]:
    """Return the kernel of a filter and what makes its tables."""
    name = reference.__name__
    if name == "fourier_shift":
        return kernels.shifted, _phases
    if name == "fourier_ellipsoid" and ndim > 1:
        return kernels.ellipsoid, _squares
    return kernels.product, lambda length, given, n: kernels.scipys_table(name, length, given, n)


def _phases(length: int, shift: float, n: int) -> Any:
    return _steps(-2.0 * np.pi * shift, length, n)


def _squares(length: int, size: float, n: int) -> Any:
    return _steps(np.pi * size, length, n) ** 2


def _steps(total: float, length: int, n: int) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.float64(total) / (n if n >= 0 else length)
        return kernels.frequencies(length, n >= 0) * step
