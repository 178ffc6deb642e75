"""A function of all voxels of each object, as scipy.ndimage.labeled_comprehension."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.ndimage
import xarray as xr

from chunkmed.graph.gathered import Members, gather
from chunkmed.graph.lift import is_lazy
from chunkmed.graph.nodes import Array
from chunkmed.ndimage.grouped import Request, request, stacked

__all__ = ["labeled_comprehension"]


def labeled_comprehension(
    input: Any,  # noqa: A002
    labels: Any,
    index: Any,
    func: Callable[..., Any],
    out_dtype: Any,
    default: Any,
    pass_positions: bool = False,
) -> Any:
    """Apply a function to the values of each object, as :func:`scipy.ndimage.labeled_comprehension`.

    Objects are gathered from the blocks, as many at a time as fit the memory; one that does not fit is
    refused. The function gets values in C order.

    Parameters
    ----------
    input : image or number
        Values.
    labels : image or None
        Objects; all voxels with None.
    index : int, sequence of int or None
        Labels wanted; all above zero together with None.
    func : callable
        Takes a flat array of values, and one of positions where they are passed.
    out_dtype : dtype
        Of the results.
    default : number
        Result of labels that are not there.
    pass_positions : bool, optional
        Whether ``func`` gets the C-order indices (in the time point) as a second argument.

    Returns
    -------
    number, ndarray or xarray.DataArray
        As in scipy; a leading ``t`` for images with a time dimension.

    Raises
    ------
    PlanError
        ``object-too-large`` if the voxels of one object do not fit the memory.
    InputError
        If the images differ in shape or grid, or the index does not fit the labels.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> labels = da.from_array(np.array([0, 1, 1, 2]), chunks=2)
    >>> values = da.from_array(np.array([9, 1, 4, 7]), chunks=2)
    >>> ndi.labeled_comprehension(values, labels, [1, 2, 3], np.ptp, float, -1).tolist()
    [3.0, 0.0, -1.0]
    """
    if not (is_lazy(input) or is_lazy(labels)):
        return scipy.ndimage.labeled_comprehension(
            input, labels, index, func, out_dtype, default, pass_positions
        )
    asked = request(input, labels, index, exact_index=True)
    members = gather(asked.nodes, asked.groups, asked.called, positions=pass_positions)

    def result(part: Members) -> Any:
        return func(part.values, part.positions) if pass_positions else func(part.values)

    if asked.index is None:
        return _whole(members, result, asked)
    # scipy puts what is returned into an array of this dtype, and so do we.
    table = np.empty((asked.groups.times, asked.groups.count), out_dtype)
    table[:] = default
    for part in members:
        table[part.time, part.group] = result(part)
    return stacked([frame[asked.rows] for frame in table], asked)


def _whole(members: Iterator[Members], result: Callable[[Members], Any], asked: Request) -> Any:
    """Return what the function gives of all voxels together, of whatever type."""
    # A time point without any voxels is handed on as such.
    none = np.empty(0, asked.nodes[0].dtype)
    found = {part.time: result(part) for part in members}
    every = range(asked.groups.times)
    results = [found[t] if t in found else result(Members(t, 0, none, np.empty(0, np.int64))) for t in every]
    if asked.groups.time is None:
        return results[0]
    shapes = {np.shape(each) for each in results}
    if len(shapes) == 1:
        values: Array = np.stack([np.asarray(each) for each in results])
    else:
        values = np.empty(len(results), object)
        values[:] = results
    image = asked.like.image
    dim = image.dims[asked.groups.time]
    coords = {dim: image.coords[dim].variable} if dim in image.coords else {}
    return xr.DataArray(values, dims=[dim, *(f"axis_{i}" for i in range(values.ndim - 1))], coords=coords)
