"""Voxels that hold no measured value: outside the scanner's field of view, or NaN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from chunkmed.errors import InputError

__all__ = ["counted", "padding_range", "valid_of"]


def padding_range(attributes: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the lowest and the highest value of padding, None where nothing is padding.

    Examples
    --------
    >>> padding_range({"padding_value": -3024}), padding_range({"padding_value": 0, "padding_limit": -5})
    ((-3024, -3024), (-5, 0))
    """
    padding = attributes.get("padding_value")
    if padding is None:
        return None
    limit = attributes.get("padding_limit")
    ends = (padding, padding if limit is None else limit)
    return min(ends), max(ends)


def valid_of(image: xr.DataArray) -> xr.DataArray:
    """Return a lazy mask: False where the value is padding or NaN, True everywhere else."""
    found = padding_range(image.attrs)
    if found is None and image.dtype.kind not in "fc":
        return xr.ones_like(image, dtype=bool).drop_attrs(deep=False)
    # NaN equals nothing, itself included.
    valid = image == image if found is None else _outside(image, *found)
    return valid.drop_attrs(deep=False)


def _outside(image: xr.DataArray, low: float, high: float) -> xr.DataArray:
    if low == high:
        other: xr.DataArray = image != low
        return other & (image == image) if image.dtype.kind in "fc" else other
    return (image < low) | (image > high)


def counted(image: xr.DataArray, where: xr.DataArray | None, padding: str) -> xr.DataArray | None:
    """Return the mask of the voxels that a function looks at, None for all.

    Parameters
    ----------
    image : xarray.DataArray
        Values.
    where : xarray.DataArray or None
        The caller's mask.
    padding : str
        ``"exclude"`` or ``"include"``.
    """
    if padding not in ("exclude", "include"):
        raise InputError(
            f"padding = {padding!r}", kind="bad-padding", fix='give padding="exclude" or "include"'
        )
    if padding == "include" or padding_range(image.attrs) is None:
        return where
    valid = valid_of(image)
    return valid if where is None else where.astype(bool) & valid
