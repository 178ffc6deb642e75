"""Label connected components of any chunking with exactly scipy.ndimage.label's numbers.

A component's number is the rank of its first voxel in C order, which is what scipy's scan gives. Labels
are looked up when they are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.ndimage
import xarray as xr

from chunkmed.errors import InputError
from chunkmed.graph.components import find_components
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.lookup import Lookup
from chunkmed.graph.nodes import Array
from chunkmed.label_names import LABELS

__all__ = ["embedded", "label", "ranks"]


def label(
    input: Any,  # noqa: A002
    structure: Any = None,
    output: Any = None,
    *,
    axes: Any = None,
) -> Any:
    """Label connected objects, as :func:`scipy.ndimage.label`.

    The objects are counted at once, in one pass over the image; the labels are lazy.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        Non-zero voxels are objects. A DataArray with a time dimension is labelled per time point,
        numbers restarting at 1.
    structure : array_like, optional
        What counts as connected: 3 per axis, centrosymmetric; faces by default.
    output : dtype, optional
        int32 by default.
    axes : tuple of int or str, optional
        Axes to connect along: ``("t", "z", "y", "x")`` links objects through time.

    Returns
    -------
    labels : same type as input
        0 is background.
    num_features : int or xarray.DataArray
        Number of objects, per time point where there are several.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> mask = da.from_array(np.array([1, 1, 0, 1, 1]) > 0, chunks=1)
    >>> labels, n = ndi.label(mask)
    >>> labels.compute().tolist(), n
    ([1, 1, 0, 2, 2], 2)
    """
    if not is_lazy(input):
        if axes is not None:
            raise InputError("axes of a NumPy array", kind="bad-axis", fix="give an xarray.DataArray")
        return scipy.ndimage.label(input, structure, output)
    image = lift(input).one_channel()
    if not image.node.shape:
        raise InputError(
            "an image without axes has no objects",
            kind="no-axes",
            fix="take its value: scipy.ndimage.label(image.compute())",
        )
    along = image.axes(axes)
    connected = embedded(structure, along, len(image.node.shape))
    apart = image.time_axis if image.time_axis is not None and image.time_axis not in along else None
    node, counts = _label_node(image, connected, apart, output)
    return image.lower(node, name=LABELS), _counted(image, counts, apart)


def embedded(structure: Any, along: Sequence[int], ndim: int) -> Array:
    """Return the structure over all axes of the image; axes not in ``along`` never connect."""
    if structure is None:
        structure = scipy.ndimage.generate_binary_structure(len(along), 1)
    small = np.asarray(structure, dtype=bool)
    if small.ndim != len(along):
        raise RuntimeError("structure and input must have equal rank")
    if any(n != 3 for n in small.shape):
        raise ValueError(f"structure dimensions must be equal to 3, got {small.shape}")
    if not np.array_equal(small, small[(slice(None, None, -1),) * small.ndim]):
        raise ValueError("structuring element is not symmetric")
    full = np.zeros((3,) * ndim, dtype=bool)
    order = np.argsort(along)
    cut = tuple(slice(None) if axis in along else 1 for axis in range(ndim))
    full[cut] = small.transpose(order)
    return full


def _label_node(image: Lifted, structure: Array, apart: int | None, output: Any) -> tuple[Lookup, Array]:
    found = find_components(image.node, structure)
    numbers, counts = ranks(found.firsts, found.roots, found.shape, apart)
    return found.look_up(numbers.astype(_label_dtype(output, counts)), f"labels {apart}"), counts


def ranks(firsts: Array, roots: Array, shape: Sequence[int], apart: int | None) -> tuple[Array, Array]:
    """Return the final number of each local label and the counts per time point.

    Parameters
    ----------
    firsts, roots : ndarray of int64, shape (n,)
        First voxel of each local label, and the local label that stands for its component.
    shape : sequence of int
        Of the image.
    apart : int, optional
        Axis along which nothing connects and numbers restart.
    """
    own = np.flatnonzero(roots == np.arange(len(roots)))
    times = np.zeros(len(own), np.int64) if apart is None else np.unravel_index(firsts[own], shape)[apart]
    order = np.lexsort((firsts[own], times))
    counts = np.bincount(times, minlength=1 if apart is None else shape[apart])
    starts = np.concatenate([[0], np.cumsum(counts)])[:-1]
    rank = np.zeros(len(roots), np.int64)
    rank[own[order]] = np.arange(len(own)) - np.repeat(starts, counts) + 1
    return rank[roots], counts


def _label_dtype(output: Any, counts: Array) -> np.dtype[Any]:
    most = int(counts.max(initial=0))
    if output is None:
        return np.dtype(np.int32 if most < 2**31 - 1 else np.int64)
    dtype: np.dtype[Any] = np.dtype(output)
    if dtype.kind in "iu" and most > np.iinfo(dtype).max:
        raise RuntimeError(f"insufficient bit-depth in requested output type: {most} labels")
    return dtype


def _counted(image: Lifted, counts: Array, apart: int | None) -> Any:
    if apart is None:
        return int(counts[0])
    dim = image.image.dims[apart]
    coords = {dim: image.image.coords[dim]} if dim in image.image.coords else None
    return xr.DataArray(counts, dims=[dim], coords=coords, name="num_features")
