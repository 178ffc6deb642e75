"""Masks by levels."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chunkmed import intensity
from chunkmed.coords import check_grid
from chunkmed.errors import InputError
from chunkmed.graph.components import find_components
from chunkmed.graph.lift import lift
from chunkmed.masks.components import connecting
from chunkmed.padding import counted

__all__ = ["hysteresis", "threshold"]


def threshold(
    image: xr.DataArray,
    above: float | str | None = None,
    below: float | str | None = None,
    where: xr.DataArray | None = None,
    padding: str = "exclude",
) -> xr.DataArray:
    """Return the voxels whose value is above and/or below a level.

    Parameters
    ----------
    image : xarray.DataArray
        Values.
    above, below : float or "otsu", optional
        Levels, not included themselves; "otsu" finds one for the whole image (inside ``where``).
    where : xarray.DataArray, optional
        Mask that the result is limited to.
    padding : {"exclude", "include"}, optional
        Whether voxels outside the scanner's field of view (``image.cm.valid``) can belong to it.

    Returns
    -------
    xarray.DataArray
        bool, lazy.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> threshold(xr.DataArray(np.array([1, 5, 9]), dims="x"), above=2, below=9).values.tolist()
    [False, True, False]
    """
    if above is None and below is None:
        raise InputError("a threshold needs a level", kind="no-level", fix="give above= or below=")
    if where is not None:
        check_grid(image, where, "the mask")
    chosen = counted(image, where, padding)
    mask: xr.DataArray | None = chosen.astype(bool) if chosen is not None else None
    for level, compare in ((above, np.greater), (below, np.less)):
        if level is not None:
            part: Any = compare(image, _level(image, level, where, padding))
            mask = part if mask is None else mask & part
    assert mask is not None  # noqa: S101 - a level was given
    return mask.transpose(*image.dims)


def _level(image: xr.DataArray, level: float | str, where: xr.DataArray | None, padding: str) -> float:
    if level == "otsu":
        return intensity.otsu(image, where, padding=padding)
    if isinstance(level, str):
        raise InputError(f"{level!r} is not a level", kind="bad-level", fix='give a number or "otsu"')
    return level


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
    levels = sorted(_level(image, level, where, padding) for level in (low, high))
    weak, strong = (threshold(image, above=level, where=where, padding=padding) for level in levels)
    lifted = lift(weak).one_channel()
    structure = connecting(lifted, lifted.space_axes, connectivity)
    found = find_components(lifted.node, structure, marks=lift(strong).node, name="connecting")
    out: xr.DataArray = lifted.lower(found.look_up(found.marked, "marked"))
    return out
