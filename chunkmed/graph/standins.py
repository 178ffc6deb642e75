"""What later passes read, before an earlier one has made it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chunkmed.graph.box import Box
from chunkmed.graph.evaluate import walk
from chunkmed.graph.nodes import Array, Node
from chunkmed.store import layout_of

__all__ = ["Imagined", "NotMadeError", "substitute"]


class NotMadeError(Exception):
    """Values were asked for that only a run would make."""


class Imagined:
    """Values that a pass will make: planned with, never read.

    Parameters
    ----------
    shape : tuple of int
        Sizes of the axes.
    dtype : dtype
        Of the values.
    token : str
        Names them.
    label : str
        What ``explain`` says of reading them.
    """

    #: As what is read of a store.
    fresh = reuses = True

    def __init__(self, shape: tuple[int, ...], dtype: Any, token: str, label: str) -> None:
        self.shape, self.dtype, self.token, self.label = shape, np.dtype(dtype), token, label
        self.chunks = layout_of(shape).shard if shape else ()

    def read(self, box: Box) -> Array:
        """Say that only a run would know."""
        raise NotMadeError(self.token)


def substitute(nodes: Sequence[Node], made: Mapping[str, Node]) -> tuple[Node, ...]:
    """Return the nodes with others in place of some below them; tokens stay, for values do."""
    if not made:
        return tuple(nodes)
    new: dict[str, Node] = {}
    for node in walk(nodes):
        inputs = tuple(new[item.token] for item in node.inputs)
        if node.token in made:
            new[node.token] = made[node.token]
        elif all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
            new[node.token] = node
        else:
            new[node.token] = copy.copy(node)
            new[node.token].inputs = inputs
    return tuple(new[node.token] for node in nodes)
