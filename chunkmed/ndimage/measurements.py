"""Numbers of labelled objects with scipy.ndimage's signatures, all labels in one pass.

With a time dimension every result gains a leading ``t``:
``ndi.sum(1, labels, index=1)[t] == ndi.sum(1, labels[t], index=1)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import scipy.ndimage
import xarray as xr

from chunkmed.coords import check_grid
from chunkmed.errors import InputError
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.reduce import Axes, Grouping, label_statistics, positions
from chunkmed.kernels.moments import Moments

__all__ = [
    "center_of_mass",
    "extrema",
    "find_objects",
    "maximum",
    "maximum_position",
    "mean",
    "minimum",
    "minimum_position",
    "standard_deviation",
    "sum",
    "sum_labels",
    "variance",
]

Column = Callable[[Moments, "_Request"], Array]


@dataclass(frozen=True)
class _Request:
    """Images of a measurement on common axes, and which rows are wanted."""

    values: Node | None
    labels: Node | None
    scalar: Any
    axes: Axes
    like: Lifted
    index: Any

    @property
    def grouping(self) -> Grouping:
        if self.labels is None:
            return "all"
        return "positive" if self.index is None else "each"

    @property
    def wanted(self) -> Array:
        """Labels asked for, flat."""
        single = self.labels is None or self.index is None
        return np.ones(1, np.int64) if single else np.atleast_1d(np.asarray(self.index)).ravel()


def _request(input: Any, labels: Any, index: Any) -> _Request:  # noqa: A002
    # The image with most dims leads; scalars and images without t broadcast.
    scalar = input if np.ndim(input) == 0 else None
    images = [item for item in (None if scalar is not None else input, labels) if item is not None]
    if all(isinstance(item, xr.DataArray) for item in images):
        check_grid(images[0], images[-1], "the labels")
        images = list(xr.broadcast(*images))
        if len(images) == 2 and images[0].shape != np.broadcast_shapes(*(np.shape(i) for i in images)):
            raise InputError("image and labels differ in shape", kind="shape-mismatch")
    lifted = [lift(item).one_channel() for item in _of_one_shape(images)]
    like = next((item for item in lifted if item.dims is not None), lifted[0])
    nodes = iter(item.node for item in lifted)
    values = None if scalar is not None else next(nodes)
    grid = Axes(like.node.shape, like.time_axis, like.space_axes, many=True)
    return _Request(values, None if labels is None else next(nodes), scalar, grid, like, index)


def _of_one_shape(images: Sequence[Any]) -> list[Any]:
    """Return images of one shape: arrays without names broadcast, as scipy's do."""
    shapes = list(dict.fromkeys(tuple(np.shape(item)) for item in images))
    if len(shapes) == 1:
        return list(images)
    try:
        if any(isinstance(item, xr.DataArray) for item in images):
            raise ValueError("dims say which axes are which, shapes do not")
        shape = np.broadcast_shapes(*shapes)
    except ValueError as error:
        why = " against ".join(map(str, shapes))
        raise InputError("image and labels differ in shape", kind="shape-mismatch", why=why) from error
    return [da.broadcast_to(da.asarray(item), shape) for item in images]


def _measured(input: Any, labels: Any, index: Any, column: Column, missing: float) -> Any:  # noqa: A002
    request = _request(input, labels, index)
    tables = label_statistics(request.labels, request.values, request.axes, grouping=request.grouping)
    rows = [_select(column(table, request), table.label, request.wanted, missing) for table in tables]
    return _shaped(rows, request)


def _select(column: Array, names: Array, wanted: Array, missing: float) -> Array:
    """Return the rows of the wanted labels; ``missing`` where an image has no such label."""
    place = np.searchsorted(names, wanted)
    place = np.minimum(place, max(len(names) - 1, 0))
    found = names[place] == wanted if len(names) else np.zeros(len(wanted), bool)
    dtype = column.dtype if np.all(found) or missing == 0 else np.result_type(column.dtype, np.float64)
    out = np.full((len(wanted), *column.shape[1:]), missing, dtype=dtype)
    out[found] = column[place[found]]
    return out


def _shaped(rows: list[Array], request: _Request) -> Any:
    """Return scipy's shape: a number or an array, with a leading t where there is time."""
    single = request.labels is None or request.index is None or np.ndim(request.index) == 0
    parts = [row[0] if single else row for row in rows]
    if request.axes.time is None:
        # scipy keeps the shape of the index, whatever its number of axes.
        return parts[0] if single else parts[0].reshape(np.shape(request.index) + parts[0].shape[1:])
    image = request.like.image
    dim = image.dims[request.axes.time]
    extra = np.ndim(parts[0])
    dims = [dim, *(["label"] if not single else []), *(["axis"] if extra > (0 if single else 1) else [])]
    coords: dict[Any, Any] = {dim: image.coords[dim]} if dim in image.coords else {}
    if not single:
        coords["label"] = request.wanted
    if "axis" in dims:
        coords["axis"] = [str(image.dims[axis]) for axis in request.axes.space]
    return xr.DataArray(np.stack(parts), dims=dims, coords=coords)


def _is_ours(*images: Any) -> bool:
    return any(is_lazy(image) for image in images)


def _total(table: Moments, request: _Request) -> Array:
    return table.count * np.asarray(request.scalar) if request.scalar is not None else table.total


def sum_labels(input: Any, labels: Any = None, index: Any = None) -> Any:  # noqa: A002
    """Sum of the values of each object, as :func:`scipy.ndimage.sum_labels`.

    Parameters
    ----------
    input : image or number
        Values; 1 counts voxels.
    labels : image of integers, optional
        Objects; all voxels without it.
    index : int or sequence of int, optional
        Labels wanted; all above zero together without it.

    Returns
    -------
    number, ndarray or xarray.DataArray
        As in scipy; with a leading ``t`` for images with a time dimension.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> labels = da.from_array(np.array([0, 1, 1, 2]), chunks=2)
    >>> ndi.sum_labels(1, labels, index=[1, 2]).tolist()
    [2, 1]
    """
    if not _is_ours(input, labels):
        return scipy.ndimage.sum_labels(input, labels, index)
    return _measured(input, labels, index, _total, 0)


def sum(input: Any, labels: Any = None, index: Any = None) -> Any:  # noqa: A001, A002
    """Sum of the values of each object: another name of :func:`sum_labels`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([3, 9, 1, 4], np.int16), chunks=2)
    >>> labels = da.from_array(np.array([1, 1, 2, 2]), chunks=2)
    >>> ndi.sum(line, labels, index=[1, 2])
    array([12,  5])
    """
    return sum_labels(input, labels, index)


def _mean(table: Moments, request: _Request) -> Array:
    return _total(table, request) / table.count


def mean(input: Any, labels: Any = None, index: Any = None) -> Any:  # noqa: A002
    """Mean of the values of each object, as :func:`scipy.ndimage.mean`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([3, 9, 1, 4], np.int16), chunks=2)
    >>> labels = da.from_array(np.array([1, 1, 2, 2]), chunks=2)
    >>> ndi.mean(line, labels, index=[1, 2])
    array([6. , 2.5])
    """
    if not _is_ours(input, labels):
        return scipy.ndimage.mean(input, labels, index)
    return _measured(input, labels, index, _mean, np.nan)


def variance(input: Any, labels: Any = None, index: Any = None) -> Any:  # noqa: A002
    """Variance of the values of each object, as :func:`scipy.ndimage.variance`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([3, 9, 1, 4], np.int16), chunks=2)
    >>> labels = da.from_array(np.array([1, 1, 2, 2]), chunks=2)
    >>> ndi.variance(line, labels, index=[1, 2])
    array([9.  , 2.25])
    """
    if not _is_ours(input, labels):
        return scipy.ndimage.variance(input, labels, index)
    return _measured(input, labels, index, lambda table, _: table.spread / table.count, np.nan)


def standard_deviation(input: Any, labels: Any = None, index: Any = None) -> Any:  # noqa: A002
    """Root of the variance of each object, as :func:`scipy.ndimage.standard_deviation`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([3, 9, 1, 4], np.int16), chunks=2)
    >>> labels = da.from_array(np.array([1, 1, 2, 2]), chunks=2)
    >>> ndi.standard_deviation(line, labels, index=[1, 2])
    array([3. , 1.5])
    """
    if not _is_ours(input, labels):
        return scipy.ndimage.standard_deviation(input, labels, index)
    return _measured(input, labels, index, lambda table, _: np.sqrt(table.spread / table.count), np.nan)


def minimum(input: Any, labels: Any = None, index: Any = None) -> Any:  # noqa: A002
    """Lowest value of each object, as :func:`scipy.ndimage.minimum`; 0 for labels not present.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([3, 9, 1, 4], np.int16), chunks=2)
    >>> labels = da.from_array(np.array([1, 1, 2, 2]), chunks=2)
    >>> ndi.minimum(line, labels, index=[1, 2])
    array([3, 1], dtype=int16)
    """
    if not _is_ours(input, labels):
        return scipy.ndimage.minimum(input, labels, index)
    return _measured(input, labels, index, lambda table, request: _typed(table.low, request), 0)


def maximum(input: Any, labels: Any = None, index: Any = None) -> Any:  # noqa: A002
    """Highest value of each object, as :func:`scipy.ndimage.maximum`; 0 for labels not present.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([3, 9, 1, 4], np.int16), chunks=2)
    >>> labels = da.from_array(np.array([1, 1, 2, 2]), chunks=2)
    >>> ndi.maximum(line, labels, index=[1, 2])
    array([9, 4], dtype=int16)
    """
    if not _is_ours(input, labels):
        return scipy.ndimage.maximum(input, labels, index)
    return _measured(input, labels, index, lambda table, request: _typed(table.high, request), 0)


def _typed(column: Array, request: _Request) -> Array:
    if request.values is None:
        # One number everywhere.
        return np.full(column.shape, request.scalar)
    return column.astype(request.values.dtype)


def _at(indices: Array, request: _Request) -> Array:
    return positions(indices, request.axes.whole, len(request.axes.space))


def minimum_position(input: Any, labels: Any = None, index: Any = None) -> Any:  # noqa: A002
    """Voxel of the lowest value of each object, as :func:`scipy.ndimage.minimum_position`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([3, 9, 1, 4], np.int16), chunks=2)
    >>> labels = da.from_array(np.array([1, 1, 2, 2]), chunks=2)
    >>> ndi.minimum_position(line, labels, index=[1, 2])
    [(0,), (2,)]
    """
    if not _is_ours(input, labels):
        return scipy.ndimage.minimum_position(input, labels, index)
    return _tuples(_measured(input, labels, index, lambda table, r: _at(table.low_at, r), 0))


def maximum_position(input: Any, labels: Any = None, index: Any = None) -> Any:  # noqa: A002
    """Voxel of the highest value of each object, as :func:`scipy.ndimage.maximum_position`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([3, 9, 1, 4], np.int16), chunks=2)
    >>> labels = da.from_array(np.array([1, 1, 2, 2]), chunks=2)
    >>> ndi.maximum_position(line, labels, index=[1, 2])
    [(1,), (3,)]
    """
    if not _is_ours(input, labels):
        return scipy.ndimage.maximum_position(input, labels, index)
    return _tuples(_measured(input, labels, index, lambda table, r: _at(table.high_at, r), 0))


def extrema(input: Any, labels: Any = None, index: Any = None) -> Any:  # noqa: A002
    """Lowest and highest values of each object and where they are, as :func:`scipy.ndimage.extrema`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([3, 9, 1, 4], np.int16), chunks=2)
    >>> ndi.extrema(line)
    (np.int16(1), np.int16(9), (2,), (1,))
    """
    if not _is_ours(input, labels):
        return scipy.ndimage.extrema(input, labels, index)
    functions = (minimum, maximum, minimum_position, maximum_position)
    return tuple(function(input, labels, index) for function in functions)


def _mass(table: Moments, request: _Request) -> Array:
    ndim = len(request.axes.space)
    if request.values is None:
        center = table.positions / table.count[:, None]
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            center = table.weighted / table.total[:, None]
    return center[:, center.shape[1] - ndim :]


def center_of_mass(input: Any, labels: Any = None, index: Any = None) -> Any:  # noqa: A002
    """Centre of mass of each object in voxels, as :func:`scipy.ndimage.center_of_mass`.

    Returns
    -------
    tuple, list of tuples or xarray.DataArray
        As in scipy; dims (t, label, axis) for images with a time dimension.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([0, 1, 3, 0], np.int16), chunks=2)
    >>> ndi.center_of_mass(line)
    (1.75,)
    """
    if not _is_ours(input, labels):
        return scipy.ndimage.center_of_mass(input, labels, index)
    return _tuples(_measured(input, labels, index, _mass, np.nan))


def _tuples(result: Any) -> Any:
    """Return positions as scipy does: a tuple, or a list of tuples, flat whatever the shape of the index."""
    if isinstance(result, xr.DataArray):
        return result
    rows = [tuple(row) for row in result.reshape(-1, result.shape[-1]).tolist()]
    return rows[0] if result.ndim == 1 else rows


def find_objects(input: Any, max_label: int = 0) -> Any:  # noqa: A002
    """Bounding boxes of objects, as :func:`scipy.ndimage.find_objects`.

    Returns
    -------
    list of tuple of slice, or list of such lists
        One entry per label, None where there is no such label; a list per time point for images
        with a time dimension.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> labels = da.from_array(np.array([0, 1, 1, 0, 2]), chunks=2)
    >>> ndi.find_objects(labels)
    [(slice(1, 3, None),), (slice(4, 5, None),)]
    """
    if not _is_ours(input):
        return scipy.ndimage.find_objects(input, max_label)
    image = lift(input).one_channel()
    if image.node.dtype.kind not in "iub":
        raise TypeError("find_objects expects an integer array")
    axes = Axes(image.node.shape, image.time_axis, image.space_axes, many=True)
    tables = label_statistics(image.node, None, axes, name="finding objects")
    found = [_boxes(table, max_label, len(axes.space)) for table in tables]
    return found if axes.time is not None else found[0]


def _boxes(table: Moments, max_label: int, ndim: int) -> list[tuple[slice, ...] | None]:
    most = max_label if max_label > 0 else int(table.label.max(initial=0))
    out: list[tuple[slice, ...] | None] = [None] * most
    for name, start, stop in zip(table.label, table.start, table.stop, strict=True):
        if 0 < name <= most:
            pairs = zip(start[len(start) - ndim :], stop[len(stop) - ndim :], strict=True)
            out[int(name) - 1] = tuple(slice(int(a), int(b)) for a, b in pairs)
    return out
