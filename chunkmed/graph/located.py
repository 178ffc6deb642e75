"""Functions of a voxel's value and place: a node whose kernel is told where its box lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chunkmed.graph.box import Box
from chunkmed.graph.nodes import Array, Call, Fetch, Node
from chunkmed.provenance import content_hash

__all__ = ["Located"]


class Located(Node):
    """An elementwise function that gets the box beside its values, as ``box=``.

    Parameters
    ----------
    call : Call
        ``call(array, box=((start, stop), ...))``: the box's values.
    parent : Node
        What it is applied to.
    dtype : dtype
        Of the result.
    """

    def __init__(self, call: Call, parent: Node, dtype: Any) -> None:
        self.call, self.inputs = call, (parent,)
        self.shape, self.dtype = parent.shape, np.dtype(dtype)
        self.token = content_hash("located", call.token, parent.token, str(self.dtype))

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the same box."""
        return (box,)

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Apply the function."""
        return np.asarray(self.call(arrays[0], box=box), dtype=self.dtype)

    @property
    def label(self) -> str:
        """Name of the function."""
        return self.call.name.rsplit(".", 1)[-1]
