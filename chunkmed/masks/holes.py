"""Holes of objects: background that does not reach the border."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from chunkmed.graph.components import find_components, rim_of
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Call, Pointwise
from chunkmed.masks.components import connecting, space_axes_of
from chunkmed.masks.sizes import least_voxels

__all__ = ["fill", "remove_small_holes"]


def fill(image: xr.DataArray, axes: Sequence[str] | None = None, connectivity: int = 1) -> xr.DataArray:
    """Fill the holes of a mask: background that does not reach the border of the image.

    The background is labelled at once, in one pass over the image; the result is lazy.

    Parameters
    ----------
    image : xarray.DataArray
        A mask; per time point.
    axes : sequence of str, optional
        Axes whose border is outside, all of z, y, x that are longer than one voxel by default.
        ``("y", "x")`` fills each slice by itself: a vessel that leaves the volume is filled too.
    connectivity : int, optional
        Of the background: 1 connects over faces, 2 over edges too, 3 over corners too.

    Returns
    -------
    xarray.DataArray
        bool, lazy.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> ring = xr.DataArray(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]]) > 0, dims=("y", "x"))
    >>> int(fill(ring).sum())
    9
    """
    along = space_axes_of(image, axes)
    return _filled(image, along, connectivity, None)


def remove_small_holes(
    image: xr.DataArray, size: float | str, axes: Sequence[str] | None = None, connectivity: int = 1
) -> xr.DataArray:
    """Fill the holes of a mask that are smaller than a size.

    Parameters
    ----------
    image : xarray.DataArray
        A mask; per time point.
    size : float or str
        Voxels, or a volume ("2 ml", "50 mm3"; for slices an area, "20 mm2"): what is as large stays.
    axes, connectivity
        As in :func:`fill`; background that reaches the border is no hole, however small.

    Returns
    -------
    xarray.DataArray
        bool, lazy.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> mask = xr.DataArray(np.array([1, 0, 1, 0, 0, 1]) > 0, dims="x")
    >>> remove_small_holes(mask, 2).values.astype(int).tolist()
    [1, 1, 1, 0, 0, 1]
    """
    along = space_axes_of(image, axes)
    return _filled(image, along, connectivity, least_voxels(image, size, along))


def _filled(image: xr.DataArray, along: Sequence[str], connectivity: int, least: int | None) -> xr.DataArray:
    lifted = lift(image).one_channel()
    shape = lifted.node.shape
    structure = connecting(lifted, [image.dims.index(axis) for axis in along], connectivity)
    background = Pointwise(Call(np.logical_not), [lifted.node], shape, bool)
    rim = rim_of(np.argwhere(structure) - 1)
    found = find_components(background, structure, rim=rim, sized=least is not None, name="finding holes")
    open_ = found.marked if least is None else found.marked | (found.sizes >= least)
    outside = found.look_up(open_, f"holes from {least}")
    out: xr.DataArray = lifted.lower(Pointwise(Call(np.logical_not), [outside], shape, bool))
    return out
