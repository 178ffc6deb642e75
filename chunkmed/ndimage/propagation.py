"""Masks that depend on the whole image: holes that are filled, and what spreads through a mask."""

from __future__ import annotations

from typing import Any

import scipy.ndimage

from chunkmed.graph.lift import is_lazy, lift
from chunkmed.graph.spreading import reached
from chunkmed.ndimage.arguments import check_origins, per_axis
from chunkmed.ndimage.morphology import binary_dilation, checked_structure
from chunkmed.ndimage.stable import Neighbours, as_output, checked_output, inverted

__all__ = ["binary_fill_holes", "binary_propagation"]


def binary_fill_holes(
    input: Any,  # noqa: A002
    structure: Any = None,
    output: Any = None,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Fill the holes of objects, as :func:`scipy.ndimage.binary_fill_holes`.

    The background is labelled at once, in one pass over the image; what does not reach the border is
    filled, lazily. A structure that reaches further than the next voxel, or only one way, takes a pass
    for every time that it goes from block to block.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        Non-zero voxels are objects. A DataArray is filled along z, y, x at every time point.
    structure : array_like, optional
        Where background reaches; faces by default.
    output : dtype, optional
        bool by default.
    origin : int or sequence of int, optional
        Shift of the structure.
    axes : tuple of int or str, optional
        Axes whose border is outside: ``("y", "x")`` fills each slice by itself.

    Returns
    -------
    same type as input
        bool, lazy.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> ring = da.from_array(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]]), chunks=2)
    >>> ndi.binary_fill_holes(ring).compute().all()
    np.True_
    """
    if not is_lazy(input):
        return scipy.ndimage.binary_fill_holes(input, structure, output, origin, axes=axes)
    image = lift(input)
    along = image.axes(axes)
    shape = checked_structure(structure, len(along))
    origins = [int(value) for value in per_axis(origin, len(along), "origin")]
    check_origins(origins, shape.shape)
    dtype = checked_output(image.node, output)
    offsets = Neighbours(shape, origins, along).offsets(len(image.node.shape), grow=True)
    outside = reached(None, inverted(image.node), image.node.shape, offsets, border=True)
    return image.lower(as_output(inverted(outside), dtype))


def binary_propagation(
    input: Any,  # noqa: A002
    structure: Any = None,
    mask: Any = None,
    output: Any = None,
    border_value: int = 0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Let objects spread through a mask, as :func:`scipy.ndimage.binary_propagation`.

    A dilation until nothing changes. The mask is labelled at once, in one pass; what is reached is lazy.
    Objects outside of the mask stay, and reach the parts of the mask next to them.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        Non-zero voxels spread, along z, y, x at every time point of a DataArray.
    structure : array_like, optional
        Where they reach; faces by default. It must hold its own voxel.
    mask : same type as input, optional
        Voxels that can be reached; all by default.
    output : dtype, optional
        bool by default.
    border_value : int, optional
        1 lets what lies outside of the image spread too.
    origin : int or sequence of int, optional
        Shift of the structure.
    axes : tuple of int or str, optional
        Axes to spread along.

    Returns
    -------
    same type as input
        bool, lazy.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> mask = da.from_array(np.array([1, 1, 0, 1, 1]) > 0, chunks=2)
    >>> seeds = da.from_array(np.array([0, 0, 0, 0, 1]) > 0, chunks=2)
    >>> ndi.binary_propagation(seeds, mask=mask).compute().astype(int).tolist()
    [0, 0, 0, 1, 1]
    """
    if not is_lazy(input):
        given = (input, structure, mask, output, border_value, origin)
        return scipy.ndimage.binary_propagation(*given, axes=axes)
    return binary_dilation(input, structure, -1, mask, output, border_value, origin, axes=axes)
