"""Masks by levels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from chunkmed import intensity
from chunkmed.coords import check_grid
from chunkmed.errors import InputError
from chunkmed.padding import counted

__all__ = ["level_of", "threshold"]


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
            part: Any = compare(image, level_of(image, level, where, padding))
            mask = part if mask is None else mask & part
    assert mask is not None  # noqa: S101 - a level was given
    return mask.transpose(*image.dims)


def level_of(image: xr.DataArray, level: float | str, where: xr.DataArray | None, padding: str) -> float:
    """Return a level as a number: "otsu" is found for the whole image."""
    if level == "otsu":
        return float(intensity.otsu(image, where, padding=padding))
    # Of a recipe it may be whatever TOML holds; an array (one level per time point) is compared as it is.
    if isinstance(level, str | bytes | bool | Sequence | Mapping):
        raise InputError(f"{level!r} is not a level", kind="bad-level", fix='give a number or "otsu"')
    if isinstance(level, float) and math.isnan(level):
        raise InputError("a level that is NaN", kind="bad-level", why="nothing lies above or below it")
    return level
