"""How much memory a task takes: the arrays that exist at a time, and what lies around them."""

from __future__ import annotations

from collections.abc import Sequence

from chunkmed.graph.box import Box, box_size
from chunkmed.graph.costs import TASK_FLOOR_BYTES, TASK_SLACK
from chunkmed.graph.elementwise import Needs, chain_of, inlined, piece_bytes
from chunkmed.graph.evaluate import needs, walk
from chunkmed.graph.nodes import Node, Pointwise

__all__ = ["task_bytes"]


def task_bytes(nodes: Sequence[Node], box: Box, sink_bytes: float = 0.0, sink_fixed_bytes: int = 0) -> int:
    """Return the predicted memory of a task that makes ``box`` of every node and hands it on."""
    return int(_held(nodes, box, sink_bytes, sink_fixed_bytes) * TASK_SLACK) + TASK_FLOOR_BYTES


def _held(nodes: Sequence[Node], box: Box, sink_bytes: float = 0.0, sink_fixed_bytes: int = 0) -> int:
    """Return the most bytes of arrays that exist at a time."""
    requests = [(node, box) for node in nodes]
    order = walk(nodes)
    need = needs(requests, order)
    inside = inlined(requests, order, need)
    whole = [node for node in order if node.token not in inside]
    last = {
        item.token: node.token for node in whole for part in chain_of(node, inside) for item in part.inputs
    }
    live, peak = 0, 0
    # What only one elementwise function takes is made in pieces.
    for node in whole:
        if node.token not in need:
            continue
        live += _size(node, need)
        chain = chain_of(node, inside)
        peak = max(peak, live + max(_workspace(node, part) for part in need[node.token]))
        if isinstance(node, Pointwise):
            peak = max(peak, live + max(piece_bytes(chain, part) for part in need[node.token]))
        taken = [item for part in chain for item in part.inputs]
        dead = {i.token: i for i in taken if last[i.token] == node.token and i.token in need}
        live -= sum(_size(item, need) for item in dead.values() if item.token not in inside)
    return max(peak, live + int(box_size(box) * sink_bytes) + sink_fixed_bytes)


def _size(node: Node, need: Needs) -> int:
    return sum(map(box_size, need[node.token])) * node.dtype.itemsize


def _workspace(node: Node, box: Box) -> int:
    """Return what a node needs beside its output and the inputs that it is given."""
    asked = zip(node.inputs, node.request(box), node.piece(box), strict=True)
    fetched = (_held([i], piece) for i, part, piece in asked if part is None)
    return node.own_bytes(box) + max(fetched, default=0)
