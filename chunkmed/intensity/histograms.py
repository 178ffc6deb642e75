"""Histograms and cumulative distributions of whole images, out of core."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.errors import InputError
from chunkmed.graph.box import Box
from chunkmed.graph.groups import Groups
from chunkmed.graph.nodes import Array
from chunkmed.graph.passes import make_program
from chunkmed.graph.tally import bin_counts, bins_of_values
from chunkmed.intensity.chosen import Chosen, choose, named, one_mask

__all__ = ["cdf", "histogram"]

_FLOAT_BINS = 1024
#: An integer range up to this is counted value by value.
_EXACT_RANGE = 1 << 17
#: float64 holds halves of integers up to this.
_HALVES = 1 << 51


def histogram(
    image: Any,
    bins: int | None = None,
    range: tuple[float, float] | None = None,  # noqa: A002 - NumPy's name
    *,
    low: float | None = None,
    high: float | None = None,
    where: xr.DataArray | None = None,
    mask: Any = None,
    padding: str = "exclude",
    per: str = "image",
) -> tuple[Any, Array]:
    """Count the values of a whole image; NaN is never counted.

    Counts are those of :func:`numpy.histogram`, in one pass for integers of 16 bits, in two for others.

    Parameters
    ----------
    image : xarray.DataArray, dask.array.Array or array_like
        Any dims.
    bins : int, optional
        Number of bins; by default one per value for integers, 1,024 for floats.
    range : pair of numbers, optional
        Lowest and highest value; by default those of all values. Values outside are not counted.
    low, high : float, optional
        The same, one at a time.
    where, mask : xarray.DataArray, optional
        Mask of the voxels to count, of the same shape, or without time.
    padding : {"exclude", "include"}, optional
        Whether voxels outside the scanner's field of view (``image.cm.valid``) are counted.
    per : {"image", "time"}, optional
        Whether all time points are counted together or each apart, in the same bins.

    Returns
    -------
    counts : ndarray of int64, shape (bins,), or DataArray (t, bin)
    edges : ndarray of float64, shape (bins + 1,)

    Raises
    ------
    InputError
        ``no-values`` where nothing is left to count, ``bad-range``, ``bad-bins``.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> counts, edges = histogram(xr.DataArray(np.array([1, 1, 3]), dims="x"))
    >>> counts.tolist(), edges.tolist()
    ([2, 0, 1], [0.5, 1.5, 2.5, 3.5])
    """
    if range is not None:
        low, high = range
    if bins is not None and bins < 1:
        raise InputError(f"bins = {bins}", kind="bad-bins", fix="give at least 1")
    chosen = choose(named(image), one_mask(where, mask), padding, per)
    counts, edges = counts_of(chosen, bins, low, high)
    return chosen.labelled(counts, "bin"), edges


def counts_of(
    chosen: Chosen, bins: int | None = None, low: float | None = None, high: float | None = None
) -> tuple[Array, Array]:
    """Return counts, shape (times, bins), and edges."""
    table = chosen.table("histogram") if chosen.is_small else None
    if low is None or high is None:
        least, most = _ends(chosen, table)
        low, high = least if low is None else low, most if high is None else high
    if not low <= high:
        raise InputError(f"low = {low} lies above high = {high}", kind="bad-range")
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"a range from {low} to {high} has no bins", kind="bad-range", fix="give range=")
    # Python's integers are exact whatever their size.
    least, most = (end.item() if isinstance(end, np.generic) else end for end in (low, high))
    if chosen.dtype.kind in "iub" and bins is None and most - least < _EXACT_RANGE:
        first, last = math.ceil(least), math.floor(most)
        edges = np.arange(first, max(last, first - 1) + 2) - 0.5
        if table is None and max(abs(first), abs(last)) >= _HALVES:
            return _counted_exactly(chosen, first, len(edges) - 1), edges
        return _counted(chosen, table, edges), edges
    dtype = np.uint8 if chosen.dtype.kind == "b" else chosen.dtype
    edges = np.histogram_bin_edges(np.empty(0, dtype), bins or _FLOAT_BINS, (low, high)).astype(np.float64)
    return _counted(chosen, table, edges), edges


def _ends(chosen: Chosen, table: tuple[Array, Array] | None) -> tuple[Any, Any]:
    if table is None:
        found = [part[~_missing(part)] for part in chosen.ends("range of values")]
    else:
        found = [table[0][:1], table[0][-1:]]
    if not len(found[0]):
        raise InputError("there are no values to count", kind="no-values", why="nothing is left to count")
    # Of the values' own dtype: NumPy takes it for the edges.
    dtype = np.dtype(np.uint8) if chosen.dtype.kind == "b" else chosen.dtype.newbyteorder("=")
    return dtype.type(min(found[0])), dtype.type(max(found[1]))


def _missing(ends: Array) -> Array:
    return np.array([end != end for end in ends], bool)


def _counted(chosen: Chosen, table: tuple[Array, Array] | None, edges: Array) -> Array:
    if table is None:
        return bin_counts(chosen.nodes, chosen.groups, edges, name="histogram")[0][:, 0]
    return bins_of_values(table[1], table[0], edges)


def _counted_exactly(chosen: Chosen, low: int, bins: int) -> Array:
    out = np.zeros((chosen.groups.times, bins), np.int64)
    program = make_program(chosen.nodes, sink_bytes=chosen.groups.bytes_per_voxel + 16)
    for _, result in program.run(_ExactCounts(chosen.groups, low, bins), name="histogram"):
        for t, part in result:
            out[t] += part
    return out


@dataclass(frozen=True)
class _ExactCounts:
    """Task: counts per value, for integers beyond what float64 holds."""

    groups: Groups
    low: int
    bins: int

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, Array]]:
        out = []
        for frame in self.groups.frames(box, arrays):
            values = frame.values if frame.groups is None else frame.values[frame.groups == 0]
            # Python's numbers compare with any dtype; what is left fits.
            inside = values[(values >= self.low) & (values <= self.low + self.bins - 1)]
            steps = (inside - inside.dtype.type(self.low)).astype(np.intp)
            out.append((frame.time, np.bincount(steps, minlength=self.bins)))
        return out


def cdf(
    image: Any,
    bins: int | None = None,
    range: tuple[float, float] | None = None,  # noqa: A002 - NumPy's name
    *,
    mask: Any = None,
    padding: str = "exclude",
    per: str = "image",
) -> tuple[Any, Array]:
    """Return which part of the values lies in each bin or below: ``counts.cumsum() / counts.sum()``.

    Parameters
    ----------
    image, bins, range, mask, padding, per
        As in :func:`histogram`.

    Returns
    -------
    parts : ndarray of float64, shape (bins,), or DataArray (t, bin)
        The last one is 1; NaN at a time point without values.
    edges : ndarray of float64, shape (bins + 1,)

    Examples
    --------
    >>> import numpy as np
    >>> cdf(np.array([1, 1, 2, 3]))[0].tolist()
    [0.5, 0.75, 1.0]
    """
    counts, edges = histogram(image, bins, range, mask=mask, padding=padding, per=per)
    up_to = np.cumsum(np.asarray(counts), axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = up_to / up_to[..., -1:]
    return (counts.copy(data=parts) if isinstance(counts, xr.DataArray) else parts), edges
