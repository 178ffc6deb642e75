"""How much memory a task takes: the arrays that exist at a time, and what lies around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chunkmed.graph.box import Box, box_size
from chunkmed.graph.costs import TASK_FLOOR_BYTES, TASK_SLACK
from chunkmed.graph.elementwise import Needs, chain_of, inlined, piece_bytes
from chunkmed.graph.evaluate import count_users, needs, overwritten, walk
from chunkmed.graph.nodes import Node, Pointwise, Stencil

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
    users = count_users(requests, order, need)
    extent: dict[str, int] = {}
    live, peak = 0, 0
    # What only one elementwise function takes is made in pieces.
    for node in whole:
        if node.token not in need:
            continue
        over = _overwritten(node, need, users)
        # What is made in the memory of its input keeps all of it.
        given = extent.pop(over.token) if over else 0
        extent[node.token] = max(_size(node, need), given)
        chain = chain_of(node, inside)
        live = sum(extent.values())
        if over and isinstance(node, Stencil):
            own = int(given * (node.overwrites or 0.0))
        else:
            own = max(_workspace(node, part) for part in need[node.token])
        peak = max(peak, live + own)
        if isinstance(node, Pointwise):
            peak = max(peak, live + max(piece_bytes(chain, part) for part in need[node.token]))
        for item in (item for part in chain for item in part.inputs):
            if last[item.token] == node.token:
                extent.pop(item.token, None)
    live = sum(extent.values())
    return max(peak, live + int(box_size(box) * sink_bytes) + sink_fixed_bytes)


def _overwritten(node: Node, need: Needs, users: Mapping[tuple[str, Box], int]) -> Node | None:
    """Return the input in whose memory all boxes of a node are made."""
    found = [overwritten(node, part, users) for part in need[node.token]]
    return found[0] if all(item is not None for item in found) else None


def _size(node: Node, need: Needs) -> int:
    return sum(map(box_size, need[node.token])) * node.dtype.itemsize


def _workspace(node: Node, box: Box) -> int:
    """Return what a node needs beside its output and the inputs that it is given."""
    asked = zip(node.inputs, node.request(box), node.piece(box), strict=True)
    fetched = (_held([i], piece) for i, part, piece in asked if part is None)
    return node.own_bytes(box) + max(fetched, default=0)
