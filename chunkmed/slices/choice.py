"""Which slices are shown, and which values are black and white."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from chunkmed.coords import SPACE, time_dim_of
from chunkmed.graph.schedulers import scheduler_of_arrays

__all__ = ["center_of", "gray_window", "matched", "volume_at"]

_PERCENTILES = (1.0, 99.7)


def volume_at(image: xr.DataArray, t: int) -> xr.DataArray:
    """Return the (z, y, x) volume at a time point, without coordinates, still lazy."""
    time = time_dim_of(image)
    volume = image.isel({time: t}) if time else image
    volume = volume.drop_vars(list(volume.coords))
    missing = [axis for axis in SPACE if axis not in volume.dims]
    return volume.expand_dims(missing).transpose(*SPACE)


def center_of(mask: xr.DataArray) -> dict[str, int]:
    """Return the slice through the middle of what is set in a (z, y, x) mask, along each axis.

    That is its centre of mass, or where that lies beside or between objects: the fullest slice.
    """
    others = {axis: [dim for dim in SPACE if dim != axis] for axis in SPACE}
    sums = xr.Dataset({f"along_{a}": mask.sum(others[a], dtype="int64") for a in SPACE})
    profiles = sums.compute(scheduler=scheduler_of_arrays())
    return {axis: _middle(profiles[f"along_{axis}"].values) for axis in SPACE}


def gray_window(
    slices: Iterable[npt.NDArray[Any]], padding: tuple[float, float] | None
) -> tuple[float, float]:
    """Return the intensities drawn black and white: percentiles without padding and NaN.

    ``padding`` is the lowest and the highest value of padding.
    """
    values = np.concatenate([part.ravel() for part in slices])
    keep = np.isfinite(values)
    if padding is not None:
        keep &= (values < padding[0]) | (values > padding[1])
    if not keep.any():
        return 0.0, 1.0
    if values.dtype == bool:
        return 0.0, 1.0
    low, high = np.percentile(values[keep].astype(np.float64), _PERCENTILES).tolist()
    return low, high if high > low else low + 1.0


def matched(later: npt.NDArray[Any], first: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the labels of ``later``, each renamed to the label of ``first`` that it overlaps most.

    Examples
    --------
    >>> matched(np.array([0, 2, 2, 1, 3]), np.array([1, 1, 1, 2, 0])).tolist()
    [0, 1, 1, 2, 3]
    """
    out = later.copy()
    for label in np.unique(later[later != 0]):
        inside = later == label
        found, counts = np.unique(first[inside & (first != 0)], return_counts=True)
        if len(found):
            out[inside] = found[np.argmax(counts)]
    return out


def _middle(profile: npt.NDArray[np.int64]) -> int:
    if not profile.any():
        return len(profile) // 2
    center = round(float(np.average(np.arange(len(profile)), weights=profile)))
    return center if profile[center] * 2 >= profile.max() else int(np.argmax(profile))
