"""Results of another shape as images of the type that came in, with the coordinates that still hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from chunkmed.coords import SPACE
from chunkmed.graph.lift import Lifted
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.views import Chunks, view

__all__ = ["placed", "positions_at", "with_dims"]


def placed(
    image: Lifted,
    node: Node,
    dims: Sequence[str] | None,
    moved: Sequence[str] = (),
    positions: Mapping[str, Array] | None = None,
    chunks: Chunks | None = None,
) -> Any:
    """Return a node as an image like another one.

    Parameters
    ----------
    image : Lifted
        The image that came in.
    node : Node
        The result.
    dims : sequence of str, optional
        Names of its axes, where the image has names.
    moved : sequence of str
        Dims whose coordinates no longer hold, and with them the direction of the grid, unless there
        are ``positions``.
    positions : mapping of dim to ndarray, optional
        New coordinates of dims.
    chunks : tuple of tuples, optional
        Blocks of the result.
    """
    array = view(node, chunks)
    source = image.image
    if dims is None or not isinstance(source, xr.DataArray):
        return array
    data = array if isinstance(source.data, da.Array) else array.compute(scheduler="synchronous")
    gone = {*moved, *(positions or {})}
    coords: dict[Any, Any] = {
        name: each
        for name, each in source.coords.items()
        if not gone & set(each.dims) and (name != "grid" or not moved) and set(each.dims) <= set(dims)
    }
    for dim, at in (positions or {}).items():
        coords[dim] = (dim, at, dict(source.coords[dim].attrs))
    return xr.DataArray(data, dims=dims, coords=coords, name=source.name, attrs=source.attrs)


def with_dims(image: Lifted, axes: Sequence[int], count: int) -> list[str] | None:
    """Return names of the axes of a result that has ``count`` axes in place of some of an image."""
    if image.dims is None:
        return None
    if count == len(axes):
        return list(image.dims)
    lead = [dim for axis, dim in enumerate(image.dims) if axis not in axes]
    named = [f"dim_{i}" for i in range(count - len(SPACE))] + list(SPACE[-count:])
    return [*lead, *named]


def positions_at(image: Lifted, dim: str, at: Array) -> Array | None:
    """Return coordinates at indices along a dim, None where it has no numbers."""
    assert isinstance(image.image, xr.DataArray)  # noqa: S101 - only those have dims
    if dim not in image.image.coords or image.image.coords[dim].dtype.kind not in "iuf":
        return None
    known = np.asarray(image.image.coords[dim].values, np.float64)
    if len(known) < 2:
        return np.full(len(at), known[0]) if len(at) == 1 and len(known) else None
    left = np.clip(np.floor(at), 0, len(known) - 2).astype(np.intp)
    found = known[left] + (at - left) * (known[left + 1] - known[left])
    # As all coordinates: equal positions are equal numbers.
    return np.asarray(np.round(found, 6) + 0.0)
