"""Slices read from an image of any size: no more of it than they need, no chunk twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dask.base
import numpy as np
import xarray as xr

from chunkmed.coords import is_channel, time_dim_of
from chunkmed.graph.box import Box, box_size, hull, whole
from chunkmed.graph.evaluate import needs, walk
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Crop, Node, Source
from chunkmed.graph.schedulers import scheduler_of_arrays
from chunkmed.graph.views import natural_block, view
from chunkmed.slices.planes import Plane

__all__ = ["Cut", "box_of", "cost_of", "read_cuts"]


@dataclass(frozen=True)
class Cut:
    """One slice of an image: a position along one axis, at one time point."""

    plane: Plane
    index: int
    """Along the plane's normal."""
    t: int = 0
    """Time point; 0 for an image without time."""


@dataclass(frozen=True)
class _Request:
    """What is evaluated at once: a box of the image, and which of the cuts lie in it."""

    box: Box
    cuts: tuple[Cut, ...]


def read_cuts(image: xr.DataArray, cuts: Sequence[Cut]) -> dict[Cut, Array]:
    """Return the values of each cut: its vertical axis first, channels last.

    Parameters
    ----------
    image : xarray.DataArray
        Dims z, y, x or some of them, at most one of time, channels last. Lazy or not.
    cuts : sequence of Cut
        Indices along axes that the image does not have are 0.
    """
    node = lift(image).node
    requests = [
        request
        for plane in dict.fromkeys(cut.plane for cut in cuts)
        for request in _requests(image, node, [cut for cut in cuts if cut.plane == plane])
    ]
    parts = (_of(image, node, request) for request in requests)
    arrays = dask.base.compute(*parts, scheduler=scheduler_of_arrays())
    return {
        cut: np.asarray(values)
        for request, array in zip(requests, arrays, strict=True)
        for cut, values in zip(request.cuts, array, strict=True)
    }


def cost_of(node: Node, boxes: Iterable[Box]) -> int:
    """Return how many voxels are computed or decoded for boxes of a node that are evaluated apart."""
    order = walk([node])
    total = 0
    for box in boxes:
        need = needs([(node, box)], order, reach=True)
        total += sum(_size(item, part) for item in order for part in need.get(item.token, ()))
    return total


def _requests(image: xr.DataArray, node: Node, cuts: Sequence[Cut]) -> list[_Request]:
    """Return how the cuts across one axis are read: those in one block together, or each alone."""
    axis = _axis(image, cuts[0].plane.normal)
    depth = 1 if axis is None else _depth(node, axis)
    blocks: dict[tuple[int, int], list[Cut]] = {}
    for cut in sorted(set(cuts), key=lambda cut: (cut.t, cut.index)):
        blocks.setdefault((cut.t, cut.index // depth), []).append(cut)
    out = []
    for together in blocks.values():
        each = [_Request(box_of(image, node, cut), (cut,)) for cut in together]
        all_of = _Request(hull(each[0].box, each[-1].box), tuple(together))
        apart = cost_of(node, (request.box for request in each))
        out += [all_of] if cost_of(node, [all_of.box]) <= apart else each
    return out


def _depth(node: Node, axis: int) -> int:
    return max(1, natural_block(node)[axis])


def _size(node: Node, box: Box) -> int:
    if not isinstance(node, Source):
        return box_size(box)
    granule = getattr(node.reader, "granule", node.reader.chunks)
    spans = zip(box, granule, node.shape, strict=True)
    return box_size(tuple((a // g * g, min(n, -(-b // g) * g)) for (a, b), g, n in spans))


def _axis(image: xr.DataArray, name: str) -> int | None:
    return image.dims.index(name) if name in image.dims else None


def box_of(image: xr.DataArray, node: Node, cut: Cut) -> Box:
    """Return which part of the node of an image a cut shows."""
    box = list(whole(node.shape))
    time = time_dim_of(image)
    for name, index in ((cut.plane.normal, cut.index), (time, cut.t)):
        if name is not None and (axis := _axis(image, name)) is not None:
            box[axis] = (index, index + 1)
    return tuple(box)


def _of(image: xr.DataArray, node: Node, request: _Request) -> object:
    """Return a request as a dask array in one block: normal, vertical, horizontal, channels."""
    plane = request.cuts[0].plane
    axes = [_axis(image, name) for name in (plane.normal, plane.vertical, plane.horizontal)]
    if image.dims and is_channel(image, image.dims[-1]):
        axes.append(image.ndim - 1)
    cropped = Crop(node, request.box, axes)
    # Of what lies between only the slices that are shown are kept.
    first = request.cuts[0].index
    kept = [cut.index - first for cut in request.cuts]
    return view(cropped, tuple((n,) for n in cropped.shape))[kept]
