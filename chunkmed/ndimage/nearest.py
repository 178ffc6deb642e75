"""Distance transforms as passes over whole axes: nodes of :mod:`chunkmed.graph.pencils`, one per axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import SPACE, grid_of, has_grid
from chunkmed.errors import InputError
from chunkmed.graph.lift import Lifted
from chunkmed.graph.nodes import Call, Node, Pointwise
from chunkmed.graph.pencils import Apart, Components, Pencil
from chunkmed.graph.views import Chunks, natural_chunks, view
from chunkmed.grid import Grid
from chunkmed.kernels import distance as kernels
from chunkmed.kernels.axes import Axis
from chunkmed.ndimage.arguments import per_axis

__all__ = ["axes_of", "components", "euclidean", "frames", "lowered", "places", "steps"]

#: Nanoseconds a voxel: a scan, steps, an envelope, one with places.
_SCAN_NS, _STEPS_NS, _ENVELOPE_NS, _PLACES_NS = 2.0, 6.0, 15.0, 40.0


def axes_of(image: Lifted, sampling: Any) -> tuple[Axis, ...]:
    """Return the axes of an image that distances are counted along, in order."""
    along = sorted(image.space_axes)
    if not along:
        raise InputError("an image without z, y or x", kind="bad-axis", why=f"dims are {image.dims}")
    sizes = [image.node.shape[axis] for axis in along]
    if sampling is not None:
        steps = [_checked_step(value) for value in per_axis(sampling, len(along), "sampling")]
        return tuple(Axis(*each) for each in zip(along, sizes, steps, strict=True))
    grid = _known_grid(image)
    if grid is None:
        return tuple(Axis(axis, size) for axis, size in zip(along, sizes, strict=True))
    spacing = dict(zip(SPACE, grid.spacing_mm, strict=True))
    dims = image.dims or ()
    return tuple(
        Axis(axis, size, positions=grid.z_mm)
        if dims[axis] == "z" and not grid.uniform
        else Axis(axis, size, spacing[dims[axis]])
        for axis, size in zip(along, sizes, strict=True)
    )


def _checked_step(value: Any) -> float:
    try:
        step = float(value)
    except (TypeError, ValueError):
        step = np.nan
    if not 0 < step < np.inf:
        raise InputError(f"sampling = {value!r}", kind="bad-sampling", fix="give positive numbers")
    return step


def _known_grid(image: Lifted) -> Grid | None:
    """Return where the voxels lie, where that is known; refuse axes that are not at right angles."""
    if not isinstance(image.image, xr.DataArray) or not has_grid(image.image):
        return None
    grid = grid_of(image.image)
    if not grid.known:
        return None
    if not grid.right_angled:
        raise InputError(
            "distances on a sheared grid",
            kind="sheared",
            why="the axes of this image are not at right angles",
            fix="give sampling=, or resample first",
        )
    return grid


def euclidean(image: Lifted, axes: Sequence[Axis], nowhere: float | None) -> Node:
    """Return Euclidean distances; ``nowhere`` as of :func:`chunkmed.kernels.distance.roots`."""
    first, rest = axes[0], tuple(axes[1:])
    node = _offsets(image, first, apart=bool(rest))
    # Squares and indices of a whole block, where slices lie at uneven distances.
    room = 0.1 if first.even else 3.0
    call = Call(kernels.roots, {"first": first, "rest": rest, "nowhere": nowhere})
    whole, cost = [axis.number for axis in rest], _ENVELOPE_NS * max(1, len(rest))
    return Pencil(call, node, whole, np.float64, cost_ns=cost, workspace=room, placed=True)


def steps(image: Lifted, axes: Sequence[Axis], metric: str, nowhere: Any) -> Node:
    """Return city-block or chessboard distances in voxels; ``nowhere`` is put where there are none."""
    from chunkmed.kernels import chamfer

    # Along a single axis both are the same, and steps may be counted again along it.
    kernel = chamfer.chessboard if metric == "chessboard" and len(axes) > 1 else chamfer.taxicab
    node = _offsets(image, axes[0], apart=len(axes) > 1)
    rest = axes[1:] or axes
    for place, axis in enumerate(rest):
        last = place == len(rest) - 1
        settings = {"axis": axis.number, "first": place == 0, "nowhere": nowhere if last else None}
        dtype = np.asarray(nowhere).dtype if last else np.int32
        # A copy of the lines, and one of what is wanted of them.
        call = Call(kernel, settings)
        node = Pencil(call, node, [axis.number], dtype, cost_ns=_STEPS_NS, workspace=1.5)
    return node


def places(image: Lifted, taken: Sequence[Axis], latest: bool) -> Node:
    """Return where the nearest background lies, over axes in the order they are taken."""
    from chunkmed.kernels import features

    node: Node = _offsets(image, taken[0], apart=len(taken) > 1, latest=latest)
    for count, axis in enumerate(taken[1:], 1):
        settings = {"before": tuple(taken[:count]), "axis": axis, "latest": latest}
        dtype = features.place_dtype(taken[: count + 1])
        # Squares (8), and indices of the first pass.
        room = 24 / dtype.itemsize
        call = Call(features.places, settings)
        node = Pencil(call, node, [axis.number], dtype, cost_ns=_PLACES_NS, workspace=room, placed=True)
    if len(taken) == 1:
        node = Pencil(Call(features.indices, {"axis": taken[0]}), node, [], np.int32, placed=True)
    return Apart(node, _final_chunks(image, taken))


def components(node: Node, taken: Sequence[Axis], nowhere: Sequence[int]) -> Node:
    """Return places as one index per axis, on a new first axis."""
    from chunkmed.kernels import features

    call = Call(features.unravelled, {"taken": tuple(taken), "nowhere": tuple(nowhere)})
    return Components(call, node, len(taken), np.int32)


def frames(image: Lifted, axes: Sequence[Axis], call: Call, dtype: Any, workspace: float) -> Node:
    """Return what a function makes of each time point as a whole."""
    along = [axis.number for axis in axes]
    return Pencil(call, _mask(image), along, dtype, workspace=workspace, cost_ns=_PLACES_NS)


def _mask(image: Lifted) -> Node:
    node = image.node
    known = node.dtype_known and node.dtype == bool
    return node if known else Pointwise(Call(np.not_equal), [node, 0], node.shape, bool)


def _offsets(image: Lifted, axis: Axis, *, apart: bool, latest: bool = False) -> Node:
    call = Call(kernels.nearest, {"axis": axis, "latest": latest})
    dtype = kernels.offset_dtype(axis.size)
    node = Pencil(call, _mask(image), [axis.number], dtype, workspace=0.5, cost_ns=_SCAN_NS)
    return Apart(node, _whole_along(image, [axis.number])) if apart else node


def _whole_along(image: Lifted, along: Sequence[int]) -> Chunks:
    chunks = image.chunks if image.chunks is not None else natural_chunks(image.node)
    pairs = enumerate(zip(image.node.shape, chunks, strict=True))
    return tuple((n,) if axis in along else sizes for axis, (n, sizes) in pairs)


def _final_chunks(image: Lifted, taken: Sequence[Axis]) -> Chunks:
    """Return blocks of the result that make nothing twice where dask computes them."""
    return _whole_along(image, [axis.number for axis in taken[1:] or taken])


def lowered(image: Lifted, node: Node, taken: Sequence[Axis]) -> Any:
    """Return a node as an image of the type that came in; several components on a first axis ``axis``."""
    chunks = _final_chunks(image, taken)
    if node.shape == image.node.shape:
        return replace(image, chunks=chunks).lower(node)
    array = view(node, ((node.shape[0],), *chunks))
    if not isinstance(image.image, xr.DataArray):
        return array
    data = array.compute(scheduler="synchronous") if image.in_memory else array
    names = [str(image.image.dims[axis.number]) for axis in sorted(taken, key=lambda each: each.number)]
    coords = {"axis": names, **image.image.coords}
    return xr.DataArray(data, coords=coords, dims=["axis", *image.image.dims], name=image.image.name)
