"""Images whose values are spread evenly: each becomes the part of all values that are not higher."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chunkmed.graph.curves import Curves, Steps
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.tally import key_table
from chunkmed.intensity.chosen import Chosen, choose, named
from chunkmed.intensity.histograms import counts_of
from chunkmed.intensity.scales import described

__all__ = ["equalize"]


def equalize(
    image: Any,
    bins: int | None = None,
    *,
    mask: Any = None,
    padding: str = "exclude",
    per: str = "image",
    dtype: Any = "float32",
) -> Any:
    """Return the image with an even histogram: each value becomes its cumulative part, 0 to 1.

    Integers of 16 bits are mapped value by value: the part of all values that are equal or lower. With
    ``bins``, and for other dtypes, the parts at the centres of bins are interpolated (as
    ``skimage.exposure.equalize_hist`` does; R. Gonzalez, R. Woods, Digital Image Processing, 3.3.1).

    Parameters
    ----------
    image : xarray.DataArray, dask.array.Array or array_like
        Any dims.
    bins : int, optional
        Number of bins; by default 1,024 where values are not mapped one by one.
    mask : image, optional
        Voxels whose values count; all voxels are mapped.
    padding : {"exclude", "include"}, optional
        Whether voxels outside the scanner's field of view (``image.cm.valid``) count.
    per : {"image", "time"}, optional
        Whether the parts are those of all time points together, or of each apart.
    dtype : dtype, optional
        float32 or float64.

    Returns
    -------
    same type as image
        Lazy where the image is; its histogram was counted, in one pass or two. NaN stays NaN.

    Raises
    ------
    InputError
        ``no-values`` where nothing is left to count.

    Examples
    --------
    >>> equalize(np.array([[10, 20], [20, 99]], np.int16)).tolist()
    [[0.25, 0.75], [0.75, 1.0]]
    """
    source = named(image)
    chosen = choose(source, mask, padding, per)
    exact = bins is None and chosen.is_small
    node = _by_value(chosen, dtype) if exact else _by_bins(chosen, bins, dtype)
    out: xr.DataArray = lift(source).lower(node)
    return described(out, source, image)


def _by_value(chosen: Chosen, dtype: Any) -> Node:
    every = key_table(chosen.dtype).every_value()
    values, counts = chosen.table("equalizing")
    # The part of values that are equal or lower, of values that do not occur too.
    place = np.searchsorted(values, every.astype(values.dtype), side="right")
    parts = [np.concatenate([[0.0], _parts(row)])[place] for row in counts]
    if every.dtype.kind == "f":
        for row in parts:
            row[np.isnan(every)] = np.nan
    tables = [row.astype(dtype) for row in parts]
    return Steps(chosen.nodes[0], tables, chosen.groups.time)


def _by_bins(chosen: Chosen, bins: int | None, dtype: Any) -> Node:
    counts, edges = counts_of(chosen, bins)
    centers = (edges[:-1] + edges[1:]) / 2
    return Curves(chosen.nodes[0], centers, [_parts(row) for row in counts], chosen.groups.time, dtype)


def _parts(counts: Array) -> Array:
    up_to = np.cumsum(counts)
    with np.errstate(invalid="ignore"):
        # NaN at a time point without values.
        return up_to / up_to[-1] if len(up_to) else up_to.astype(np.float64)
