"""What things cost: the few constants that were measured, in one place, and time by them.

Times are of one core, in nanoseconds; only their ratios decide anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from chunkmed.graph.box import Box, box_size
from chunkmed.graph.evaluate import needs, walk
from chunkmed.graph.nodes import Node, Opaque, Source

__all__ = [
    "KERNEL_NS",
    "MAX_BLOCK_BYTES",
    "NEW_NS_PER_BYTE",
    "PASS_NS",
    "READ_NS_PER_BYTE",
    "SINK_NS",
    "SMALLEST_BLOCK_VOXELS",
    "TASK_FLOOR_BYTES",
    "TASK_NS",
    "TASK_SLACK",
    "WRITE_NS_PER_BYTE",
    "encoding_bytes",
    "task_ns",
]

#: Resident memory of a task beside the array formula: what the allocator keeps.
TASK_SLACK = 1.1
TASK_FLOOR_BYTES = 8 << 20
#: What writing a shard takes beside it, in bytes per byte: its chunks, contiguous and encoded.
_ENCODED_PER_BYTE = 1.3
#: Smaller blocks are all halo.
SMALLEST_BLOCK_VOXELS = 32**3
#: Larger blocks gain nothing: the halo is small by then and progress becomes coarse.
MAX_BLOCK_BYTES = 256 << 20
#: Shards of lz4 and bitshuffle, decoded and encoded by one thread.
READ_NS_PER_BYTE = 0.6
WRITE_NS_PER_BYTE = 1.2
#: Memory that the system gives for the first time, page by page: 0.25 on a machine of its own, 1 to 1.5
#: where the machine is virtual and its host gives memory late.
NEW_NS_PER_BYTE = 0.4
#: Of a voxel: each axis and each weight of a convolution, each weight of one in all axes at once, each
#: neighbour that is ranked, each iteration of binary morphology, each call of a function of the user's.
KERNEL_NS = {"axis": 0.8, "tap": 0.12, "weight": 0.3, "rank": 16.0, "iteration": 0.1, "python": 1000.0}
_POINTWISE_NS = 0.4
#: Of a voxel: what is done with it in the end, written or measured.
SINK_NS = 2.0
#: Of a task and of a pass, whatever they do.
TASK_NS = 0.4e6
PASS_NS = 50e6


def encoding_bytes(shard: Sequence[int], itemsize: int) -> int:
    """Return the memory that writing a shard takes beside its values."""
    return int(math.prod(shard) * itemsize * _ENCODED_PER_BYTE)


def task_ns(nodes: Sequence[Node], box: Box) -> float:
    """Return the time that a task takes to make a box of every node."""
    order = walk(nodes)
    need = needs([(node, box) for node in nodes], order, reach=True)
    sizes = ((node, _made(node, part)) for node in order for part in need.get(node.token, ()))
    return math.fsum(_node_ns(node) * size for node, size in sizes)


def _made(node: Node, box: Box) -> int:
    """Return the voxels that making a box costs: readers may have to read more than is asked for."""
    granule = getattr(node.reader, "granule", None) if isinstance(node, Source) else None
    if granule is None:
        return box_size(box)
    spans = zip(box, granule, node.shape, strict=True)
    return math.prod(min(n, -(-stop // g) * g) - start // g * g for (start, stop), g, n in spans)


def _node_ns(node: Node) -> float:
    """Return the time per voxel of a node itself."""
    if node.cost_ns is not None:
        return node.cost_ns
    if isinstance(node, Source | Opaque):
        own = getattr(node.reader, "reading_ns", None) if isinstance(node, Source) else None
        return own or READ_NS_PER_BYTE * node.dtype.itemsize
    return _POINTWISE_NS
