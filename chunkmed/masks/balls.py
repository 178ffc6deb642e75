"""Morphology with balls: all voxels within a distance, in voxels or mm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from chunkmed import ndimage
from chunkmed.coords import spacing_of
from chunkmed.errors import InputError
from chunkmed.graph.costs import KERNEL_NS
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Call, Stencil
from chunkmed.kernels import padded
from chunkmed.masks.components import space_axes_of
from chunkmed.units import to_voxels

__all__ = ["ball", "closing", "dilation", "erosion", "opening"]

#: Of a radius: what floats may lack of the distance of a voxel that lies right on it.
_ROUNDING = 1e-9


def ball(
    radius: float | str, image: xr.DataArray | None = None, axes: Sequence[str] = ("z", "y", "x")
) -> Array:
    """Return the ball of a radius as a structure for binary morphology.

    Parameters
    ----------
    radius : float or str
        Voxels, or a length ("3 mm"): a voxel belongs to it whose centre is no farther from the middle.
    image : xarray.DataArray, optional
        What the spacing of a length is taken from.
    axes : sequence of str, optional
        Axes of the structure; those that the image does not have are left out.

    Returns
    -------
    ndarray of bool
        Of odd sizes; flat along axes whose voxels are longer than the radius.

    Examples
    --------
    >>> ball(1, axes=("y", "x")).astype(int).tolist()
    [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    """
    names = [axis for axis in axes if image is None or axis in image.dims]
    spacing = dict.fromkeys(names, 1.0)
    if isinstance(radius, str):
        if image is None:
            raise InputError(
                "a radius in mm needs an image with spacing", kind="no-spacing", fix="give image="
            )
        spacing = spacing_of(image, uniform="z" in names)
    reach = [to_voxels(radius, spacing[axis]) * (1 + _ROUNDING) for axis in names]
    if not all(0 <= value < np.inf for value in reach):
        raise InputError(f"radius = {radius}", kind="bad-radius", fix="give a length that is not negative")
    steps = [np.arange(-int(r), int(r) + 1) / (r or 1.0) for r in reach]
    squares = sum(part**2 for part in np.meshgrid(*steps, indexing="ij", sparse=True))
    return np.asarray(squares <= 1)


def erosion(image: xr.DataArray, radius: float | str, axes: Sequence[str] | None = None) -> xr.DataArray:
    """Remove all voxels of a mask within a distance of background; what lies outside is background.

    Parameters
    ----------
    image : xarray.DataArray
        A mask; per time point.
    radius : float or str
        Voxels, or a length ("3 mm").
    axes : sequence of str, optional
        Axes to act along, z, y, x by default; ``("y", "x")`` acts on each slice.

    Returns
    -------
    xarray.DataArray
        bool, lazy.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> mask = xr.DataArray(np.array([1, 1, 1, 1, 1, 0]) > 0, dims="x")
    >>> erosion(mask, 1).values.astype(int).tolist()
    [0, 1, 1, 1, 0, 0]
    """
    return _with_ball(ndimage.binary_erosion, image, radius, axes)


def dilation(image: xr.DataArray, radius: float | str, axes: Sequence[str] | None = None) -> xr.DataArray:
    """Add all voxels within a distance of a mask.

    Parameters
    ----------
    image, radius, axes
        As in :func:`erosion`.

    Returns
    -------
    xarray.DataArray
        bool, lazy.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> mask = xr.DataArray(np.array([0, 0, 1, 0, 0, 0]) > 0, dims="x")
    >>> dilation(mask, 1).values.astype(int).tolist()
    [0, 1, 1, 1, 0, 0]
    """
    return _with_ball(ndimage.binary_dilation, image, radius, axes)


def opening(image: xr.DataArray, radius: float | str, axes: Sequence[str] | None = None) -> xr.DataArray:
    """Keep those parts of a mask that a ball fits into; what lies outside is background.

    Parameters
    ----------
    image, radius, axes
        As in :func:`erosion`.

    Returns
    -------
    xarray.DataArray
        bool, lazy.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> mask = xr.DataArray(np.array([0, 1, 0, 1, 1, 1, 0]) > 0, dims="x")
    >>> opening(mask, 1).values.astype(int).tolist()
    [0, 0, 0, 1, 1, 1, 0]
    """
    return _with_ball(ndimage.binary_opening, image, radius, axes)


def closing(image: xr.DataArray, radius: float | str, axes: Sequence[str] | None = None) -> xr.DataArray:
    """Fill those parts of the background that no ball fits into.

    Unlike scipy's, it never takes voxels away at the border: background goes on around the image.

    Parameters
    ----------
    image, radius, axes
        As in :func:`erosion`.

    Returns
    -------
    xarray.DataArray
        bool, lazy.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> mask = xr.DataArray(np.array([1, 0, 1, 0, 0, 0, 1]) > 0, dims="x")
    >>> closing(mask, 1).values.astype(int).tolist()
    [1, 1, 1, 0, 0, 0, 1]
    """
    along, structure = _ball_of(image, radius, axes)
    lifted = lift(image)
    sizes = dict(zip(along, structure.shape, strict=True))
    full = structure.reshape([sizes.get(str(dim), 1) for dim in image.dims])
    call = Call(padded.closing, {"structure": full})
    depth = [2 * (n // 2) for n in full.shape]
    cost = 2 * KERNEL_NS["iteration"] + 0.5
    out: xr.DataArray = lifted.lower(Stencil(call, [lifted.node], depth, bool, workspace=3.0, cost_ns=cost))
    return out


def _with_ball(
    function: Callable[..., xr.DataArray],
    image: xr.DataArray,
    radius: float | str,
    axes: Sequence[str] | None,
) -> xr.DataArray:
    along, structure = _ball_of(image, radius, axes)
    return function(image, structure, axes=along)


def _ball_of(
    image: xr.DataArray, radius: float | str, axes: Sequence[str] | None
) -> tuple[tuple[str, ...], Array]:
    """Return the axes in the order of the image, and the ball along them."""
    chosen = space_axes_of(image, axes)
    along = tuple(str(dim) for dim in image.dims if dim in chosen)
    return along, ball(radius, image, along)
