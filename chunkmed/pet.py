"""Standardised uptake values of PET images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.errors import InputError

__all__ = ["suv"]


def suv(image: xr.DataArray) -> xr.DataArray:
    """Return standardised uptake values by body weight, lazily.

    Parameters
    ----------
    image : xarray.DataArray
        PET image as it was read: its attribute ``suv_bw_factor`` was computed from the headers
        (decay from injection to scan, dose, body weight).

    Returns
    -------
    xarray.DataArray
        The image times the factor, in g/ml, with the coordinates of the image. Of an image that is
        SUV already: the same values.

    Raises
    ------
    InputError
        ``suv-unknown``, naming the tag that is missing or contradicts another.

    Examples
    --------
    >>> image = xr.DataArray(np.array([2000.0]), dims="x", attrs={"suv_bw_factor": 0.001})
    >>> suv(image).item(), suv(image).attrs["units"]
    (2.0, 'g/ml')
    """
    factor = _factor(image)
    out: xr.DataArray = image * factor
    padding = {
        # By the same arithmetic as the values, so that it equals them.
        name: (np.asarray([image.attrs[name]], image.dtype) * factor)[0].item()
        for name in ("padding_value", "padding_limit")
        if image.attrs.get(name) is not None
    }
    out.attrs = {**image.attrs, **padding, "units": "g/ml", "suv_bw_factor": 1.0}
    return out.rename(image.name)


def _factor(image: xr.DataArray) -> float:
    factor: Any = image.attrs.get("suv_bw_factor")
    if isinstance(factor, int | float) and math.isfinite(factor) and factor > 0:
        return float(factor)
    why = image.attrs.get("suv_unknown") or (
        "the image holds no suv_bw_factor: it was not read from PET headers"
        if factor is None
        else f"suv_bw_factor = {factor!r}"
    )
    raise InputError(
        "the SUV of this image is unknown",
        kind="suv-unknown",
        why=str(why),
        fix="complete the DICOM header, or set image.attrs['suv_bw_factor'] in g/ml per value",
    )
