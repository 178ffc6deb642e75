"""Thresholds that follow from the values of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chunkmed.graph.nodes import Array
from chunkmed.intensity.chosen import choose, named, one_mask
from chunkmed.intensity.histograms import counts_of

__all__ = ["otsu"]


def otsu(
    image: Any,
    where: xr.DataArray | None = None,
    *,
    mask: Any = None,
    padding: str = "exclude",
    per: str = "image",
) -> Any:
    """Return the threshold that best separates two classes of values.

    Source: N. Otsu, IEEE Trans. Sys. Man. Cyber. 9 (1979) 62-66.

    Parameters
    ----------
    image : xarray.DataArray, dask.array.Array or array_like
        Any dims.
    where, mask : xarray.DataArray, optional
        Mask of the voxels to look at.
    padding : {"exclude", "include"}, optional
        Whether voxels outside the scanner's field of view (``image.cm.valid``) are looked at.
    per : {"image", "time"}, optional
        Whether there is one threshold for all of it, or one for each time point.

    Returns
    -------
    float, or DataArray (t)
        Values above belong to the brighter class; NaN at a time point without values.

    Examples
    --------
    >>> import numpy as np
    >>> otsu(np.array([1, 2, 1, 9, 8, 9], np.int16))
    4.5
    """
    chosen = choose(named(image), one_mask(where, mask), padding, per)
    counts, edges = counts_of(chosen)
    levels = np.array([_otsu(row, edges) for row in counts])
    return float(levels[0]) if per == "image" else chosen.labelled(levels)


def _otsu(counts: Array, edges: Array) -> float:
    if not counts.any():
        return np.nan
    centers = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts).astype(np.float64)
    moment = np.cumsum(counts * centers)
    rest = weight[-1] - weight
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = moment / weight - (moment[-1] - moment) / rest
    between = np.nan_to_num(weight * rest * gap**2)
    if not between.any():
        # One value only: nothing is separated, whatever empty bins there are beside it.
        return float(centers[np.flatnonzero(counts)[0]])
    # Values between two well separated classes are all as good: take the middle.
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))
    return float((centers[best[0]] + centers[best[-1]]) / 2)
