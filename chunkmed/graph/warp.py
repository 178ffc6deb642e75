"""An image on another grid: the voxels that a box of it is interpolated from, and the interpolation."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.graph.box import Box, box_size, chunk_boxes, regular_chunks, sides
from chunkmed.graph.mapping import AlongAxes, Mapping
from chunkmed.graph.nodes import Array, Fetch, Node
from chunkmed.kernels.borders import CODES, EXTENT, GRID_CONSTANT, Runs, leaves, touched
from chunkmed.provenance import content_hash

__all__ = ["Spline", "Warp", "assembled", "by_scipy", "interpolated", "is_by_scipy"]

#: Points whose coordinates are made at a time.
_POINTS = 1 << 16
_FEWEST_POINTS = 1 << 10
_MOST_AXES = 4
#: Time per voxel: of each tap, and of a point of its own.
_TAP_NS, _POINT_NS = 2.0, 12.0


@dataclass(frozen=True)
class Spline:
    """How values between voxels are made.

    Parameters
    ----------
    order : int
        0 to 5; above 1 the image holds coefficients.
    mode : str
        Border mode of scipy.ndimage, or ``extent``.
    cval : float
        The constant.
    pad : int
        Voxels that the image was extended by at all sides: coordinates count from behind them.
    """

    order: int
    mode: str = "constant"
    cval: float = 0.0
    pad: int = 0

    @property
    def code(self) -> int:
        """Border mode for kernels."""
        return CODES[self.mode]

    def block_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the float dtype that holds all values of an image, and the constant."""
        small = self.order <= 1 and (dtype.itemsize <= 2 or dtype == np.float32)
        plain = self.mode != "grid-constant" or float(np.float32(self.cval)) == self.cval
        return np.dtype(np.float32 if small and plain else np.float64)


class Warp(Node):
    """An image interpolated on another grid along its last axes.

    Parameters
    ----------
    parent : Node
        Values, or coefficients of splines above order 1.
    mapping : Mapping
        Where the voxels of the result lie in the image.
    spline : Spline
        How values are made.
    dtype : dtype
        Of the result.
    axes : int
        How many of the image's axes are mapped, the last ones.
    """

    def __init__(self, parent: Node, mapping: Mapping, spline: Spline, dtype: Any, axes: int) -> None:
        self.inputs, self.mapping, self.spline = (parent,), mapping, spline
        self.lead = len(parent.shape) - axes
        self.shape = (*parent.shape[: self.lead], *mapping.shape)
        self.dtype = np.dtype(dtype)
        self.token = content_hash("warp", parent.token, mapping.token, repr(spline), str(self.dtype), axes)
        taps, along = spline.order + 1, isinstance(mapping, AlongAxes)
        self.cost_ns = _TAP_NS * taps * axes if along else _POINT_NS + _TAP_NS * float(taps**axes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the mapped axes of the image."""
        return self.inputs[0].shape[self.lead :]

    def runs(self, box: Box) -> list[Runs]:
        """Return the runs of voxels of each mapped axis that a box needs."""
        if is_by_scipy(len(self.sizes)):
            return [((0, n),) for n in self.sizes]
        ranges = zip(self.mapping.ranges(box[self.lead :]), self.sizes, strict=True)
        code, order, pad = self.spline.code, self.spline.order, self.spline.pad
        return [touched(low + pad, high + pad, n, code, order) for (low, high), n in ranges]

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the one box that is needed; None where it takes several."""
        runs = self.runs(box)
        single = all(len(each) == 1 for each in runs)
        return ((*box[: self.lead], *(each[0] for each in runs)) if single else None,)

    def reach(self, box: Box) -> tuple[Box, ...]:
        """Return the box that holds all that is needed."""
        return ((*box[: self.lead], *((each[0][0], each[-1][1]) for each in self.runs(box))),)

    def piece(self, box: Box) -> tuple[Box, ...]:
        """Return a box as large as all that is needed."""
        return ((*box[: self.lead], *((0, sum(b - a for a, b in each)) for each in self.runs(box))),)

    def own_bytes(self, box: Box) -> int:
        """Return the memory beside the result and what it is made of: a block of floats."""
        (piece,) = self.piece(box)
        copied = self.spline.block_dtype(self.inputs[0].dtype) != self.inputs[0].dtype
        return (box_size(piece) * 8 if copied else 0) + _POINTS * 8 * (len(self.sizes) + 2)

    def natural(self, *blocks: Sequence[int]) -> tuple[int, ...]:
        """Return the block that is made of about one block of the image."""
        (block,) = blocks
        if len(self.mapping.shape) != len(self.sizes):
            return (*block[: self.lead], *self.mapping.shape)
        trios = enumerate(zip(block[self.lead :], self.sizes, self.mapping.shape, strict=True))
        mapped = (m if b >= n else self._part(i, b) for i, (b, n, m) in trios)
        return (*block[: self.lead], *mapped)

    def _part(self, axis: int, length: int) -> int:
        return min(self.mapping.shape[axis], max(1, round(length / max(self.mapping.step(axis), 1e-6))))

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Interpolate frame after frame."""
        out = np.empty(sides(box), self.dtype)
        if not out.size or 0 in self.sizes:
            out[...] = self.spline.cval
            return out
        runs = self.runs(box)
        block = arrays[0] if arrays else assembled(self.inputs[0], box[: self.lead], runs, fetch)
        mapped = box[self.lead :]
        frames = block.reshape(-1, *block.shape[self.lead :])
        targets = out.reshape(len(frames), *sides(mapped))
        if is_by_scipy(len(self.sizes)):
            self._scipys(frames, mapped, targets)
        elif isinstance(self.mapping, AlongAxes):
            self._along(self._ready(frames, mapped), mapped, runs, targets)
        else:
            self._apart(self._ready(frames, mapped), mapped, runs, targets)
        return out

    def _ready(self, frames: Array, mapped: Box) -> Array:
        ends, pad, order = self.mapping.ranges(mapped), self.spline.pad, self.spline.order
        pairs = zip(ends, self.sizes, strict=True)
        return _ready(frames, self.spline, [leaves(a + pad, b + pad, n, order) for (a, b), n in pairs])

    def _along(self, frames: Array, mapped: Box, runs: Sequence[Runs], out: Array) -> None:
        # Here, for numba takes a second to import.
        from chunkmed.kernels import separable
        from chunkmed.kernels.bsplines import axis_taps
        from chunkmed.kernels.points import Places

        assert isinstance(self.mapping, AlongAxes)  # noqa: S101 - asked before
        taps = []
        for (a, b), at, n, own in zip(mapped, self.mapping.coordinates, self.sizes, runs, strict=True):
            code, order = self.spline.code, self.spline.order
            indices, weights = axis_taps(at[a:b] + self.spline.pad, n, order, code)
            # -1, the constant, is the last place; what is all constant stays marked.
            local = np.where(indices < -1, indices, Places(n, own).table[np.maximum(indices, -1)])
            taps.append(separable.AxisTaps(local, weights))
        for frame, target in zip(frames, out, strict=True):
            separable.interpolate(frame, taps, self.spline.cval, target)

    def _apart(self, frames: Array, mapped: Box, runs: Sequence[Runs], out: Array) -> None:
        for part, cut in _slabs(mapped, max(_FEWEST_POINTS, _POINTS // len(frames))):
            at = self.mapping.points(part, float(self.spline.pad))
            values = _at_points(frames, self.sizes, runs, at, self.spline, self.dtype)
            out[(slice(None), *cut)] = values.reshape(len(frames), *sides(part))

    def _scipys(self, frames: Array, mapped: Box, out: Array) -> None:
        at = self.mapping.points(mapped, float(self.spline.pad))
        for frame, target in zip(frames, out, strict=True):
            target[...] = by_scipy(frame, at, self.spline, self.dtype).reshape(target.shape)

    @property
    def label(self) -> str:
        """What it does."""
        sizes = " x ".join(map(str, self.mapping.shape))
        return f"interpolate (order {self.spline.order}) to {sizes}"


def is_by_scipy(axes: int) -> bool:
    """Whether scipy interpolates: more axes than the kernels take, or kernels are off."""
    return axes > _MOST_AXES or os.environ.get("CHUNKMED_KERNELS") == "scipy"


def by_scipy(frame: Array, at: Array, spline: Spline, dtype: np.dtype[Any]) -> Array:
    """Return values of a whole image at points (axes, n), by scipy."""
    mode = spline.mode
    if spline.code == EXTENT:
        mode, last = "constant", np.array(frame.shape, np.float64)[:, None] - 1
        at = np.where((at >= -0.5) & (at <= last + 0.5), np.clip(at, 0, last), -9.0)
    settings = {"order": spline.order, "mode": mode, "cval": spline.cval, "prefilter": False}
    return np.asarray(scipy.ndimage.map_coordinates(frame, at, output=dtype, **settings))


def interpolated(
    block: Array, sizes: Sequence[int], runs: Sequence[Runs], at: Array, spline: Spline, dtype: np.dtype[Any]
) -> Array:
    """Return values at points (axes, n), in coordinates of the whole, from a block of a frame."""
    beyond = [True] * len(sizes) if spline.code == GRID_CONSTANT else [False] * len(sizes)
    return np.asarray(_at_points(_ready(block[None], spline, beyond), sizes, runs, at, spline, dtype)[0])


def _at_points(
    frames: Array, sizes: Sequence[int], runs: Sequence[Runs], at: Array, spline: Spline, dtype: np.dtype[Any]
) -> Array:
    # Here, for numba takes a second to import.
    from chunkmed.kernels import points
    from chunkmed.kernels.stored import store

    places = [points.Places(n, own) for n, own in zip(sizes, runs, strict=True)]
    out = np.empty((len(frames), at.shape[1]), dtype)
    store(points.interpolate(frames, places, at, spline.order, spline.code, spline.cval), out)
    return out


def _ready(frames: Array, spline: Spline, beyond: Sequence[bool]) -> Array:
    """Return contiguous floats, with one more voxel for the constant where splines may reach it."""
    frames = np.ascontiguousarray(frames, spline.block_dtype(frames.dtype))
    if spline.code != GRID_CONSTANT or not any(beyond):
        return frames
    more = [(0, 0), *((0, int(each)) for each in beyond)]
    return np.asarray(np.pad(frames, more, constant_values=spline.cval))


def _slabs(box: Box, most: int) -> list[tuple[Box, tuple[slice, ...]]]:
    """Cut a box into slabs of few points; return each with its place."""
    shape, left, block = sides(box), most, []
    for n in reversed(shape):
        block.append(max(1, min(n, left)))
        left //= block[-1]
    boxes = (part for _, part in chunk_boxes(regular_chunks(shape, block[::-1])))
    return [
        (
            tuple((c + a, d + a) for (c, d), (a, _) in zip(part, box, strict=True)),
            tuple(slice(c, d) for c, d in part),
        )
        for part in boxes
    ]


def assembled(node: Node, lead: Box, runs: Sequence[Runs], fetch: Fetch) -> Array:
    """Read runs of voxels of each axis; they lie one behind the other."""
    lengths = [[b - a for a, b in each] for each in runs]
    out = np.empty((*sides(lead), *map(sum, lengths)), node.dtype)
    ends = [list(itertools.accumulate(each, initial=0)) for each in lengths]
    for index in itertools.product(*(range(len(each)) for each in runs)):
        chosen = [each[i] for each, i in zip(runs, index, strict=True)]
        place: list[Any] = [slice(end[i], end[i + 1]) for end, i in zip(ends, index, strict=True)]
        out[(..., *place)] = fetch(node, (*lead, *chosen))
    return out
