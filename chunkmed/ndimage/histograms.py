"""Histograms of labelled objects, as scipy.ndimage's: all labels in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.errors import InputError
from chunkmed.graph.lift import is_lazy
from chunkmed.graph.nodes import Array
from chunkmed.graph.tally import bin_counts
from chunkmed.ndimage.grouped import Request, request, stacked

__all__ = ["histogram"]


def histogram(
    input: Any,  # noqa: A002
    min: float,  # noqa: A002
    max: float,  # noqa: A002
    bins: int,
    labels: Any = None,
    index: Any = None,
) -> Any:
    """Histogram of the values of each object, as :func:`scipy.ndimage.histogram`.

    Parameters
    ----------
    input : image or number
        Values: integers, masks, or floats of at most 64 bits.
    min, max : number
        Range of the bins; values outside are in none, ``max`` itself is in the last.
    bins : int
        Number of bins, of one width.
    labels : image of numbers, optional
        Objects; all voxels without it.
    index : int or sequence of int, optional
        Labels wanted; all above zero together without it.

    Returns
    -------
    ndarray or xarray.DataArray
        int64, shape (bins,); for a sequence of labels as in scipy an array of such arrays, None where
        there is no such label. With a time dimension (t, bin) or (t, label, bin), 0 where there is none.

    Raises
    ------
    InputError
        If the images differ in shape or grid, the index does not fit the labels, or bins do not rise.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> ndi.histogram(da.from_array(np.array([0, 1, 1, 4]), chunks=2), 0, 4, 2).tolist()
    [3, 1]
    """
    if not (is_lazy(input) or is_lazy(labels)):
        return scipy.ndimage.histogram(input, min, max, bins, labels, index)
    edges = np.linspace(min, max, bins + 1)
    if len(edges) > 1 and np.any(edges[:-1] > edges[1:]):
        raise InputError(
            "`bins` must increase monotonically, when an array", kind="bad-range", why=f"from {min} to {max}"
        )
    if len(edges) < 2:
        raise InputError(f"bins = {bins}", kind="bad-bins", fix="give at least 1")
    asked = request(input, labels, index, exact_index=True)
    counts, voxels = bin_counts(asked.nodes, asked.groups, edges, name="histogram")
    if asked.groups.names is None or asked.groups.time is not None:
        return stacked([frame[asked.rows] for frame in counts], asked, "bin")
    return _of_objects(counts[0], voxels[0], asked)


def _of_objects(counts: Array, voxels: Array, asked: Request) -> Any:
    """Return an array of histograms, None where there is no such label."""
    out = np.empty(len(asked.rows), object)
    for place, row in enumerate(asked.rows):
        # None as in scipy: an object without voxels is not one without values in a bin.
        out[place] = counts[row].copy() if voxels[row] else None
    return out[0] if asked.single else out.reshape(np.shape(asked.index))
