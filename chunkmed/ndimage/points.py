"""Values at points that lie anywhere: scipy.ndimage's map_coordinates and geometric_transform, lazy."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dask.array as da
import numpy as np
import scipy.ndimage
import xarray as xr

from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.nodes import Call, Node
from chunkmed.graph.scattered import MappedPoints, Scattered
from chunkmed.graph.trace import node_of
from chunkmed.graph.views import Chunks
from chunkmed.graph.warp import Spline
from chunkmed.ndimage.coefficients import RefusedError, axes_last, interpolation, result_dtype
from chunkmed.ndimage.placing import placed, with_dims

__all__ = ["geometric_transform", "map_coordinates"]


def map_coordinates(
    input: Any,  # noqa: A002 - scipy's name
    coordinates: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> Any:
    """Values at points, as :func:`scipy.ndimage.map_coordinates`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are evaluated at once, others lazily. Of a DataArray the points are the same for
        every time.
    coordinates : array_like or dask.array.Array, shape (n, ...)
        Index along each of the n axes (z, y, x of a DataArray), in voxels. Blocks of a dask array
        beyond the first axis are those of the result.
    output, order, mode, cval, prefilter
        As in scipy. ``output`` is a dtype.

    Returns
    -------
    same type as input
        Of the shape of the coordinates, without coordinates along z, y, x.

    Notes
    -----
    Every block reads the box that holds its points, or, where that is large, tile after tile.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> image = da.from_array(np.arange(6.0).reshape(2, 3), chunks=2)
    >>> ndi.map_coordinates(image, [[0.5, 1.0], [0.5, 2.0]], order=1).compute().tolist()
    [2.0, 5.0]
    """
    if not is_lazy(input):
        return scipy.ndimage.map_coordinates(input, coordinates, output, order, mode, cval, prefilter)
    image = lift(input).one_channel()
    if isinstance(coordinates, xr.DataArray):
        coordinates = coordinates.data
    lazy = isinstance(coordinates, da.Array)
    given: Any = coordinates if lazy else np.asarray(coordinates)
    if given.dtype.kind == "c":
        raise _ComplexError("Complex type not supported", kind="bad-dtype", why="coordinates are complex")
    if given.ndim < 2:
        raise RefusedError("input and output rank must be > 0", kind="bad-shape")
    if given.shape[0] != (count := len(image.space_axes)):
        why = f"{given.shape[0]} coordinates for {count} axes"
        raise RefusedError("invalid shape for coordinate array", kind="bad-shape", why=why)
    chunks = given.chunks[1:] if lazy else None
    return _at_points(image, node_of(given), output, (order, mode, cval, prefilter), chunks)


def geometric_transform(
    input: Any,  # noqa: A002 - scipy's name
    mapping: Callable[..., Sequence[float]],
    output_shape: Any = None,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
    extra_arguments: tuple[Any, ...] = (),
    extra_keywords: Mapping[str, Any] | None = None,
) -> Any:
    """Values where a function says, as :func:`scipy.ndimage.geometric_transform`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are transformed at once, others lazily. Of a DataArray the function is that of z,
        y, x, the same for every time.
    mapping : function
        From the indices of a voxel of the result, a tuple, to those in the image. It is called voxel by
        voxel: arrays of coordinates for :func:`map_coordinates` are much faster.
    output_shape : tuple of int, optional
        By default that of the image.
    output, order, mode, cval, prefilter
        As in scipy. ``output`` is a dtype.
    extra_arguments, extra_keywords
        For the function.

    Returns
    -------
    same type as input
        Without coordinates along z, y, x.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> image = da.from_array(np.arange(6.0).reshape(2, 3), chunks=2)
    >>> turned = ndi.geometric_transform(image, lambda i: i[::-1], output_shape=(3, 2), order=1)
    >>> turned.compute().tolist()
    [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    """
    if not is_lazy(input):
        more = (prefilter, extra_arguments, extra_keywords or {})
        return scipy.ndimage.geometric_transform(
            input, mapping, output_shape, output, order, mode, cval, *more
        )
    image = lift(input).one_channel()
    if not callable(mapping):
        raise RefusedError(
            "mapping is not a Python function", kind="bad-function", fix="give a function of a tuple"
        )
    sizes = [image.node.shape[axis] for axis in image.space_axes]
    shape = tuple(operator.index(n) for n in (sizes if output_shape is None else output_shape))
    if not shape:
        raise RefusedError("input and output rank must be > 0", kind="bad-shape")
    call = Call(mapping, dict(extra_keywords or {}))
    points = MappedPoints(call, tuple(extra_arguments), len(sizes), shape)
    return _at_points(image, points, output, (order, mode, cval, prefilter), None)


class _ComplexError(RefusedError, TypeError):
    """An argument is wrong, and scipy says so by a ``TypeError``."""


def _at_points(
    image: Lifted, points: Node, output: Any, asked: tuple[Any, ...], chunks: Chunks | None
) -> Any:
    along = image.space_axes
    order, mode, cval, prefilter = asked
    settings = interpolation(order, mode, cval, prefilter, image.node.dtype)
    moved, _ = axes_last(image.node, along)

    def make(below: Node, spline: Spline, of: Any) -> Node:
        return Scattered(below, points, spline, of)

    node = settings.of(moved, make, result_dtype(output, image.node.dtype), len(along))
    lead = [axis for axis in range(len(image.node.shape)) if axis not in along]
    if chunks is not None and image.chunks is not None:
        chunks = (*(image.chunks[axis] for axis in lead), *chunks)
    if image.dims is None:
        return placed(image, node, None, chunks=chunks)
    names = [image.dims[axis] for axis in along]
    same = len(points.shape) - 1 == len(along)
    dims = (
        [image.dims[axis] for axis in lead] + names
        if same
        else with_dims(image, along, len(points.shape) - 1)
    )
    return placed(image, node, dims, names, chunks=chunks)
