"""Images on other grids: scipy.ndimage's affine_transform, shift and zoom, lazy, per time point."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.errors import InputError
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.mapping import AlongAxes, Linear, Mapping
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.warp import Spline, Warp
from chunkmed.ndimage.arguments import mm_to_voxels, refuse_text
from chunkmed.ndimage.coefficients import (
    Interpolation,
    RefusedError,
    axes_last,
    interpolation,
    one_per_axis,
    result_dtype,
)
from chunkmed.ndimage.placing import placed, positions_at, with_dims
from chunkmed.ndimage.spline import cast

__all__ = ["affine_transform", "shift", "warped", "zoom"]


def affine_transform(
    input: Any,  # noqa: A002 - scipy's name
    matrix: Any,
    offset: Any = 0.0,
    output_shape: Any = None,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> Any:
    """Affine transform, as :func:`scipy.ndimage.affine_transform`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are transformed at once, others lazily. A DataArray is transformed along z, y, x.
    matrix : array_like, shape (n,), (n, m), (n, m + 1) or (n + 1, n + 1)
        From indices of the result to those of the image: factors per axis, a matrix, a matrix with the
        offset as its last column, or a homogeneous one.
    offset : float or sequence of n
        Index in the image of the first voxel of the result.
    output_shape : tuple of int, optional
        Of the m axes that take the place of z, y, x; by default those of the image.
    output, order, mode, cval, prefilter
        As in scipy. ``output`` is a dtype.

    Returns
    -------
    same type as input
        Without coordinates along z, y, x: ``cm.resample`` goes by positions in mm and keeps them.

    Raises
    ------
    InputError
        What scipy refuses.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> image = da.from_array(np.arange(6.0).reshape(2, 3), chunks=2)
    >>> ndi.affine_transform(image, [[0, 1], [1, 0]], output_shape=(3, 2), order=1).compute().tolist()
    [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    """
    if not is_lazy(input):
        return scipy.ndimage.affine_transform(
            input, matrix, offset, output_shape, output, order, mode, cval, prefilter
        )
    image = lift(input).one_channel()
    along = image.space_axes
    asked = interpolation(order, mode, cval, prefilter, image.node.dtype)
    shape = _shape(output_shape, image, along)
    mapping = _affine(matrix, offset, len(along), shape)
    node = warped(image.node, along, mapping, asked, result_dtype(output, image.node.dtype))
    dims = with_dims(image, along, len(shape))
    return placed(image, node, dims, moved=[image.dims[axis] for axis in along] if image.dims else ())


def shift(
    input: Any,  # noqa: A002 - scipy's name
    shift: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> Any:
    """Move the content of an image, as :func:`scipy.ndimage.shift`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are shifted at once, others lazily. A DataArray is shifted along z, y, x.
    shift : float, str or sequence of them
        How far along each axis, in voxels, or in mm as text (``"1.5 mm"``).
    output, order, mode, cval, prefilter
        As in scipy. ``output`` is a dtype.

    Returns
    -------
    same type as input
        On the same grid: what is shown moves, coordinates do not.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> ndi.shift(da.from_array(np.array([1, 2, 3]), chunks=2), 1).compute().tolist()
    [0, 1, 2]
    """
    if not is_lazy(input):
        refuse_text(shift=shift)
        return scipy.ndimage.shift(input, shift, output, order, mode, cval, prefilter)
    image = lift(input).one_channel()
    along = image.space_axes
    asked = interpolation(order, mode, cval, prefilter, image.node.dtype)
    steps = mm_to_voxels(one_per_axis(shift, len(along), "shift"), image, along, "shift")
    sizes = [image.node.shape[axis] for axis in along]
    mapping = AlongAxes([np.arange(n, dtype=np.float64) + -s for n, s in zip(sizes, steps, strict=True)])
    return image.lower(warped(image.node, along, mapping, asked, result_dtype(output, image.node.dtype)))


def zoom(
    input: Any,  # noqa: A002 - scipy's name
    zoom: Any,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
    *,
    grid_mode: bool = False,
) -> Any:
    """Change the number of voxels, as :func:`scipy.ndimage.zoom`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are zoomed at once, others lazily. A DataArray is zoomed along z, y, x.
    zoom : float or sequence of float
        Factor along each axis.
    output, order, mode, cval, prefilter
        As in scipy. ``output`` is a dtype.
    grid_mode : bool
        Whether the edges of the outermost voxels stay where they are, instead of their centres.

    Returns
    -------
    same type as input
        With coordinates of the new voxels.

    See Also
    --------
    chunkmed.resample.resample : to a spacing in mm

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> ndi.zoom(da.from_array(np.array([0.0, 2.0]), chunks=2), 1.5, order=1).compute().tolist()
    [0.0, 1.0, 2.0]
    """
    if not is_lazy(input):
        return scipy.ndimage.zoom(input, zoom, output, order, mode, cval, prefilter, grid_mode=grid_mode)
    image = lift(input).one_channel()
    along = image.space_axes
    asked = interpolation(order, mode, cval, prefilter, image.node.dtype)
    dtype = result_dtype(output, image.node.dtype)
    factors = [float(factor) for factor in one_per_axis(zoom, len(along), "zoom")]
    if all(factor == 1 for factor in factors) and prefilter:
        # Nothing is interpolated then, whatever the mode.
        return image.lower(cast(image.node, dtype))
    if grid_mode and mode in ("constant", "wrap"):
        said = f"It is recommended to use mode = grid-{mode} instead of {mode} when grid_mode is True."
        warnings.warn(said, UserWarning, stacklevel=2)
    sizes = [image.node.shape[axis] for axis in along]
    at = [_zoomed(n, factor, grid_mode) for n, factor in zip(sizes, factors, strict=True)]
    node = warped(image.node, along, AlongAxes(at), asked, dtype)
    return _zoomed_image(image, node, along, at)


def warped(
    node: Node, axes: Sequence[int], mapping: Mapping, asked: Interpolation, dtype: np.dtype[Any]
) -> Node:
    """Return a node interpolated along axes, which are those of the result again."""
    moved, back = axes_last(node, axes)

    def make(below: Node, spline: Spline, of: Any) -> Node:
        return Warp(below, mapping, spline, of, len(axes))

    return back(asked.of(moved, make, dtype, len(axes)))


def _zoomed(n: int, factor: float, grid_mode: bool) -> Array:
    """Return the indices in the image of the voxels of the result along an axis."""
    count = round(n * factor)
    if count < 0:
        raise InputError(f"zoom = {factor}", kind="bad-zoom", fix="give positive factors")
    at = np.arange(count, dtype=np.float64)
    if grid_mode:
        return (at + 0.5) * (n / count) - 0.5 if count else at
    return at * ((n - 1) / (count - 1) if count > 1 else 1.0)


def _zoomed_image(image: Lifted, node: Node, along: Sequence[int], at: Sequence[Array]) -> Any:
    if image.dims is None:
        return placed(image, node, None)
    changed = {
        image.dims[axis]: each
        for axis, each in zip(along, at, strict=True)
        if not np.array_equal(each, np.arange(image.node.shape[axis]))
    }
    found = {dim: positions_at(image, dim, each) for dim, each in changed.items()}
    positions = {dim: each for dim, each in found.items() if each is not None}
    # An axis without numbers has none afterwards; the grid needs all three.
    lost = [dim for dim in changed if dim not in positions]
    return placed(image, node, image.dims, moved=lost, positions=positions)


def _shape(given: Any, image: Lifted, along: Sequence[int]) -> tuple[int, ...]:
    if given is None:
        return tuple(image.node.shape[axis] for axis in along)
    shape = tuple(operator.index(n) for n in given)
    if not shape:
        raise RefusedError("input and output rank must be > 0", kind="bad-shape")
    return shape


def _affine(matrix: Any, offset: Any, count: int, shape: tuple[int, ...]) -> Mapping:
    """Return where the voxels of the result lie, for scipy's forms of a matrix."""
    given = np.asarray(matrix, np.float64)
    if given.ndim not in (1, 2) or given.shape[0] < 1:
        raise RefusedError("no proper affine matrix provided", kind="bad-matrix", why=f"shape {given.shape}")
    if given.ndim == 2 and given.shape[1] == count + 1 and given.shape[0] in (count, count + 1):
        bottom = [0.0] * count + [1.0]
        if given.shape[0] == count + 1 and not np.all(given[count] == bottom):
            raise InputError(
                "the matrix is not homogeneous",
                kind="bad-matrix",
                why=f"bottom row was not equal to {bottom}",
            )
        given, offset = given[:count, :count], given[:count, count]
    if given.shape[0] != count:
        raise RefusedError("affine matrix has wrong number of rows", kind="bad-matrix", why=f"{count} axes")
    if len(shape) != (given.shape[1] if given.ndim == 2 else count):
        raise RefusedError("affine matrix has wrong number of columns", kind="bad-matrix", why=f"{shape}")
    start = np.asarray(one_per_axis(offset, count, "offset"), np.float64)
    if start.ndim != 1:
        raise RefusedError("no proper offset provided", kind="bad-offset")
    if given.ndim == 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = start / given
            rows = zip(shape, moved, given, strict=True)
            return AlongAxes([(np.arange(n, dtype=np.float64) + more) * by for n, more, by in rows])
    if given.shape[0] == given.shape[1] and not np.any(given[~np.eye(count, dtype=bool)]):
        return AlongAxes(
            [more + np.arange(n) * by for n, more, by in zip(shape, start, np.diag(given), strict=True)]
        )
    return Linear(given, start, shape)
