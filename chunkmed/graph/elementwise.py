"""Chains of elementwise functions in pieces that fit the processor's cache: no array in between is whole."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from chunkmed.graph.box import Box, box_size, sides
from chunkmed.graph.nodes import Array, Node, Pointwise
from chunkmed.graph.writers import Writer, writer_of
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
        return np.asarray(_first(chain, box, given, (slice(None),) * len(shape))[0])
    out, (first, *others) = empty(shape, last.dtype), _cuts(shape, piece)
    out[first], writers = _first(chain, box, given, first)
    rooms = _Rooms(out[first].shape)
    for cut in others:
        _piece(chain, box, given, cut, out[cut], writers, rooms)
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


def _first(
    chain: Sequence[Node], box: Box, given: Mapping[str, Array], cut: tuple[slice, ...]
) -> tuple[Any, dict[str, Writer]]:
    """Return the first piece; and what makes others in a place of our choice, where that is the same."""
    values: dict[str, Any] = {}
    writers: dict[str, Writer] = {}
    for node in chain:
        arrays = _operands(node, values, given, cut)
        if not isinstance(node, Pointwise):
            values[node.token] = node.compute(box, arrays, _no_fetch)
            continue
        made, writer = node.call(*node.operands(arrays)), writer_of(node)
        if writer is not None and isinstance(made, np.ndarray) and made.dtype == node.dtype:
            writers[node.token] = writer
        values[node.token] = node.as_known(made)
    return values[chain[-1].token], writers


class _Rooms:
    """Memory for what is between two functions of a chain, of the shape of the largest piece."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.free: dict[np.dtype[Any], list[Array]] = {}

    def take(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
        """Return an array: a part of one that is free."""
        free = self.free.get(dtype)
        whole = free.pop() if free else np.empty(self.shape, dtype)
        return whole[tuple(slice(0, n) for n in shape)]

    def give_back(self, array: Array) -> None:
        """Let others have what was taken."""
        whole: Any = array.base
        self.free.setdefault(array.dtype, []).append(whole)


def _piece(
    chain: Sequence[Node],
    box: Box,
    given: Mapping[str, Array],
    cut: tuple[slice, ...],
    out: Array,
    writers: Mapping[str, Writer],
    rooms: _Rooms,
) -> None:
    """Fill in one more piece; what is between two functions lies in memory that is used again."""
    values: dict[str, Any] = {}
    lent: dict[str, Array] = {}
    for node in chain:
        arrays = _operands(node, values, given, cut)
        taken = [lent.pop(item.token) for item in node.inputs if item.token in lent]
        writer = writers.get(node.token)
        if writer is None or not isinstance(node, Pointwise):
            # What it gives may be a view of what it takes, which is then not used again.
            values[node.token] = node.compute(box, arrays, _no_fetch)
            continue
        for array in taken:
            # At once: a function of elements may write where it reads.
            rooms.give_back(array)
        place = out if node is chain[-1] else rooms.take(node.dtype, out.shape)
        if node is not chain[-1]:
            lent[node.token] = place
        values[node.token] = writer(*node.operands(arrays), out=place)
    if values[chain[-1].token] is not out:
        out[...] = values[chain[-1].token]


def _operands(
    node: Node, values: dict[str, Any], given: Mapping[str, Array], cut: tuple[slice, ...]
) -> list[Any]:
    """Return the inputs of a node of a chain; nobody else takes what the chain made."""
    return [
        values.pop(item.token) if item.token in values else _cut(given[item.token], cut, len(cut))
        for item in node.inputs
    ]


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
