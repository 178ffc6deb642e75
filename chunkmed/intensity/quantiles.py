"""Quantiles of whole images: NumPy's numbers, exact, out of core."""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkmed.errors import InputError
from chunkmed.graph.nodes import Array
from chunkmed.graph.selection import ranks_around, select
from chunkmed.intensity.chosen import Chosen, choose, named

__all__ = ["percentiles", "quantiles"]


def percentiles(image: Any, q: Any, *, mask: Any = None, padding: str = "exclude", per: str = "image") -> Any:
    """Return percentiles of the values, as :func:`numpy.nanpercentile` with ``method="linear"``.

    Parameters
    ----------
    image : xarray.DataArray, dask.array.Array or array_like
        Integers, masks, floats of at most 64 bits; any dims.
    q : number or sequence of numbers
        Percentages, 0 to 100.
    mask : image, optional
        Voxels to look at; without time for all time points.
    padding : {"exclude", "include"}, optional
        Whether voxels outside the scanner's field of view (``image.cm.valid``) are looked at.
    per : {"image", "time"}, optional
        Whether time points are looked at together or apart.

    Returns
    -------
    number, ndarray or xarray.DataArray
        A number for one ``q``, an array for several; with a leading ``t`` per time point, NaN where a
        time point has no values.

    Raises
    ------
    InputError
        ``no-values`` where nothing is left to look at, ``bad-quantile``.

    Examples
    --------
    >>> import numpy as np
    >>> float(percentiles(np.array([1, 2, 3, 10]), 50))
    2.5
    """
    # A number alone leaves float32 what it is, as in NumPy.
    parts = np.true_divide(np.asarray(q, np.float64), 100)
    return _quantiles(image, parts, type(q) in (int, float), mask, padding, per)


def quantiles(image: Any, q: Any, *, mask: Any = None, padding: str = "exclude", per: str = "image") -> Any:
    """Return quantiles of the values, as :func:`numpy.nanquantile` with ``method="linear"``.

    Parameters
    ----------
    image, mask, padding, per
        As in :func:`percentiles`.
    q : number or sequence of numbers
        Parts, 0 to 1.

    Returns
    -------
    number, ndarray or xarray.DataArray
        As :func:`percentiles`.

    Examples
    --------
    >>> import numpy as np
    >>> quantiles(np.array([1, 2, 3, 10]), [0, 0.5, 1]).tolist()
    [1.0, 2.5, 10.0]
    """
    return _quantiles(image, np.asarray(q, np.float64), type(q) in (int, float), mask, padding, per)


def _quantiles(image: Any, q: Array, weak: bool, mask: Any, padding: str, per: str) -> Any:
    if not (np.all(q >= 0) and np.all(q <= 1)):
        raise InputError("quantiles lie between 0 and 1 (percentiles between 0 and 100)", kind="bad-quantile")
    chosen = choose(named(image), mask, padding, per)
    found = quantiles_of(chosen, q.reshape(-1), weak)
    if per == "image" and np.isnan(found).all() and found.size:
        raise InputError("there are no values", kind="no-values", why="nothing is left to look at")
    if not q.ndim:
        return chosen.labelled(found[:, 0])
    if q.ndim > 1 and per == "time":
        raise InputError("quantiles of time points come as a list", kind="bad-quantile")
    return chosen.labelled(found.reshape(len(found), *q.shape), "quantile")


def quantiles_of(chosen: Chosen, q: Array, weak: bool = False) -> Array:
    """Return quantiles, shape (times, q); NaN at time points without values."""
    times = chosen.groups.times

    def ends(counts: Array, _: Array) -> tuple[Array, Array]:
        there = np.flatnonzero(counts)
        return np.repeat(there, 2 * len(q)), ranks_around(counts[there], q).reshape(-1)

    if chosen.is_small:
        values, table = chosen.table("quantiles")
        counts = table.sum(axis=1)
        owner, rank = ends(counts, counts)
        up_to = np.cumsum(table, axis=1)
        place = [int(np.searchsorted(up_to[t], r, side="right")) for t, r in zip(owner, rank, strict=True)]
        found = values[place]
    else:
        selected = select(chosen.nodes, chosen.groups, ends, name="quantiles")
        counts, found, owner = selected.counts, selected.values, selected.owner
    there = np.flatnonzero(counts)
    pairs = found.reshape(len(there), len(q), 2)
    where = (counts[there, None] - 1) * q
    between = _between(pairs[..., 0], pairs[..., 1], where - np.floor(where), weak)
    out = np.full((times, len(q)), np.nan, between.dtype)
    out[there] = between
    return out


def _between(low: Array, high: Array, part: Array, weak: bool) -> Array:
    """Return what lies between two values, by NumPy's own arithmetic; integers never overflow."""
    if low.dtype.kind == "f":
        # Parts given as one number are of the values' own dtype.
        part = part.astype(low.dtype) if weak else part
        gap = high - low
    else:
        gap = (high.astype(object) - low.astype(object)).astype(np.float64)
        low, high = low.astype(np.float64), high.astype(np.float64)
    with np.errstate(invalid="ignore"):
        out = low + gap * part
        out = np.where(part >= 0.5, high - gap * (1 - part), out)
    return np.asarray(np.where(gap == 0, low, out), out.dtype)
