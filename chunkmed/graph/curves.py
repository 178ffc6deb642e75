"""Values mapped by a table, one for all time points or one for each: by every value, or along a curve."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from dask.tokenize import tokenize

from chunkmed.graph.box import Box
from chunkmed.graph.nodes import Array, Fetch, Node
from chunkmed.provenance import content_hash

__all__ = ["Curves", "Steps"]

#: Voxels of a piece.
_PIECE = 1 << 16


class _Tables(Node):
    """An image whose values are mapped, by a table of each index of ``time_axis`` or by one for all."""

    def __init__(self, parent: Node, tables: Sequence[Array], time_axis: int | None, dtype: Any) -> None:
        self.inputs, self.shape, self.time_axis = (parent,), parent.shape, time_axis
        self.tables, self.dtype = tuple(tables), np.dtype(dtype)
        parts = [tokenize(table) for table in self.tables]
        self.token = content_hash(type(self).__name__, parent.token, parts, time_axis, str(self.dtype))

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the same box."""
        return (box,)

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Map every time point by its table."""
        out = np.empty(arrays[0].shape, self.dtype)
        if self.time_axis is None:
            self._map(arrays[0], self.tables[0], out)
            return out
        start = box[self.time_axis][0]
        frames = zip(*(np.moveaxis(each, self.time_axis, 0) for each in (arrays[0], out)), strict=True)
        for i, (values, mapped) in enumerate(frames):
            self._map(values, self.tables[start + i], mapped)
        return out

    def _map(self, values: Array, table: Array, out: Array) -> None:
        """Fill ``out`` row by row: what lies in between takes more than the values."""
        if values.ndim > 1 and values.size > _PIECE:
            for row, mapped in zip(values, out, strict=True):
                self._map(row, table, mapped)
        else:
            out[...] = self._mapped(values, table)

    @abstractmethod
    def _mapped(self, values: Array, table: Array) -> Array:
        """Return the values of a piece."""

    @property
    def label(self) -> str:
        """What it does."""
        return "map values"


class Steps(_Tables):
    """Values of at most 16 bits, each by its own entry.

    Parameters
    ----------
    parent : Node
        The image.
    tables : sequence of ndarray
        What each pattern of bits becomes.
    time_axis : int, optional
        Which axis the tables belong to.
    """

    def __init__(self, parent: Node, tables: Sequence[Array], time_axis: int | None = None) -> None:
        super().__init__(parent, tables, time_axis, tables[0].dtype)

    def _mapped(self, values: Array, table: Array) -> Array:
        native = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
        bits = native.view(np.dtype(f"u{values.dtype.itemsize}"))
        return np.take(table, bits.reshape(values.shape))


class Curves(_Tables):
    """Values along a curve of straight pieces, as :func:`numpy.interp`; NaN stays NaN.

    Parameters
    ----------
    parent : Node
        The image.
    points : ndarray, ascending
        Values where the curve is known.
    tables : sequence of ndarray
        What these become.
    time_axis : int, optional
        Which axis the tables belong to.
    dtype : dtype
        Of the result.
    """

    def __init__(
        self, parent: Node, points: Array, tables: Sequence[Array], time_axis: int | None, dtype: Any
    ) -> None:
        super().__init__(parent, tables, time_axis, dtype)
        self.points = points
        self.token = content_hash(self.token, tokenize(points))

    def _mapped(self, values: Array, table: Array) -> Array:
        return np.asarray(np.interp(values.astype(np.float64), self.points, table))
