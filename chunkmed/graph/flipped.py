"""An image read backwards along some axes: an exact view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chunkmed.graph.box import Box
from chunkmed.graph.nodes import Array, Fetch, Node
from chunkmed.provenance import content_hash

__all__ = ["Flipped"]


class Flipped(Node):
    """An image whose order of voxels is reversed along axes.

    Parameters
    ----------
    parent : Node
        The image.
    axes : sequence of int
        Which axes are reversed.
    """

    def __init__(self, parent: Node, axes: Sequence[int]) -> None:
        self.inputs, self.axes = (parent,), tuple(sorted(axes))
        self.shape, self.dtype, self.dtype_known = parent.shape, parent.dtype, parent.dtype_known
        self.token = content_hash("flipped", parent.token, self.axes)

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the box as counted from the other end."""
        spans = enumerate(zip(box, self.shape, strict=True))
        return (tuple((n - b, n - a) if axis in self.axes else (a, b) for axis, ((a, b), n) in spans),)

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Reverse the box."""
        return np.flip(arrays[0], self.axes)

    @property
    def label(self) -> str:
        """What it does."""
        return f"flip axes {' '.join(map(str, self.axes))}"
