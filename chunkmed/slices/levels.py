"""The coarsest stored level that still shows all that a picture has room for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from chunkmed.coords import SPACE
from chunkmed.graph.box import Box, whole
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Crop, Node, Source
from chunkmed.store import StoredArray
from chunkmed.stored import open_levels

__all__ = ["at_level", "coarsest"]


@dataclass(frozen=True)
class _Origin:
    """What part of which stored array an image is."""

    array: StoredArray
    box: Box
    axes: tuple[int | None, ...]
    """Axis of the array that each axis of the image shows."""


def at_level(image: xr.DataArray, pixels: Mapping[str, float]) -> xr.DataArray:
    """Return the same part of the coarsest level that has a voxel for each pixel, nothing read yet.

    Parameters
    ----------
    image : xarray.DataArray
        A stored image or part of one. Any other is returned as it is: it has no levels.
    pixels : mapping
        How many pixels there are along each axis that is looked at.

    Returns
    -------
    xarray.DataArray
        The same dims, and coordinates of its own voxels.
    """
    origin = _origin_of(image)
    levels = open_levels(origin.array) if origin is not None else []
    if origin is None or len(levels) < 2 or not _lies_as_stored(image, origin, levels[0][0]):
        return image
    for other, array in reversed(levels[1:]):
        part = _same_part(image, origin, other, array.shape)
        if all(part.sizes[a] >= min(n, image.sizes[a]) for a, n in pixels.items() if a in image.dims):
            return part
    return image


def _lies_as_stored(image: xr.DataArray, origin: _Origin, stored: xr.DataArray) -> bool:
    """Whether nobody gave the voxels other positions than those of the store."""
    own = _same_part(image, origin, stored, origin.array.shape)
    return all(
        name in image.coords and np.array_equal(image.coords[name].values, own.coords[name].values)
        for name in (*SPACE, "grid")
    )


def coarsest(image: xr.DataArray) -> xr.DataArray:
    """Return the same part of the coarsest level that is stored of an image, the image itself if none is."""
    return at_level(image, {})


def _origin_of(image: xr.DataArray) -> _Origin | None:
    node: Node = lift(image).node
    box: Box = whole(node.shape)
    axes: tuple[int | None, ...] = tuple(range(len(node.shape)))
    while isinstance(node, Crop):
        (below,) = node.request(box)
        if below is None:
            return None
        axes = tuple(None if axis is None else node.axes[axis] for axis in axes)
        node, box = node.inputs[0], below
    if isinstance(node, Source) and isinstance(node.reader, StoredArray):
        return _Origin(node.reader, box, axes)
    return None


def _same_part(
    image: xr.DataArray, origin: _Origin, other: xr.DataArray, shape: tuple[int, ...]
) -> xr.DataArray:
    """Return of another level what the image shows, voxels at its edges whole."""
    scales = [_factor(n, m) for n, m in zip(origin.array.shape, shape, strict=True)]
    names = [str(dim) for dim in other.dims]
    # As images have their channels last, and stores before z.
    order = names if len(names) < 5 else [names[0], names[4], *names[1:4]]
    kept = {axis for axis in origin.axes if axis is not None}
    picks: dict[str, int | slice] = {}
    for axis, ((start, stop), scale) in enumerate(zip(origin.box, scales, strict=True)):
        span = slice(start // scale, -(-stop // scale))
        picks[order[axis]] = span if axis in kept else span.start
    part = other.isel(picks)
    renamed = {
        order[axis]: str(dim)
        for axis, dim in zip(origin.axes, image.dims, strict=True)
        if axis is not None and order[axis] != dim
    }
    part = part.rename(renamed) if renamed else part
    added = [dim for axis, dim in zip(origin.axes, image.dims, strict=True) if axis is None]
    part = part.expand_dims(added) if added else part
    return part.transpose(*image.dims).assign_attrs(image.attrs)


def _factor(fine: int, coarse: int) -> int:
    """Return the power of two that makes ``fine`` voxels so many.

    Examples
    --------
    >>> _factor(301, 76), _factor(1, 1), _factor(5, 3)
    (4, 1, 2)
    """
    factor = 1
    while -(-fine // factor) > coarse:
        factor *= 2
    return factor
