"""Masks that grow from seeds: components that hold one."""

from __future__ import annotations

import xarray as xr

from chunkmed.coords import check_grid
from chunkmed.errors import InputError
from chunkmed.graph.components import find_components
from chunkmed.graph.lift import lift
from chunkmed.masks.components import connecting
from chunkmed.masks.thresholds import level_of, threshold

__all__ = ["hysteresis", "reconstruction"]


def reconstruction(seeds: xr.DataArray, mask: xr.DataArray, connectivity: int = 1) -> xr.DataArray:
    """Return the objects of a mask that hold a seed, whole.

    The mask is labelled at once, in one pass over both images; the result is lazy. Seeds outside of the
    mask count for nothing.

    Parameters
    ----------
    seeds : xarray.DataArray
        Voxels that are not zero, on the grid of the mask.
    mask : xarray.DataArray
        Objects; per time point.
    connectivity : int, optional
        1 connects over faces, 2 over edges too, 3 over corners too.

    Returns
    -------
    xarray.DataArray
        bool, lazy.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> mask = xr.DataArray(np.array([1, 1, 0, 1, 1]) > 0, dims="x")
    >>> seeds = xr.DataArray(np.array([0, 0, 0, 0, 1]) > 0, dims="x")
    >>> reconstruction(seeds, mask).values.astype(int).tolist()
    [0, 0, 0, 1, 1]
    """
    check_grid(mask, seeds, "the seeds")
    if any(seeds.sizes[dim] != mask.sizes.get(dim) for dim in seeds.dims):
        raise InputError("seeds and mask differ in shape", kind="shape-mismatch")
    seeds = seeds.broadcast_like(mask).transpose(*mask.dims)
    lifted = lift(mask).one_channel()
    structure = connecting(lifted, lifted.space_axes, connectivity)
    found = find_components(lifted.node, structure, marks=lift(seeds).node, name="connecting")
    out: xr.DataArray = lifted.lower(found.look_up(found.marked, "marked"))
    return out


def hysteresis(
    image: xr.DataArray,
    low: float | str,
    high: float | str,
    connectivity: int = 1,
    where: xr.DataArray | None = None,
    padding: str = "exclude",
) -> xr.DataArray:
    """Return the voxels above a low level that are connected to one above a high level.

    The mask of the low level is labelled at once, in one pass over the image; the result is lazy.

    Parameters
    ----------
    image : xarray.DataArray
        Values.
    low, high : float or "otsu"
        Levels, not included themselves; the lower one is low.
    connectivity : int, optional
        1 connects over faces, 2 over edges too, 3 over corners too.
    where : xarray.DataArray, optional
        Mask that the result is limited to.
    padding : {"exclude", "include"}, optional
        Whether voxels outside the scanner's field of view (``image.cm.valid``) can belong to it.

    Returns
    -------
    xarray.DataArray
        bool, lazy; per time point.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> hysteresis(xr.DataArray(np.array([5, 9, 5, 1, 5]), dims="x"), low=3, high=7).values.tolist()
    [True, True, True, False, False]

    References
    ----------
    .. [1] J. Canny, "A computational approach to edge detection", IEEE PAMI 8 (1986) 679-698.
    """
    levels = sorted(level_of(image, level, where, padding) for level in (low, high))
    weak, strong = (threshold(image, above=level, where=where, padding=padding) for level in levels)
    return reconstruction(strong, weak, connectivity)
