"""Binary morphology until nothing changes: who is reached in the end, and nothing in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmed.errors import InputError
from chunkmed.graph.nodes import Array, Call, Node, Pointwise
from chunkmed.graph.spreading import reached
from chunkmed.ndimage.arguments import output_dtype

__all__ = ["Neighbours", "as_output", "checked_output", "inverted", "until_stable"]


@dataclass(frozen=True)
class Neighbours:
    """A structure as scipy takes it."""

    structure: Array
    origins: Sequence[int]
    along: Sequence[int]

    def offsets(self, ndim: int, grow: bool) -> Array:
        """Return the neighbours that decide about a voxel of an image of ``ndim`` axes, (n, ndim)."""
        # Here, for numba takes a second to import.
        from chunkmed.kernels.packed_arguments import neighbours

        order = sorted(self.along)
        if not order:
            return np.zeros((1, ndim), np.int64)
        # As in scipy: a structure's axes are ascending, and so are all origins of all axes.
        given = dict(zip(order if len(order) == ndim else self.along, self.origins, strict=True))
        return neighbours(self.structure, [given[axis] for axis in order], order, ndim, grow)


def until_stable(
    node: Node, grows: Sequence[bool], near: Neighbours, border: bool, mask: Node | None, output: Any
) -> Node:
    """Return dilations (True) and erosions of an image, each until nothing changes.

    Raises
    ------
    InputError
        Where the structure does not hold its own voxel: what is reached is then left again, and
        nothing need ever come to rest.
    TypeError
        For complex numbers, as in scipy.
    """
    dtype = checked_output(node, output)
    ndim = len(node.shape)
    for grow in grows:
        offsets = near.offsets(ndim, grow)
        if not np.any(np.all(offsets == 0, axis=1)):
            raise InputError(
                "this structure may never come to rest",
                kind="no-center",
                why="it does not hold its own voxel, so that voxels come and go with every iteration",
                fix="give a number of iterations, or a structure and an origin with the voxel itself",
            )
        # An erosion is a dilation of what is not there, from the other side of the border.
        node = node if grow else inverted(node)
        node = reached(node, mask, node.shape, offsets, border is grow)
        node = node if grow else inverted(node)
    return as_output(node, dtype)


def checked_output(node: Node, output: Any) -> np.dtype[Any]:
    """Return the dtype of a mask made of an image; complex ones are refused as in scipy."""
    dtype = output_dtype(output, bool)
    if node.dtype.kind == "c":
        raise TypeError("Complex type not supported")
    if dtype.kind == "c":
        raise TypeError("Complex output type not supported")
    return dtype


def inverted(node: Node) -> Node:
    """Return which voxels are zero."""
    return Pointwise(Call(np.logical_not), [node], node.shape, bool)


def as_output(node: Node, dtype: np.dtype[Any]) -> Node:
    """Return a mask in a dtype."""
    if node.dtype == dtype:
        return node
    return Pointwise(Call(np.add), [node, dtype.type(0)], node.shape, dtype)
