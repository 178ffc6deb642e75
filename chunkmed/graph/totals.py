"""Reductions to a few numbers: ``image.mean()``, or one number per time point.

What uses such a number needs all of the image before its first voxel. A sink therefore computes it
first, in a pass of its own; where dask computes (``.compute()``), dask's own tasks do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chunkmed.graph.box import Box
from chunkmed.graph.constant import ArrayReader
from chunkmed.graph.evaluate import is_lasting
from chunkmed.graph.nodes import Array, Node, Opaque, Source
from chunkmed.graph.plan import Plan
from chunkmed.graph.run import Work, run
from chunkmed.graph.standins import substitute
from chunkmed.provenance import content_hash

if TYPE_CHECKING:
    from chunkmed.kernels.exact import Sums

__all__ = ["MOST_NUMBERS", "Counting", "Total", "counting_bytes", "rows_of"]

#: More numbers than these are an image, not numbers: their sums would not fit beside it.
MOST_NUMBERS = 1 << 14


class Total(Opaque):
    """Mean, variance, sum, lowest or highest of an image along several axes.

    Parameters
    ----------
    opaque : Opaque
        The dask array that it is, for dask.
    parent : Node
        What is reduced.
    axes : tuple of int
        Along which axes.
    kind : {"total", "mean", "variance", "minimum", "maximum"}
        Which statistic.
    skipna : bool
        Whether NaN is left out.
    ddof : float
        Of a variance.
    dtype : dtype
        Of the result.
    """

    def __init__(
        self,
        opaque: Opaque,
        parent: Node,
        axes: tuple[int, ...],
        kind: str,
        *,
        skipna: bool,
        ddof: float,
        dtype: Any,
    ) -> None:
        super().__init__(opaque.name, opaque.graph, opaque.chunks, dtype)
        self.parent, self.axes, self.kind, self.skipna, self.ddof = parent, axes, kind, skipna, ddof
        self.lasting = is_lasting([parent])
        # Numbers of one image and the same axes are counted together.
        self.group = content_hash("totals", parent.token, axes)
        self.token = content_hash("total", self.group, kind, skipna, ddof, str(self.dtype))

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return state if state["graph"] is not None else state | {"parent": None}

    @property
    def label(self) -> str:
        """Name of the statistic."""
        return f"{self.kind} along {', '.join(map(str, self.axes))}"

    def numbers(self, sums: Sums) -> Array:
        """Return the values from the sums of all rows, in the shape of this node."""
        from chunkmed.kernels.exact import number

        rows = range(len(sums.counts))
        found = [number(sums, row, self.kind, self.skipna, self.ddof) for row in rows]
        if self.dtype.kind in "iu" and all(isinstance(value, int) for value in found):
            # As NumPy: sums of integers that do not fit go round.
            bits = np.array([int(value) % 2**64 for value in found], np.uint64)
            return bits.astype(self.dtype).reshape(self.shape)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.array(found, np.float64).astype(self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class _CountBlock:
    """Task: the sums of one block, a row for every index that is kept."""

    axes: tuple[int, ...]
    squares: bool

    def __call__(self, box: Box, arrays: Sequence[Array]) -> Sums:
        from chunkmed.kernels.exact import Sums

        kept = [axis for axis in range(len(box)) if axis not in self.axes]
        rows = math.prod(arrays[0].shape[axis] for axis in kept)
        sums = Sums.of_nothing(rows)
        sums.add(arrays[0].transpose([*kept, *self.axes]).reshape(rows, -1), self.squares)
        return sums


@dataclass(frozen=True)
class Counting:
    """A pass that counts: all numbers of one image along the same axes."""

    totals: tuple[Total, ...]
    made_of: Node
    """What makes the image, with stand-ins for what is kept or was counted before."""
    stand_ins: tuple[Source, ...]
    """What later passes read, before there is anything to read."""
    plan: Plan
    why: str = "numbers"
    written_bytes: int = 0

    def make(self, before: Mapping[str, Node], lasting: bool) -> tuple[dict[str, Node], None]:
        """Run the pass; return the numbers by the tokens of their stand-ins. See ``Spill.make``."""
        from chunkmed.kernels.exact import Sums

        axes, shape = self.totals[0].axes, self.made_of.shape
        squares = any(total.kind == "variance" for total in self.totals)
        work = Work(substitute((self.made_of,), before), _CountBlock(axes, squares))
        kept = [axis for axis in range(len(shape)) if axis not in axes]
        numbered = np.arange(rows_of(shape, axes)).reshape([shape[axis] for axis in kept])
        sums = Sums.of_nothing(numbered.size)
        for box, part in run(work, self.plan, name="counting"):
            rows = numbered[tuple(slice(*box[axis]) for axis in kept)]
            sums.merge(part, rows.reshape(-1))
        pairs = zip(self.totals, self.stand_ins, strict=True)
        made = {stand_in.token: Source(ArrayReader(total.numbers(sums))) for total, stand_in in pairs}
        return dict(made), None


def rows_of(shape: Sequence[int], axes: Sequence[int]) -> int:
    """Return how many numbers a reduction gives."""
    return math.prod(n for axis, n in enumerate(shape) if axis not in axes)


def counting_bytes(node: Node, axes: Sequence[int]) -> tuple[float, int]:
    """Return what a task that counts needs beside a block: bytes per voxel, and whatever its size."""
    from chunkmed.kernels.exact import ROW_BYTES

    kept_first = tuple(axes) == tuple(range(len(node.shape) - len(axes), len(node.shape)))
    copied = 0.0 if kept_first else float(node.dtype.itemsize)
    return copied, rows_of(node.shape, axes) * ROW_BYTES
