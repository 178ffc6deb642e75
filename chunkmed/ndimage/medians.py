"""Median of the values of labelled objects, as scipy.ndimage's, exact and in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.graph.lift import is_lazy
from chunkmed.graph.nodes import Array
from chunkmed.graph.selection import select
from chunkmed.ndimage.grouped import request, stacked

__all__ = ["median"]


def median(input: Any, labels: Any = None, index: Any = None) -> Any:  # noqa: A002
    """Median of the values of each object, as :func:`scipy.ndimage.median`.

    Integers of 16 bits take one pass for up to a few labels, others two or three: as many as it takes
    to count values exactly in bounded memory.

    Parameters
    ----------
    input : image or number
        Values: integers, masks, or floats of at most 64 bits. NaN makes the median of all voxels or of
        one label NaN; in a sequence of labels it is higher than every number, as in scipy.
    labels : image, optional
        Objects; all voxels without it.
    index : number or sequence of them, optional
        Labels wanted; all above zero together without it.

    Returns
    -------
    number, ndarray or xarray.DataArray
        float64 for integers, else the dtype of the values; a leading ``t`` for images with a time
        dimension. NaN for labels that are not there (scipy gives a value of another label in a sequence).

    Raises
    ------
    InputError
        If the images differ in shape or grid, or values have no order.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> labels = da.from_array(np.array([0, 1, 1, 2]), chunks=2)
    >>> ndi.median(da.from_array(np.array([9, 1, 4, 7]), chunks=2), labels, index=[1, 2]).tolist()
    [2.5, 7.0]
    """
    if not (is_lazy(input) or is_lazy(labels)):
        return scipy.ndimage.median(input, labels, index)
    asked = request(input, labels, index)
    single = asked.single

    def middle(counts: Array, nans: Array) -> tuple[Array, Array]:
        total = counts if single else counts + nans
        middles = np.concatenate([(total - 1) // 2, total // 2])
        owners = np.tile(np.arange(len(counts)), 2)
        there = middles < np.tile(counts, 2)
        there &= np.tile(total > 0, 2)
        return owners[there], middles[there]

    found = select(asked.nodes, asked.groups, middle, name="median")
    values = _middles(found.owner, found.values, found.counts, found.nans, single)
    frames = values.reshape(asked.groups.times, asked.groups.count)
    return stacked([frame[asked.rows] for frame in frames], asked)


def _middles(owner: Array, values: Array, counts: Array, nans: Array, single: bool) -> Array:
    """Return the mean of the two values in the middle of each group, NaN where there are none."""
    dtype = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
    pairs = np.full((len(counts), 2), np.nan, dtype)
    # The lower one comes first; where the other is NaN it stays so.
    first = np.unique(owner, return_index=True)[1]
    lower = np.zeros(len(owner), bool)
    lower[first] = True
    pairs[owner[lower], 0] = values[lower]
    pairs[owner[~lower], 1] = values[~lower]
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype == np.float16 and single:
            # numpy.median adds them in float32.
            middle = ((pairs[:, 0].astype(np.float32) + pairs[:, 1]) / np.float32(2)).astype(dtype)
        else:
            middle = (pairs[:, 0] + pairs[:, 1]) / dtype.type(2)
    if single:
        middle[nans > 0] = np.nan
    return np.asarray(middle, dtype)
