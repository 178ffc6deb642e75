"""Coefficients of splines: scipy.ndimage's spline_filter and spline_filter1d, lazy, per time point."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.nodes import Call, Node, Pointwise
from chunkmed.ndimage.arguments import MODES
from chunkmed.ndimage.coefficients import RefusedError, check_dtype, check_order, coefficients, result_dtype

__all__ = ["cast", "spline_filter", "spline_filter1d"]


def spline_filter(
    input: Any,  # noqa: A002 - scipy's name
    order: int = 3,
    output: Any = np.float64,
    mode: str = "mirror",
) -> Any:
    """Coefficients of the spline through the voxels, as :func:`scipy.ndimage.spline_filter`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    order : int
        2 to 5.
    output : dtype
        Of the result.
    mode : str
        As in scipy.

    Returns
    -------
    same type as input
        Same shape and coordinates.

    Notes
    -----
    A voxel counts everywhere, but less and less: blocks read what counts at least 1e-17 of it, 26
    voxels further than themselves for order 2 and 53 for order 5.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> ndi.spline_filter(da.from_array(np.array([0.0, 6.0, 0.0]), chunks=2)).compute().round(6).tolist()
    [-6.0, 12.0, -6.0]
    """
    if not is_lazy(input):
        return scipy.ndimage.spline_filter(input, order, output, mode)
    image = lift(input).one_channel()
    check_order(order, 2)
    return _filtered(image, image.space_axes, operator.index(order), output, mode)


def spline_filter1d(
    input: Any,  # noqa: A002 - scipy's name
    order: int = 3,
    axis: Any = -1,
    output: Any = np.float64,
    mode: str = "mirror",
) -> Any:
    """Coefficients of the splines along one axis, as :func:`scipy.ndimage.spline_filter1d`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily.
    order : int
        0 to 5; 0 and 1 leave the values as they are.
    axis : int or str
        Number of an axis or name of a dim.
    output : dtype
        Of the result.
    mode : str
        As in scipy.

    Returns
    -------
    same type as input
        Same shape and coordinates.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> ndi.spline_filter1d(da.from_array(np.array([0.0, 6.0, 0.0]), chunks=2)).compute().round(6).tolist()
    [-6.0, 12.0, -6.0]
    """
    if not is_lazy(input):
        return scipy.ndimage.spline_filter1d(input, order, axis, output, mode)
    image = lift(input).one_channel()
    check_order(order, 0)
    return _filtered(image, image.axes(axis), operator.index(order), output, mode)


def _filtered(image: Lifted, axes: Sequence[int], order: int, output: Any, mode: str) -> Any:
    if mode not in MODES:
        raise RefusedError(f"border mode {mode!r} is not supported", kind="bad-mode", fix=", ".join(MODES))
    check_dtype(image.node.dtype, "an image")
    dtype = result_dtype(output, image.node.dtype)
    if order < 2:
        return image.lower(cast(image.node, dtype))
    return image.lower(coefficients(image.node, order, axes, mode, dtype))


def cast(node: Node, dtype: np.dtype[Any]) -> Node:
    """Return a node in another dtype, cut to it as NumPy does."""
    if node.dtype == dtype:
        return node
    return Pointwise(Call(_astype, {"dtype": dtype}), [node], node.shape, dtype)


def _astype(values: Any, *, dtype: np.dtype[Any]) -> Any:
    return values.astype(dtype)
