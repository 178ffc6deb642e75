"""Ask a node for a box, and it asks its inputs for that box grown by what it needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmed.graph.box import Box, box_size, cover, hull, intersect, sides, take, within
from chunkmed.graph.elementwise import Needs, chain_of, inlined, is_fresh, run_chain
from chunkmed.graph.nodes import Array, Node, Opaque, Pointwise, Source, Stencil
from chunkmed.reused import release

__all__ = [
    "Reading",
    "count_users",
    "evaluate",
    "is_lasting",
    "needs",
    "opaque_keys",
    "overwritten",
    "recording",
    "walk",
]

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


def is_lasting(nodes: Sequence[Node]) -> bool:
    """Whether the tokens of nodes still name the same values in another call or process.

    dask's names do not tell a changed function from the one before: where dask made a part, nothing
    is ever resumed.
    """
    return all(node.lasting for node in walk(nodes))


def needs(requests: Sequence[Request], order: Sequence[Node], *, reach: bool = False) -> Needs:
    """Return the boxes of every node that the requests need, by token.

    Boxes that lie apart stay apart: ``image - image.isel(t=0)`` reads two frames and not all between.
    With ``reach`` also what nodes fetch by themselves: all that is read, not all that is held.
    """
    need: dict[str, tuple[Box, ...]] = {}
    for node, box in requests:
        need[node.token] = _joined(need.get(node.token, ()), box)
    for node in reversed(order):
        for box in need.get(node.token, ()):
            parts = node.reach(box) if reach else node.request(box)
            for item, part in zip(node.inputs, parts, strict=True):
                if part is not None:
                    need[item.token] = _joined(need.get(item.token, ()), part)
    return need


def _joined(boxes: tuple[Box, ...], box: Box) -> tuple[Box, ...]:
    """Add a box; two become one where that holds no more than both."""
    for other in boxes:
        both = hull(other, box)
        if box_size(both) <= box_size(other) + box_size(box):
            return _joined(tuple(each for each in boxes if each is not other), both)
    return (*boxes, box)


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
    left = count_users(requests, order, need)
    users = dict(left)
    values: dict[tuple[str, Box], Array] = {}

    def fetch(node: Node, box: Box) -> Array:
        return evaluate([(node, box)], blocks)[0]

    def used(node: Node, box: Box) -> Array:
        held = _holding(need[node.token], box)
        array = take(values[node.token, held], held, box)
        left[node.token, held] -= 1
        if not left[node.token, held]:
            del values[node.token, held]
        return array

    inside = inlined(requests, order, need)
    for node in order:
        for box in need.get(node.token, ()) if node.token not in inside else ():
            if isinstance(node, Pointwise):
                values[node.token, box] = _elementwise(node, box, inside, used)
                continue
            given = overwritten(node, box, users)
            pairs = zip(node.inputs, node.request(box), strict=True)
            # Named by nothing: the inputs go as soon as the node is done with them.
            values[node.token, box] = _make(
                node,
                box,
                [used(item, part) for item, part in pairs if part is not None],
                fetch,
                blocks,
                requests[0][1],
                over=given is not None,
            )
    return [_full(used(node, box), box) for node, box in requests]


def _elementwise(
    node: Pointwise, box: Box, inside: Collection[str], used: Callable[[Node, Box], Array]
) -> Array:
    chain, given = chain_of(node, inside), {}
    for part in chain:
        for item, near in zip(part.inputs, part.request(box), strict=True):
            if item.token not in inside and near is not None:
                given[item.token] = used(item, near)
    return run_chain(chain, box, given)


def _holding(boxes: Sequence[Box], box: Box) -> Box:
    """Return which of the boxes a box is a part of."""
    return next(each for each in boxes if hull(each, box) == each)


def opaque_keys(requests: Sequence[Request]) -> dict[Any, Opaque]:
    """Return the dask keys of all opaque blocks that evaluating the requests will need."""
    order = walk([node for node, _ in requests])
    if not any(isinstance(node, Opaque) for node in order):
        return {}
    need = needs(requests, order, reach=True)
    return {
        (node.name, *index): node
        for node in order
        if isinstance(node, Opaque)
        for box in need.get(node.token, ())
        for index, _ in cover(box, node.chunks)
    }


def overwritten(node: Node, box: Box, users: Mapping[tuple[str, Box], int]) -> Node | None:
    """Return the input in whose memory a node is made: it was read or made for this node alone."""
    if not (isinstance(node, Stencil) and node.overwrites is not None and len(node.inputs) == 1):
        return None
    (item,), (part,) = node.inputs, node.request(box)
    if part is None or users.get((item.token, part)) != 1 or item.dtype != node.dtype:
        return None
    return item if item.fresh or is_fresh(item, part) else None


def _make(
    node: Node,
    box: Box,
    arrays: Sequence[Array],
    fetch: Any,
    blocks: Blocks | None,
    task: Box,
    *,
    over: bool,
) -> Array:
    if isinstance(node, Opaque):
        return _assemble(node, box, blocks or {})
    if isinstance(node, Source):
        for listen in _listeners:
            listen(Reading(task, node.token, box))
    if not node.reuses:
        release()
    if over and isinstance(node, Stencil):
        return node.compute_over(box, arrays[0])
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


def count_users(
    requests: Sequence[Request], order: Sequence[Node], need: Needs
) -> dict[tuple[str, Box], int]:
    """Return how often every box that is held, by token and box, is taken."""
    users: dict[tuple[str, Box], int] = {}
    uses = [(node, box) for node, box in requests]
    for node in order:
        for box in need.get(node.token, ()):
            pairs = zip(node.inputs, node.request(box), strict=True)
            uses += [(item, part) for item, part in pairs if part is not None]
    for node, box in uses:
        held = node.token, _holding(need[node.token], box)
        users[held] = users.get(held, 0) + 1
    return users


def _full(array: Array, box: Box) -> Array:
    shape = sides(box)
    return array if array.shape == shape else np.broadcast_to(array, shape)
