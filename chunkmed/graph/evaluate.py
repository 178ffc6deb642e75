"""Ask a node for a box, and it asks its inputs for that box grown by what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmed.graph.box import Box, box_size, cover, hull, intersect, sides, take, within
from chunkmed.graph.nodes import Array, Node, Opaque, Source

__all__ = ["Reading", "evaluate", "needs", "opaque_keys", "recording", "walk"]

Request = tuple[Node, Box]
Blocks = Mapping[Any, Array]


@dataclass(frozen=True)
class Reading:
    """One read by a task: which node's box was asked for, what was read of which source."""

    task: Box
    source: str
    box: Box


_listeners: list[Callable[[Reading], None]] = []


@contextmanager
def recording() -> Iterator[list[Reading]]:
    """Record every read of every task of this process: the proof that halos are bounded."""
    readings: list[Reading] = []
    _listeners.append(readings.append)
    try:
        yield readings
    finally:
        _listeners.remove(readings.append)


def walk(roots: Sequence[Node]) -> list[Node]:
    """Return all nodes below the roots, each once, inputs before what uses them."""
    order: dict[str, Node] = {}
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if node.token in order:
            continue
        if ready:
            order[node.token] = node
        else:
            stack.append((node, True))
            stack.extend((item, False) for item in reversed(node.inputs))
    return list(order.values())


def needs(requests: Sequence[Request], order: Sequence[Node], *, reach: bool = False) -> dict[str, Box]:
    """Return the box of every node that the requests need, by token.

    With ``reach`` also what nodes fetch by themselves: all that is read, not all that is held.
    """
    need: dict[str, Box] = {}
    for node, box in requests:
        need[node.token] = hull(need[node.token], box) if node.token in need else box
    for node in reversed(order):
        if node.token not in need:
            continue
        box = need[node.token]
        for item, part in zip(node.inputs, node.reach(box) if reach else node.request(box), strict=True):
            if part is not None:
                need[item.token] = hull(need[item.token], part) if item.token in need else part
    return need


def evaluate(requests: Sequence[Request], blocks: Blocks | None = None) -> list[Array]:
    """Return the arrays of boxes, every shared input computed once.

    Parameters
    ----------
    requests : sequence of (node, box)
        What is wanted.
    blocks : mapping, optional
        Blocks of opaque dask arrays by key, as :func:`opaque_keys` names them.
    """
    order = walk([node for node, _ in requests])
    need = needs(requests, order)
    users = _count_users(order, need)
    for node, _ in requests:
        users[node.token] = users.get(node.token, 0) + 1
    values: dict[str, Array] = {}

    def fetch(node: Node, box: Box) -> Array:
        return evaluate([(node, box)], blocks)[0]

    for node in order:
        if node.token not in need:
            continue
        box = need[node.token]
        wanted = node.request(box)
        pairs = [(item, part) for item, part in zip(node.inputs, wanted, strict=True) if part is not None]
        arrays = [take(values[item.token], need[item.token], part) for item, part in pairs]
        values[node.token] = _make(node, box, arrays, fetch, blocks, requests[0][1])
        for item, _ in pairs:
            users[item.token] -= 1
            if not users[item.token]:
                del values[item.token]
    return [_full(take(values[node.token], need[node.token], box), box) for node, box in requests]


def opaque_keys(requests: Sequence[Request]) -> dict[Any, Opaque]:
    """Return the dask keys of all opaque blocks that evaluating the requests will need."""
    order = walk([node for node, _ in requests])
    if not any(isinstance(node, Opaque) for node in order):
        return {}
    need = needs(requests, order, reach=True)
    return {
        (node.name, *index): node
        for node in order
        if isinstance(node, Opaque) and node.token in need
        for index, _ in cover(need[node.token], node.chunks)
    }


def _make(
    node: Node, box: Box, arrays: Sequence[Array], fetch: Any, blocks: Blocks | None, task: Box
) -> Array:
    if isinstance(node, Opaque):
        return _assemble(node, box, blocks or {})
    if isinstance(node, Source):
        for listen in _listeners:
            listen(Reading(task, node.token, box))
    return node.compute(box, arrays, fetch)


def _assemble(node: Opaque, box: Box, blocks: Blocks) -> Array:
    """Put the blocks of an opaque array together."""
    if not box_size(box):
        return np.empty(sides(box), dtype=node.dtype)
    parts = [(part, np.asarray(blocks[(node.name, *index)])) for index, part in cover(box, node.chunks)]
    # An operand whose true size is one was given the size of the axis that it broadcasts over.
    single = [n == 1 and len(sizes) == 1 for n, sizes in zip(parts[0][1].shape, node.chunks, strict=True)]

    def true_box(claimed: Box) -> Box:
        return tuple((0, 1) if one else span for one, span in zip(single, claimed, strict=True))

    target = true_box(box)
    out = np.empty(sides(target), dtype=parts[0][1].dtype)
    for part, array in parts:
        common = intersect(true_box(part), target)
        if common is not None:
            out[within(common, target)] = array[within(common, true_box(part))]
    return out


def _count_users(order: Sequence[Node], need: Mapping[str, Box]) -> dict[str, int]:
    users: dict[str, int] = {}
    for node in order:
        if node.token not in need:
            continue
        for item, box in zip(node.inputs, node.request(need[node.token]), strict=True):
            if box is not None:
                users[item.token] = users.get(item.token, 0) + 1
    return users


def _full(array: Array, box: Box) -> Array:
    shape = sides(box)
    return array if array.shape == shape else np.broadcast_to(array, shape)
