"""Nodes that reduce one axis: mean, spread, lowest and highest in one read, piece after piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chunkmed.graph.box import Box, sides
from chunkmed.graph.nodes import Array, Call, Fetch, Node
from chunkmed.provenance import content_hash

__all__ = ["AxisStatistics", "Reduced"]

#: Length of the pieces: statistics of a voxel stay in the processor's cache for so many values.
_PIECE = 8


class AxisStatistics(Node):
    """All statistics of every voxel along one axis: what reductions of one image share.

    Parameters
    ----------
    parent : Node
        What is reduced.
    axis : int
        Along which axis.
    skipna : bool
        Whether NaN is left out.
    """

    def __init__(self, parent: Node, axis: int, skipna: bool) -> None:
        from chunkmed.kernels.running import FIELDS

        self.inputs, self.axis, self.skipna = (parent,), axis, skipna
        self.shape = (FIELDS, *parent.shape[:axis], *parent.shape[axis + 1 :])
        self.dtype = np.dtype(np.float64)
        self.token = content_hash("axis statistics", parent.token, axis, skipna)

    def _part(self, box: Box, start: int, stop: int) -> Box:
        """Return the box of the parent for a range of the axis."""
        rest = box[1:]
        return (*rest[: self.axis], (start, stop), *rest[self.axis :])

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return None: the values are fetched piece by piece."""
        return (None,)

    def reach(self, box: Box) -> tuple[Box, ...]:
        """Return the box with the whole axis."""
        return (self._part(box, 0, self.inputs[0].shape[self.axis]),)

    def piece(self, box: Box) -> tuple[Box, ...]:
        """Return the box of one piece."""
        return (self._part(box, 0, min(_PIECE, self.inputs[0].shape[self.axis])),)

    def natural(self, *blocks: Sequence[int]) -> tuple[int, ...]:
        """Return the blocks of the parent without the axis."""
        return (self.shape[0], *blocks[0][: self.axis], *blocks[0][self.axis + 1 :])

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Add up the pieces."""
        # Here, for numba takes a second to import.
        from chunkmed.kernels import running

        (parent,) = self.inputs
        statistics = running.empty(sides(box[1:]))
        for start in range(0, parent.shape[self.axis], _PIECE):
            part = self._part(box, start, min(start + _PIECE, parent.shape[self.axis]))
            running.add(statistics, np.moveaxis(fetch(parent, part), self.axis, 0), self.skipna)
        return statistics

    @property
    def label(self) -> str:
        """What it does."""
        return f"statistics along axis {self.axis}"


class Reduced(Node):
    """One of the statistics.

    Parameters
    ----------
    statistics : AxisStatistics
        All of them.
    call : Call
        What makes the one from all.
    dtype : dtype
        Of the result.
    """

    def __init__(self, statistics: AxisStatistics, call: Call, dtype: Any) -> None:
        self.inputs, self.call = (statistics,), call
        self.shape, self.dtype = statistics.shape[1:], np.dtype(dtype)
        self.token = content_hash("reduced", statistics.token, call.token, str(self.dtype))

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the box of all statistics."""
        return (((0, self.inputs[0].shape[0]), *box),)

    def natural(self, *blocks: Sequence[int]) -> tuple[int, ...]:
        """Return the blocks of the statistics."""
        return tuple(blocks[0][1:])

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Finish one statistic."""
        return np.asarray(self.call(arrays[0])).astype(self.dtype, copy=False)

    @property
    def label(self) -> str:
        """Name of the statistic."""
        return self.call.name.rsplit(".", 1)[-1]
