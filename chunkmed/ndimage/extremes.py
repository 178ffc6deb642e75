"""Minimum and maximum filters: scipy.ndimage's, lazy, per time point, windows in voxels or mm."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.errors import refusal
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.nodes import Call, Node
from chunkmed.kernels import ranks as kernels
from chunkmed.kernels.windows import MOST_AT_ONCE, Window, compared_bytes
from chunkmed.ndimage.arguments import output_dtype, refuse_text
from chunkmed.ndimage.windows import (
    box_window,
    check_values,
    footprint_window,
    origins_of,
    stencil,
    warn_of_size,
)

__all__ = [
    "extreme_node",
    "extreme_window",
    "maximum_filter",
    "maximum_filter1d",
    "minimum_filter",
    "minimum_filter1d",
]

#: Of a voxel and a byte of it: what is always to do, and each comparison.
_FIXED_NS, _COMPARISON_NS = 0.3, 0.06


def minimum_filter(
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
    """Minimum filter, as :func:`scipy.ndimage.minimum_filter`.

    Windows that hold NaN give NaN: scipy does not say what they give.

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
    >>> ndi.minimum_filter(line, size=3).compute().tolist()
    [1, 1, 2, 2, 3]
    """
    if not is_lazy(input):
        refuse_text(size=size)
        return scipy.ndimage.minimum_filter(input, size, footprint, output, mode, cval, origin, axes=axes)
    return _filtered(input, False, size, footprint, output, mode, cval, origin, axes)


def maximum_filter(
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
    """Maximum filter, as :func:`scipy.ndimage.maximum_filter`.

    Windows that hold NaN give NaN: scipy does not say what they give.

    Parameters
    ----------
    input, size, footprint, output, mode, cval, origin, axes
        As of :func:`minimum_filter`.

    Returns
    -------
    same type as input
        Same shape and coordinates.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> ndi.maximum_filter(da.from_array(np.array([1, 9, 2, 8, 3]), chunks=2), size=3).compute().tolist()
    [9, 9, 9, 8, 8]
    """
    if not is_lazy(input):
        refuse_text(size=size)
        return scipy.ndimage.maximum_filter(input, size, footprint, output, mode, cval, origin, axes=axes)
    return _filtered(input, True, size, footprint, output, mode, cval, origin, axes)


def minimum_filter1d(
    input: Any,  # noqa: A002
    size: Any,
    axis: Any = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Any:
    """Minimum filter along one axis, as :func:`scipy.ndimage.minimum_filter1d`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily.
    size : int or str
        Width of the window in voxels, or in mm as text (rounded to the next odd number of voxels).
    axis : int or str
        The axis, a number or the name of a dim.
    output, mode, cval, origin
        As in scipy. ``output`` is a dtype.

    Returns
    -------
    same type as input
        Same shape and coordinates.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([1, 5, 2, 8, 3], np.int16), chunks=2)
    >>> ndi.minimum_filter1d(line, 3).compute().tolist()
    [1, 1, 2, 2, 3]
    """
    if not is_lazy(input):
        refuse_text(size=size)
        return scipy.ndimage.minimum_filter1d(input, size, axis, output, mode, cval, origin)
    return _filtered1d(input, False, size, axis, output, mode, cval, origin)


def maximum_filter1d(
    input: Any,  # noqa: A002
    size: Any,
    axis: Any = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Any:
    """Maximum filter along one axis, as :func:`scipy.ndimage.maximum_filter1d`.

    Parameters
    ----------
    input, size, axis, output, mode, cval, origin
        As of :func:`minimum_filter1d`.

    Returns
    -------
    same type as input
        Same shape and coordinates.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([1, 5, 2, 8, 3], np.int16), chunks=2)
    >>> ndi.maximum_filter1d(line, 3).compute().tolist()
    [5, 5, 8, 8, 8]
    """
    if not is_lazy(input):
        refuse_text(size=size)
        return scipy.ndimage.maximum_filter1d(input, size, axis, output, mode, cval, origin)
    return _filtered1d(input, True, size, axis, output, mode, cval, origin)


def _filtered1d(
    input: Any,  # noqa: A002
    highest: bool,
    size: Any,
    axis: Any,
    output: Any,
    mode: str,
    cval: float,
    origin: int,
) -> Any:
    if not isinstance(size, str) and size < 1:
        raise refusal(RuntimeError, "incorrect filter size", kind="bad-size", why=f"size = {size}")
    return _filtered(input, highest, size, None, output, mode, cval, origin, (axis,))


def _filtered(
    input: Any,  # noqa: A002
    highest: bool,
    size: Any,
    footprint: Any,
    output: Any,
    mode: Any,
    cval: Any,
    origin: Any,
    axes: Any,
) -> Any:
    warn_of_size(size, footprint)
    image = lift(input)
    check_values(image)
    along = image.axes(axes)
    window = extreme_window(image, along, size, footprint, mode, cval, origins_of(origin, along))
    return image.lower(extreme_node(image.node, window, highest, output_dtype(output, image.node.dtype)))


def extreme_window(
    image: Lifted, along: tuple[int, ...], size: Any, footprint: Any, mode: Any, cval: Any, origins: Any
) -> Window:
    """Return the window of scipy's arguments: a footprint without gaps is a box."""
    if footprint is None:
        return box_window(image, along, size, mode, cval, origins)
    shape = np.asarray(footprint, dtype=bool)
    if shape.ndim == len(along) and shape.all() and shape.size:
        return box_window(image, along, shape.shape, mode, cval, origins)
    return footprint_window(image, along, shape, mode, cval, origins)


def extreme_node(node: Node, window: Window, highest: bool, dtype: Any) -> Node:
    """Return the node of the lowest or highest values in windows."""
    cost = (_FIXED_NS + _COMPARISON_NS * _comparisons(window, len(node.shape))) * compared_bytes(node.dtype)
    call = Call(kernels.extreme, {"window": window, "highest": highest})
    return stencil(node, call, window, dtype, cost)


def _comparisons(window: Window, ndim: int) -> int:
    """Return how many values are compared for a voxel: long axes by halves, a few planes in turn."""
    if window.footprint is not None:
        return int(np.count_nonzero(window.footprint.any(axis=-1)))
    pairs = zip(window.axes, window.shape, strict=True)
    halves = [(axis >= ndim - 2 or n > MOST_AT_ONCE, n) for axis, n in pairs]
    return sum(2 * (n - 1).bit_length() if by_halves else n - 1 for by_halves, n in halves)
