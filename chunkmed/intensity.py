"""Histograms and thresholds of whole images, out of core."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import check_grid
from chunkmed.errors import InputError
from chunkmed.graph.box import Box
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.passes import make_program
from chunkmed.padding import counted

__all__ = ["histogram", "otsu"]

_FLOAT_BINS = 1024
#: An integer range up to this is counted value by value.
_EXACT_RANGE = 1 << 17


@dataclass(frozen=True)
class _Range:
    """Task: lowest and highest value."""

    def __call__(self, box: Box, arrays: Sequence[Array]) -> tuple[float, float] | None:
        values = _chosen(arrays)
        return (values.min().item(), values.max().item()) if values.size else None


@dataclass(frozen=True)
class _Histogram:
    """Task: counts per bin."""

    low: float
    high: float
    bins: int

    def __call__(self, box: Box, arrays: Sequence[Array]) -> Array:
        return np.histogram(_chosen(arrays), self.bins, (self.low, self.high))[0]


@dataclass(frozen=True)
class _ExactCounts:
    """Task: counts per integer value."""

    low: int
    bins: int

    def __call__(self, box: Box, arrays: Sequence[Array]) -> Array:
        # Python's numbers compare with any dtype; what is left fits.
        values = _chosen(arrays)
        inside = values[(values >= self.low) & (values <= self.low + self.bins - 1)]
        return np.bincount((inside.astype(np.int64) - self.low).astype(np.intp), minlength=self.bins)


def _chosen(arrays: Sequence[Array]) -> Array:
    values = arrays[0].ravel() if len(arrays) == 1 else arrays[0][arrays[1].astype(bool)]
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    return values[~np.isnan(values)] if values.dtype.kind == "f" else values


def histogram(
    image: xr.DataArray,
    bins: int | None = None,
    *,
    low: float | None = None,
    high: float | None = None,
    where: xr.DataArray | None = None,
    padding: str = "exclude",
) -> tuple[Array, Array]:
    """Count the values of a whole image; NaN is never counted.

    Parameters
    ----------
    image : xarray.DataArray
        Any dims.
    bins : int, optional
        Number of bins; by default one per value for integers, 1,024 for floats.
    low, high : float, optional
        Range; by default that of the values. Values outside are not counted.
    where : xarray.DataArray, optional
        Mask of the voxels to count, of the same shape.
    padding : {"exclude", "include"}, optional
        Whether voxels outside the scanner's field of view (``image.cm.valid``) are counted.

    Returns
    -------
    counts : ndarray of int64, shape (bins,)
    edges : ndarray of float64, shape (bins + 1,)

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> counts, edges = histogram(xr.DataArray(np.array([1, 1, 3]), dims="x"))
    >>> counts.tolist(), edges.tolist()
    ([2, 0, 1], [0.5, 1.5, 2.5, 3.5])
    """
    nodes = _nodes(image, where, padding)
    if low is None or high is None:
        found = [part for part in _results(nodes, _Range(), "range of values") if part is not None]
        if not found:
            raise InputError("there are no values to count", kind="no-values", why="nothing is left to count")
        low = min(part[0] for part in found) if low is None else low
        high = max(part[1] for part in found) if high is None else high
    if low > high:
        raise InputError(f"low = {low} lies above high = {high}", kind="bad-range")
    exact = image.dtype.kind in "iub" and bins is None and high - low < _EXACT_RANGE
    task: Any
    if exact:
        first, last = int(low), int(high)
        task = _ExactCounts(first, last - first + 1)
        edges = np.arange(first, last + 2) - 0.5
    else:
        if low == high:
            # As numpy.histogram does for values that are all the same.
            low, high = low - 0.5, high + 0.5
        task = _Histogram(float(low), float(high), bins or _FLOAT_BINS)
        edges = np.linspace(task.low, task.high, task.bins + 1)
    counts = np.zeros(len(edges) - 1, np.int64)
    for part in _results(nodes, task, "histogram"):
        counts += part
    return counts, edges


def otsu(image: xr.DataArray, where: xr.DataArray | None = None, *, padding: str = "exclude") -> float:
    """Return the threshold that best separates two classes of values.

    Source: N. Otsu, IEEE Trans. Sys. Man. Cyber. 9 (1979) 62-66.

    Parameters
    ----------
    image : xarray.DataArray
        Any dims; one threshold for all of it.
    where : xarray.DataArray, optional
        Mask of the voxels to look at.
    padding : {"exclude", "include"}, optional
        Whether voxels outside the scanner's field of view (``image.cm.valid``) are looked at.

    Returns
    -------
    float
        Values above belong to the brighter class.
    """
    counts, edges = histogram(image, where=where, padding=padding)
    centers = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts).astype(np.float64)
    moment = np.cumsum(counts * centers)
    rest = weight[-1] - weight
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = moment / weight - (moment[-1] - moment) / rest
    between = np.nan_to_num(weight * rest * gap**2)
    # Values between two well separated classes are all as good: take the middle.
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))
    return float((centers[best[0]] + centers[best[-1]]) / 2)


def _nodes(image: xr.DataArray, where: xr.DataArray | None, padding: str) -> tuple[Node, ...]:
    node = lift(image).node
    if where is not None:
        check_grid(image, where, "the mask")
    chosen = counted(image, where, padding)
    if chosen is None:
        return (node,)
    mask = chosen.broadcast_like(image).transpose(*image.dims)
    other = lift(mask).node
    if other.shape != node.shape:
        raise InputError("image and mask differ in shape", kind="shape-mismatch")
    return node, other


def _results(nodes: tuple[Node, ...], task: Any, name: str) -> list[Any]:
    # The chosen values, and their copy as int64 for counting.
    program = make_program(nodes, sink_bytes=16)
    return [result for _, result in program.run(task, name=name)]
