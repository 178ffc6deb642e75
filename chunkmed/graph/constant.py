"""What is in memory: an array, or one value everywhere (``da.zeros_like`` and its kin)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chunkmed.graph.box import Box, sides
from chunkmed.graph.nodes import Array, Fetch, Node
from chunkmed.provenance import content_hash

__all__ = ["ArrayReader", "Constant"]


class ArrayReader:
    """A NumPy array as something to read from."""

    #: It takes no memory at all.
    reuses = True

    def __init__(self, array: Array) -> None:
        self.array = array
        self.shape, self.dtype, self.chunks = array.shape, array.dtype, array.shape
        from dask.tokenize import tokenize

        self.token = content_hash("array", tokenize(array))

    def read(self, box: Any) -> Array:
        """Return a box of the array."""
        return self.array[tuple(slice(a, b) for a, b in box)]


class Constant(Node):
    """An array of one value, never made: every box is a view of the one.

    Parameters
    ----------
    shape : tuple of int
        Sizes of the axes.
    value : ndarray without axes
        The value.
    """

    def __init__(self, shape: tuple[int, ...], value: Array) -> None:
        self.shape, self.value, self.dtype = shape, value, value.dtype
        self.token = content_hash("constant", shape, str(value.dtype), repr(value))

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return nothing: there are no inputs."""
        return ()

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Show the value as an array."""
        return np.broadcast_to(self.value, sides(box))

    @property
    def label(self) -> str:
        """The value."""
        return f"fill with {self.value}"
