"""Sizes that users give, "2 ml", as voxels of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import xarray as xr

from chunkmed.coords import SPACE, grid_of, spacing_of
from chunkmed.errors import InputError
from chunkmed.units import extent_mm

__all__ = ["has_even_voxels", "least_voxels", "space_of", "volume_limit"]

#: Of a size in mm: what floats may lack of it.
_ROUNDING = 1e-9


def has_even_voxels(image: xr.DataArray, size: float | str) -> bool:
    """Whether a size is the same number of voxels everywhere in the image."""
    return not isinstance(size, str) or "z" not in image.dims or grid_of(image).uniform


def least_voxels(image: xr.DataArray, size: float | str, axes: Sequence[str]) -> int:
    """Return the voxels that an object must have to be no smaller than ``size``.

    Parameters
    ----------
    image : xarray.DataArray
        With z, y, x in mm where the size is text.
    size : float or str
        Voxels, or an area or a volume with its unit.
    axes : sequence of str
        Axes that objects extend along.
    """
    if not isinstance(size, str):
        voxels = float(size)
    else:
        extent, power = extent_mm(size)
        _check_power(image, size, power, axes)
        spacing = spacing_of(image, uniform="z" in axes)
        voxels = extent / math.prod(spacing[axis] for axis in axes) * (1 - _ROUNDING)
    if not voxels >= 0:
        raise InputError(f"size = {size}", kind="bad-size", fix="give voxels, or a size such as 2 ml")
    return math.ceil(voxels)


def _check_power(image: xr.DataArray, size: str, power: int, axes: Sequence[str]) -> None:
    kind = {2: "an area", 3: "a volume"}[power]
    if len(axes) != power:
        raise InputError(
            f"{size!r} is {kind}, objects extend along {', '.join(axes)}",
            kind="bad-extent",
            fix="give a volume for z, y, x and an area for slices",
        )
    if "z" in axes and image.sizes["z"] == 1 and grid_of(image).thickness_mm is None:
        raise InputError(
            "a volume needs the thickness of the slice",
            kind="no-thickness",
            why="the headers of this single slice give none",
            fix="give voxels",
        )


def volume_limit(image: xr.DataArray, size: str) -> float:
    """Return the mm3 that an object must have to be no smaller than ``size``."""
    extent, power = extent_mm(size)
    _check_power(image, size, power, space_of(image))
    return extent * (1 - _ROUNDING)


def space_of(image: xr.DataArray) -> list[str]:
    """Return which of z, y, x the image has."""
    return [axis for axis in SPACE if axis in image.dims]
