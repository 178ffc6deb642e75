"""Tables on labels: final numbers are looked up when labels are read, never written twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from dask.tokenize import tokenize

from chunkmed.graph.box import Box, cover, intersect, within
from chunkmed.graph.nodes import Array, Fetch, Node
from chunkmed.graph.scratch import Scratch
from chunkmed.graph.views import Chunks
from chunkmed.provenance import content_hash
from chunkmed.reused import empty

__all__ = ["Lookup", "Remap"]


class Lookup(Node):
    """Labels that were counted from 1 in each block, as numbers of the whole image.

    Parameters
    ----------
    local : Node
        Local labels (uint16 or int32), 0 is background.
    chunks : tuple of tuples
        The blocks they were counted in.
    offsets : ndarray of int64
        Place of each block's labels in the table, shape of the grid of blocks.
    table : ndarray
        Final number of every local label; entry 0 is the background.
    scratch : Scratch, optional
        The folder that holds the local labels: kept as long as this node.
    token : str, optional
        Hash of the values, where it is known what they are made of: a save that was cut off goes on
        though the labels were counted anew.
    """

    reuses = True

    def __init__(
        self,
        local: Node,
        chunks: Chunks,
        offsets: Array,
        table: Array,
        scratch: Scratch | None = None,
        token: str | None = None,
    ) -> None:
        self.inputs, self.shape, self.dtype = (local,), local.shape, table.dtype
        self.chunks_counted, self.offsets, self.table, self.scratch = chunks, offsets, table, scratch
        self.token = token or content_hash("lookup", local.token, chunks, tokenize(table))

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the same box."""
        return (box,)

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Look up the labels of each block that the box touches."""
        local = arrays[0]
        # Here, for numba takes a second to import.
        from chunkmed.kernels.tables import look_up

        out = empty(local.shape, self.dtype)
        for index, part in cover(box, self.chunks_counted):
            common = intersect(part, box)
            if common is not None:
                cut = within(common, box)
                look_up(local[cut], self._own(index), out[cut])
        return out

    def _own(self, index: tuple[int, ...]) -> Array:
        """Return a block's part of the table, small enough for the processor's cache; 0 for background."""
        place, first = int(np.ravel_multi_index(index, self.offsets.shape)), int(self.offsets[index])
        last = self.offsets.size - 1
        end = int(self.offsets.flat[place + 1]) if place < last else len(self.table) - 1
        own = self.table[first : end + 1].copy()
        own[0] = 0
        return own

    @property
    def label(self) -> str:
        """What it is."""
        return f"look up {len(self.table) - 1} labels"


class Remap(Node):
    """Labels under other numbers, one table per time point.

    Parameters
    ----------
    labels : Node
        Label image.
    tables : sequence of ndarray
        New number of each label, by label; labels beyond the table become 0. One table for all, or
        one per index of ``time_axis``.
    time_axis : int, optional
        Which axis the tables belong to.
    """

    def __init__(self, labels: Node, tables: Sequence[Array], time_axis: int | None = None) -> None:
        self.inputs, self.shape, self.time_axis = (labels,), labels.shape, time_axis
        self.tables = tuple(tables)
        self.dtype = np.result_type(*self.tables)
        parts = [tokenize(table) for table in self.tables]
        self.token = content_hash("remap", labels.token, parts, time_axis)

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the same box."""
        return (box,)

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Look up every time point in its table."""
        if self.time_axis is None:
            return self._mapped(arrays[0], self.tables[0])
        moved = np.moveaxis(arrays[0], self.time_axis, 0)
        start = box[self.time_axis][0]
        mapped = [self._mapped(frame, self.tables[start + i]) for i, frame in enumerate(moved)]
        return np.moveaxis(np.stack(mapped), 0, self.time_axis)

    def _mapped(self, labels: Array, table: Array) -> Array:
        known = labels < len(table)
        out: Any = np.where(known, table[np.where(known, labels, 0)], 0)
        return np.asarray(out, dtype=self.dtype)

    @property
    def label(self) -> str:
        """What it is."""
        return "choose labels"
