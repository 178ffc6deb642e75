"""Distance transforms: scipy.ndimage's, exact, lazy, per time point, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
import xarray as xr

from chunkmed.errors import InputError
from chunkmed.graph.lift import is_lazy, lift
from chunkmed.ndimage.nearest import axes_of
from chunkmed.ndimage.transforms import euclidean, steps

__all__ = ["distance_transform_bf", "distance_transform_cdt", "distance_transform_edt"]

_TAXICAB = ("taxicab", "cityblock", "manhattan")


def distance_transform_edt(
    input: Any,  # noqa: A002 - scipy's name
    sampling: Any = None,
    return_distances: bool = True,
    return_indices: bool = False,
    distances: Any = None,
    indices: Any = None,
) -> Any:
    """Exact Euclidean distance to the nearest background, as :func:`scipy.ndimage.distance_transform_edt`.

    The mask is read once along its first axis; what is kept of it, two bytes a voxel, lies on disk where
    it does not fit in memory. Results are equal to scipy's to the last bit, indices too.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        0 is background. A DataArray is transformed along z, y, x at every time point.
    sampling : float or sequence of float, optional
        Distance of neighbours along each axis. By default millimetres from the coordinates of the image,
        slices at uneven distances where they lie; voxels where the image has no coordinates.
    return_distances, return_indices : bool
        What is wanted.
    distances, indices : ndarray, optional
        Filled where ``input`` is a NumPy array; refused for others.

    Returns
    -------
    distances : same type as input
        float64. Without any background, as scipy: distances from the voxel (-1, 0, 0).
    indices : same type as input
        int32, one more axis, the first: z, y, x of the nearest background within its time point. It is
        named ``axis`` in a DataArray.

    Raises
    ------
    InputError
        ``sheared`` where the axes of the grid are not at right angles, ``bad-sampling``, ``output-array``.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> mask = da.from_array(np.array([0, 1, 1, 1, 0, 1]) > 0, chunks=2)
    >>> ndi.distance_transform_edt(mask, sampling=1.5).compute().tolist()
    [0.0, 1.5, 3.0, 1.5, 0.0, 1.5]
    """
    if not is_lazy(input):
        return scipy.ndimage.distance_transform_edt(
            input, sampling, return_distances, return_indices, distances, indices
        )
    _check(return_distances, return_indices, distances, indices)
    if not isinstance(input, xr.DataArray) and input.ndim == 0:
        input = input.reshape(1)  # noqa: A001 - as scipy
    image = lift(input)
    axes = axes_of(image, sampling)
    return euclidean(image, axes, scipy.ndimage.distance_transform_edt, (return_distances, return_indices))


def distance_transform_bf(
    input: Any,  # noqa: A002
    metric: str = "euclidean",
    sampling: Any = None,
    return_distances: bool = True,
    return_indices: bool = False,
    distances: Any = None,
    indices: Any = None,
) -> Any:
    """Distance to the nearest background, as :func:`scipy.ndimage.distance_transform_bf`, but fast.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        0 is background.
    metric : {"euclidean", "taxicab", "chessboard"}
        ``cityblock`` and ``manhattan`` are other names of taxicab.
    sampling, return_distances, return_indices, distances, indices
        As in :func:`distance_transform_edt`; ``sampling`` counts for ``euclidean`` only. Indices of the
        other metrics come from scipy, a time point at once.

    Returns
    -------
    distances : same type as input
        float64 for ``euclidean``, else uint32, in voxels.
    indices : same type as input
        As of :func:`distance_transform_edt`; the last one in C order of those that are as near.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> mask = da.from_array(np.array([0, 1, 1, 1, 0, 1]) > 0, chunks=2)
    >>> ndi.distance_transform_bf(mask, "taxicab").compute().tolist()
    [0, 1, 2, 1, 0, 1]
    """
    reference = scipy.ndimage.distance_transform_bf
    if not is_lazy(input):
        return reference(input, metric, sampling, return_distances, return_indices, distances, indices)
    _check(return_distances, return_indices, distances, indices)
    name = "taxicab" if metric.lower() in _TAXICAB else metric.lower()
    if name not in ("euclidean", "taxicab", "chessboard"):
        raise RuntimeError("distance metric not supported")
    image = lift(input)
    wanted = return_distances, return_indices
    if name == "euclidean":
        return euclidean(image, axes_of(image, sampling), reference, wanted)
    return steps(image, name, np.uint32(np.iinfo(np.uint32).max), reference, wanted)


def distance_transform_cdt(
    input: Any,  # noqa: A002
    metric: Any = "chessboard",
    return_distances: bool = True,
    return_indices: bool = False,
    distances: Any = None,
    indices: Any = None,
) -> Any:
    """Chamfer distance to the nearest background, as :func:`scipy.ndimage.distance_transform_cdt`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        0 is background.
    metric : {"chessboard", "taxicab"} or array_like
        A structure of 3 along each axis is chamfered with by scipy, a time point at once.
    return_distances, return_indices, distances, indices
        As in :func:`distance_transform_edt`. Indices come from scipy, a time point at once.

    Returns
    -------
    distances : same type as input
        int32, in voxels; -1 where there is no background.
    indices : same type as input
        As of :func:`distance_transform_edt`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> mask = da.from_array(np.array([[0, 1, 1], [1, 1, 1]]) > 0, chunks=2)
    >>> ndi.distance_transform_cdt(mask).compute().tolist()
    [[0, 1, 2], [1, 1, 2]]
    """
    reference = scipy.ndimage.distance_transform_cdt
    if not is_lazy(input):
        return reference(input, metric, return_distances, return_indices, distances, indices)
    _check(return_distances, return_indices, distances, indices)
    image = lift(input)
    found = _metric(metric, len(axes_of(image, 1)))
    return steps(image, found, np.int32(-1), reference, (return_distances, return_indices))


def _check(return_distances: bool, return_indices: bool, distances: Any, indices: Any) -> None:
    if not return_distances and not return_indices:
        raise RuntimeError("at least one of return_distances/return_indices must be True")
    for name, value in (("distances", distances), ("indices", indices)):
        if value is not None:
            raise InputError(
                f"{name} cannot be an array here",
                kind="output-array",
                why="results of chunked images are lazy",
                fix="take what is returned",
            )


def _metric(metric: Any, ndim: int) -> Any:
    """Return the name of a metric, a structure where it has none."""
    if isinstance(metric, str):
        if metric in _TAXICAB or metric == "chessboard":
            return "taxicab" if metric in _TAXICAB else metric
        raise InputError(f"metric = {metric!r}", kind="bad-metric", why="invalid metric provided")
    structure = np.asarray(metric)
    if structure.shape != (3,) * ndim:
        raise InputError(
            "metric sizes must be equal to 3", kind="bad-metric", why=f"{structure.shape} for {ndim} axes"
        )
    for name, reach in (("taxicab", 1), ("chessboard", ndim)):
        if np.array_equal(structure != 0, scipy.ndimage.generate_binary_structure(ndim, reach)):
            return name
    return structure
