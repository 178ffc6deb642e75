"""One value everywhere: what ``da.zeros_like`` and its kin make, and xarray puts in for NaN."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chunkmed.graph.box import Box, sides
from chunkmed.graph.nodes import Array, Fetch, Node
from chunkmed.provenance import content_hash

__all__ = ["Constant"]


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
