"""Chains of elementwise functions in pieces that fit the processor's cache: no array in between is whole."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from chunkmed.graph.box import Box, box_size, sides
from chunkmed.graph.nodes import Array, Node, Pointwise
from chunkmed.reused import empty

__all__ = ["Needs", "chain_of", "inlined", "is_fresh", "piece_bytes", "run_chain"]

#: Boxes of every node that are needed, by token.
Needs = Mapping[str, tuple[Box, ...]]

#: Bytes of the largest array of a piece. With smaller ones Python's lock is asked for so often that two
#: threads take as long as one; larger ones get new memory from the system every time.
_PIECE = 1 << 19


def inlined(requests: Sequence[tuple[Node, Box]], order: Sequence[Node], need: Needs) -> set[str]:
    """Return the tokens of elementwise nodes that only one other of the same box uses: never made whole."""
    users: dict[str, list[Node]] = {}
    for node in order:
        if node.token in need:
            for item in node.inputs:
                users.setdefault(item.token, []).append(node)
    wanted = {node.token for node, _ in requests}
    return {
        node.token
        for node in order
        if _is_elementwise(node) and node.dtype_known and node.token in need and node.token not in wanted
        if len(found := users[node.token]) == 1 and _is_elementwise(found[0])
        if found[0].shape == node.shape and need[found[0].token] == need[node.token]
    }


def _is_elementwise(node: Node) -> bool:
    return isinstance(node, Pointwise)


def is_fresh(node: Node, box: Box) -> bool:
    """Whether what an elementwise node makes of a box is surely in memory of its own: made piece by piece."""
    return _is_elementwise(node) and node.dtype_known and box_size(box) > _PIECE


def chain_of(node: Node, inside: Collection[str]) -> list[Node]:
    """Return the elementwise nodes that are made together, inputs first, the node itself last."""
    chain = [part for item in node.inputs if item.token in inside for part in chain_of(item, inside)]
    return [*chain, node]


def run_chain(chain: Sequence[Node], box: Box, given: Mapping[str, Array]) -> Array:
    """Return the last node of a chain on a box, from the arrays of what the chain takes by token."""
    last, shape = chain[-1], sides(box)
    piece = _piece_of(chain)
    if not (last.dtype_known and math.prod(shape) > piece and shape):
        return np.asarray(_piece(chain, box, given, (slice(None),) * len(shape)))
    out = empty(shape, last.dtype)
    for cut in _cuts(shape, piece):
        out[cut] = _piece(chain, box, given, cut)
    return out


def piece_bytes(chain: Sequence[Node], box: Box) -> int:
    """Return the most bytes that a piece of a chain takes beside what the chain is given."""
    tokens, live, most = {node.token for node in chain}, 0, 0
    for node in chain:
        live += node.dtype.itemsize
        most = max(most, live)
        live -= sum(item.dtype.itemsize for item in node.inputs if item.token in tokens)
    return most * min(_piece_of(chain), box_size(box))


def _piece_of(chain: Sequence[Node]) -> int:
    """Return the voxels of a piece."""
    return max(1, _PIECE // max(node.dtype.itemsize for node in chain))


def _piece(chain: Sequence[Node], box: Box, given: Mapping[str, Array], cut: tuple[slice, ...]) -> Any:
    values: dict[str, Any] = {}
    for node in chain:
        arrays = [
            # Nobody else takes it.
            values.pop(item.token) if item.token in values else _cut(given[item.token], cut, len(box))
            for item in node.inputs
        ]
        values[node.token] = node.compute(box, arrays, _no_fetch)
    return values[chain[-1].token]


def _cut(array: Array, cut: tuple[slice, ...], ndim: int) -> Array:
    """Return the part of an operand that may broadcast."""
    own = cut[ndim - array.ndim :]
    return array[tuple(slice(None) if n == 1 else part for n, part in zip(array.shape, own, strict=True))]


def _cuts(shape: Sequence[int], size: int) -> list[tuple[slice, ...]]:
    """Return pieces of about the same size that cover a shape: whole along the last axes."""
    axis, inner = len(shape) - 1, 1
    while axis > 0 and inner * shape[axis] <= size:
        inner *= shape[axis]
        axis -= 1
    step = max(1, size // inner)
    spans = [slice(start, min(start + step, shape[axis])) for start in range(0, shape[axis], step)]
    rest = tuple(slice(None) for _ in shape[axis + 1 :])
    return [
        (*(slice(i, i + 1) for i in index), span, *rest)
        for index in np.ndindex(*shape[:axis])
        for span in spans
    ]


def _no_fetch(*_: Any) -> Array:
    raise AssertionError("elementwise functions fetch nothing")
