"""An image at points that lie anywhere: what is read depends on the coordinates, tile after tile."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from dask.tokenize import tokenize

from chunkmed.graph.box import Box, box_size, sides
from chunkmed.graph.constant import ArrayReader
from chunkmed.graph.nodes import Array, Call, Fetch, Node, Source
from chunkmed.graph.warp import Spline, assembled, by_scipy, interpolated, is_by_scipy
from chunkmed.kernels.borders import Runs, touched
from chunkmed.provenance import content_hash

__all__ = ["MappedPoints", "Scattered"]

#: Voxels that are held at a time: points that need more are taken tile by tile.
_HELD = 1 << 23
#: Points of one block.
_BLOCK = 1 << 18


class MappedPoints(Node):
    """Coordinates that a function gives for every voxel of a result, shape (axes, ...).

    Parameters
    ----------
    call : Call
        From a tuple of indices to one coordinate for each axis of the image.
    arguments : tuple
        More positional arguments.
    axes : int
        Number of coordinates.
    shape : sequence of int
        Of the result.
    """

    def __init__(self, call: Call, arguments: tuple[Any, ...], axes: int, shape: Sequence[int]) -> None:
        self.call, self.arguments = call, arguments
        self.shape, self.dtype = (axes, *shape), np.dtype(np.float64)
        self.token = content_hash("mapped", call.token, tokenize(arguments), self.shape)
        self.cost_ns = 1000.0

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return nothing: there are no inputs."""
        return ()

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Call the function for every voxel."""
        count, starts = self.shape[0], [a for a, _ in box[1:]]
        out = np.empty((count, *sides(box[1:])))
        for place in np.ndindex(*out.shape[1:]):
            index = tuple(a + i for a, i in zip(starts, place, strict=True))
            out[(slice(None), *place)] = self.call(index, *self.arguments)
        return out[box[0][0] : box[0][1]]

    def natural(self, *blocks: Sequence[int]) -> tuple[int, ...]:
        """Return blocks of some ten thousand points."""
        return self.shape[0], *_few(self.shape[1:])

    @property
    def label(self) -> str:
        """Name of the function."""
        return f"coordinates by {self.call.name.rsplit('.', 1)[-1]}"


class Scattered(Node):
    """An image at points, the same of every frame.

    Parameters
    ----------
    parent : Node
        Values, or coefficients of splines above order 1.
    points : Node
        Coordinates, shape (axes, ...): axes of the image and shape of the result.
    spline : Spline
        How values are made.
    dtype : dtype
        Of the result.
    """

    def __init__(self, parent: Node, points: Node, spline: Spline, dtype: Any) -> None:
        self.inputs, self.spline, self.axes = (parent, points), spline, points.shape[0]
        self.lead = len(parent.shape) - self.axes
        self.shape = (*parent.shape[: self.lead], *points.shape[1:])
        self.dtype = np.dtype(dtype)
        self.token = content_hash("scattered", parent.token, points.token, repr(spline), str(self.dtype))
        self.cost_ns = 20.0 + 2.0 * (spline.order + 1) ** self.axes

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the box of the coordinates; what they need is known when they are."""
        return None, ((0, self.axes), *box[self.lead :])

    def reach(self, box: Box) -> tuple[Box, ...]:
        """Return the box that holds all points; where they are not known yet, all of each frame."""
        image, points = self.inputs
        asked = ((0, self.axes), *box[self.lead :])
        if isinstance(points, Source) and isinstance(points.reader, ArrayReader):
            at = points.reader.read(asked).reshape(self.axes, -1).astype(np.float64) + self.spline.pad
            spans = [(each[0][0], each[-1][1]) for each in self._runs(at)]
        else:
            spans = [(0, n) for n in image.shape[self.lead :]]
        return (*box[: self.lead], *spans), asked

    def piece(self, box: Box) -> tuple[Box, ...]:
        """Return a box as large as a tile."""
        image, points = self.reach(box)
        side = int(_HELD ** (1 / self.axes))
        frame = ((a, a + 1) for a, _ in box[: self.lead])
        return (*frame, *((a, min(b, a + side)) for a, b in image[self.lead :])), points

    def natural(self, *blocks: Sequence[int]) -> tuple[int, ...]:
        """Return the blocks of the points, few at a time."""
        pairs = zip(blocks[1][1:], _few(self.shape[self.lead :]), strict=True)
        return (*blocks[0][: self.lead], *(min(pair) for pair in pairs))

    def own_bytes(self, box: Box) -> int:
        """Return the memory of a block of floats, and of the points of a tile."""
        points = box_size(box[self.lead :])
        return box_size(self.piece(box)[0]) * 8 + points * 8 * (self.axes + 2)

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Interpolate the points of tile after tile."""
        (points,) = arrays
        at = np.ascontiguousarray(points.reshape(self.axes, -1), np.float64) + self.spline.pad
        out = np.empty((math.prod(sides(box[: self.lead])), at.shape[1]), self.dtype)
        if not out.size or 0 in self.inputs[0].shape:
            out[...] = self.spline.cval
            return out.reshape(sides(box))
        for chosen, runs in self._groups(at):
            for number, frame in enumerate(np.ndindex(*sides(box[: self.lead]))):
                lead = tuple((a + i, a + i + 1) for (a, _), i in zip(box[: self.lead], frame, strict=True))
                block = assembled(self.inputs[0], lead, runs, fetch)[(0,) * self.lead]
                out[number, chosen] = self._values(block, runs, at[:, chosen])
        return out.reshape(sides(box))

    def _groups(self, at: Array) -> Iterator[tuple[Any, list[Runs]]]:
        """Yield points with the runs of voxels that they need: all points, or those of one tile."""
        runs = self._runs(at)
        if is_by_scipy(self.axes) or math.prod(sum(b - a for a, b in each) for each in runs) <= _HELD:
            yield slice(None), runs
            return
        side = max(1.0, int(_HELD ** (1 / self.axes)) / 2)
        tiles = np.floor(np.nan_to_num(np.clip(at, -1e9, 1e9)) / side).astype(np.int64)
        _, which = np.unique(tiles, axis=1, return_inverse=True)
        order = np.argsort(which.reshape(-1), kind="stable")
        cuts = np.flatnonzero(np.diff(which.reshape(-1)[order])) + 1
        for chosen in np.split(order, cuts):
            yield chosen, self._runs(at[:, chosen])

    def _runs(self, at: Array) -> list[Runs]:
        sizes = self.inputs[0].shape[self.lead :]
        if is_by_scipy(self.axes):
            return [((0, n),) for n in sizes]
        code, order = self.spline.code, self.spline.order
        return [touched(*_ends(row), n, code, order) for row, n in zip(at, sizes, strict=True)]

    def _values(self, block: Array, runs: Sequence[Runs], at: Array) -> Array:
        sizes = self.inputs[0].shape[self.lead :]
        if is_by_scipy(self.axes):
            return by_scipy(block, at, self.spline, self.dtype)
        return interpolated(block, sizes, runs, at, self.spline, self.dtype)

    @property
    def label(self) -> str:
        """What it does."""
        return f"interpolate (order {self.spline.order}) at points"


def _few(shape: Sequence[int]) -> tuple[int, ...]:
    side = int(_BLOCK ** (1 / max(1, len(shape))))
    return tuple(max(1, min(n, side)) for n in shape)


def _ends(values: Array) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
