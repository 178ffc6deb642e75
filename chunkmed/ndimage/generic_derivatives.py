"""Laplace filter and length of the gradient from derivatives of the user's: scipy.ndimage's, lazy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import scipy.ndimage

from chunkmed.errors import InputError
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.nodes import Call
from chunkmed.kernels import functions as kernels
from chunkmed.ndimage import derivatives
from chunkmed.ndimage.arguments import per_axis
from chunkmed.ndimage.generic import checked_function, spanning, user_made
from chunkmed.ndimage.probe import domain_of, tried

__all__ = ["generic_gradient_magnitude", "generic_laplace"]

#: Derivatives that look one voxel far.
_NEAR = (scipy.ndimage.sobel, scipy.ndimage.prewitt, derivatives.sobel, derivatives.prewitt)
_WRAPS = ("wrap", "grid-wrap")


def generic_laplace(
    input: Any,  # noqa: A002 - scipy's name
    derivative2: Callable[..., Any],
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: dict[str, Any] | None = None,
    *,
    axes: Any = None,
    depth: Any = None,
) -> Any:
    """Sum of second derivatives of the user's, as :func:`scipy.ndimage.generic_laplace`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    derivative2 : callable
        ``derivative2(input, axis, output, mode, cval, *extra_arguments, **extra_keywords)`` of NumPy
        arrays, of one time point each.
    output, mode, cval, extra_arguments, extra_keywords
        As in scipy. ``output`` is a dtype.
    axes : tuple of int or str, optional
        Axes to derive along, numbers or names of dims.
    depth : int or sequence of int, optional
        How many voxels around a voxel its derivatives depend on, for all axes or one for each of z, y,
        x. Where it is not said a derivative may look anywhere, and gets whole time points: exact, but
        each must fit into memory. It is known of sobel and prewitt.

    Returns
    -------
    same type as input
        Same shape and coordinates, equal to scipy.

    Examples
    --------
    >>> import dask.array as da, numpy as np, scipy.ndimage, chunkmed.ndimage as ndi
    >>> def second(image, axis, output, mode, cval):
    ...     return scipy.ndimage.correlate1d(image, [1, -2, 1], axis, output, mode, cval)
    >>> image = da.from_array(np.array([0.0, 0, 1, 3, 3]), chunks=2)
    >>> ndi.generic_laplace(image, second, depth=1).compute().tolist()
    [0.0, 1.0, 1.0, -2.0, 0.0]
    """
    settings = {"output": output, "mode": mode, "cval": cval}
    more = {"extra_arguments": tuple(extra_arguments), "extra_keywords": dict(extra_keywords or {})}
    if not is_lazy(input):
        return scipy.ndimage.generic_laplace(input, derivative2, axes=axes, **settings, **more)
    return _derived("generic_laplace", input, derivative2, settings, more, axes, depth)


def generic_gradient_magnitude(
    input: Any,  # noqa: A002
    derivative: Callable[..., Any],
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: dict[str, Any] | None = None,
    *,
    axes: Any = None,
    depth: Any = None,
) -> Any:
    """Length of a gradient of the user's, as :func:`scipy.ndimage.generic_gradient_magnitude`.

    Arguments and result are those of :func:`generic_laplace`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> image = da.from_array(np.array([0.0, 0, 1, 3, 3]), chunks=2)
    >>> ndi.generic_gradient_magnitude(image, ndi.sobel).compute().tolist()
    [0.0, 1.0, 3.0, 2.0, 0.0]
    """
    settings = {"output": output, "mode": mode, "cval": cval}
    more = {"extra_arguments": tuple(extra_arguments), "extra_keywords": dict(extra_keywords or {})}
    if not is_lazy(input):
        return scipy.ndimage.generic_gradient_magnitude(input, derivative, axes=axes, **settings, **more)
    return _derived("generic_gradient_magnitude", input, derivative, settings, more, axes, depth)


def _derived(
    reference: str,
    input: Any,  # noqa: A002
    function: Callable[..., Any],
    settings: dict[str, Any],
    more: dict[str, Any],
    axes: Any,
    depth: Any,
) -> Any:
    image, call = lift(input), checked_function(function)
    along = image.axes(axes)
    seen = domain_of(image, along)
    # What counts as a mode is the function's business.
    dtype = tried(scipy.ndimage.laplace, image.node.dtype, len(along), output=settings["output"])
    modes = per_axis(settings["mode"], len(along), "mode")
    reach, wrap = _reach(image, seen, 1 if depth is None and call in _NEAR else depth, modes)
    shape = image.node.shape
    whole = [axis for axis in seen if reach[axis] >= shape[axis] > 0]
    settings |= {
        "reference": reference,
        "function": call,
        "apart": tuple(axis for axis in range(len(shape)) if axis not in seen),
        "output": dtype,
        "mode": modes,
        "axes": tuple(seen.index(axis) for axis in along),
    }
    made = Call(kernels.of_derivatives, settings | more)
    # The sum, a derivative, and what making it takes.
    return user_made(reference, spanning(image, whole), made, reach, dtype, wrap, workspace=3.0)


def _reach(
    image: Lifted, seen: Sequence[int], depth: Any, modes: Sequence[str]
) -> tuple[list[int], Sequence[int]]:
    """Return how far derivatives look along each axis, and the axes that wrap around."""
    shape = image.node.shape
    reach = [0] * len(shape)
    wraps = {mode in _WRAPS for mode in modes}
    given = [None] * len(seen) if depth is None else per_axis(depth, len(seen), "depth")
    for axis, value in zip(seen, given, strict=True):
        # An axis that wraps around for one derivative only cannot be padded for both: it is taken whole.
        if value is None or len(wraps) > 1:
            reach[axis] = shape[axis]
        elif int(value) < 0:
            raise InputError(f"depth = {depth}", kind="bad-depth", fix="give 0 voxels or more")
        else:
            reach[axis] = int(value)
    return reach, tuple(seen) if wraps == {True} else ()
