"""Images as dask arrays: one layer, one task per block, the node inside.

Any dask scheduler can run a view and any xarray or dask function can take it. The layer builds its
tasks only when dask asks for them, and the node travels once, as a literal that all tasks share.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import dask.array as da
import numpy as np
from dask._task_spec import DataNode, Task, TaskRef
from dask.highlevelgraph import HighLevelGraph, Layer

from chunkmed.errors import InputError
from chunkmed.graph.box import Box, chunk_boxes, regular_chunks
from chunkmed.graph.evaluate import evaluate, opaque_keys, walk
from chunkmed.graph.nodes import Array, Node, Opaque, Reader, Shared, Source
from chunkmed.provenance import content_hash

__all__ = ["BlocksLayer", "Chunks", "compute_block", "from_reader", "natural_block", "natural_chunks", "view"]

Chunks = tuple[tuple[int, ...], ...]


def compute_block(node: Node | Shared, box: Box, blocks: Mapping[Any, Array] | None = None) -> Array:
    """Task: the values of one block."""
    node = node.value if isinstance(node, Shared) else node
    return np.asarray(evaluate([(node, box)], blocks)[0], order="C")


class BlocksLayer(Layer):
    """A layer that knows its node and its chunks, and makes its tasks on demand."""

    def __init__(self, name: str, node: Node, chunks: Chunks) -> None:
        super().__init__()
        self.name, self.node, self.chunks = name, node, chunks

    @cached_property
    def _tasks(self) -> dict[Any, Any]:
        literal = f"{self.name}-node"
        tasks: dict[Any, Any] = {literal: DataNode(literal, Shared(self.node))}
        for index, box in chunk_boxes(self.chunks):
            key = (self.name, *index)
            blocks = {k: TaskRef(k) for k in opaque_keys([(self.node, box)])}
            tasks[key] = Task(key, compute_block, TaskRef(literal), box, _references(blocks))
        return tasks

    def __getitem__(self, key: Any) -> Any:
        return self._tasks[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return int(np.prod([len(axis) for axis in self.chunks])) + 1

    def get_output_keys(self) -> set[Any]:
        """Return the keys of all blocks, without making the tasks."""
        return {(self.name, *index) for index, _ in chunk_boxes(self.chunks)}

    def is_materialized(self) -> bool:
        """Whether the tasks exist already."""
        return "_tasks" in self.__dict__


def _references(blocks: Mapping[Any, TaskRef]) -> Any:
    from dask._task_spec import Dict

    return Dict(dict(blocks)) if blocks else None


def view(node: Node, chunks: Chunks | None = None) -> Any:
    """Return a node as a dask array.

    Parameters
    ----------
    node : Node
        What the array holds.
    chunks : tuple of tuples, optional
        Blocks of the dask array; by default those of the first source.
    """
    _refuse_query_planning()
    chunks = chunks if chunks is not None else natural_chunks(node)
    name = f"chunkmed-{content_hash(node.token, chunks)}"
    layers: dict[str, Any] = {name: BlocksLayer(name, node, chunks)}
    dependencies: dict[str, set[str]] = {name: set()}
    for below in walk([node]):
        if isinstance(below, Opaque):
            layers.update(below.graph.layers)
            dependencies.update(below.graph.dependencies)
            dependencies[name].add(below.name)
    return da.Array(HighLevelGraph(layers, dependencies), name, chunks, dtype=node.dtype)


def from_reader(reader: Reader, chunks: Chunks | None = None) -> Any:
    """Return what a reader reads as a dask array in blocks of the reader's own chunks."""
    return view(Source(reader), chunks)


def natural_chunks(node: Node) -> Chunks:
    """Return blocks as they are stored in the finest source of a node."""
    return regular_chunks(node.shape, natural_block(node))


def natural_block(node: Node) -> tuple[int, ...]:
    """Return the shape of the chunks that the finest source of a node is stored in."""
    found: dict[str, tuple[int, ...]] = {}
    for below in walk([node]):
        block = below.natural(*(found[item.token] for item in below.inputs))
        found[below.token] = tuple(min(n, b) for n, b in zip(below.shape, block, strict=True))
    return found[node.token]


def _refuse_query_planning() -> None:
    if importlib.import_module("dask").config.get("array.query-planning", None):
        raise InputError(
            "dask's experimental array query planning is on",
            kind="query-planning",
            why="chunkmed reads the layers of dask's graphs",
            fix='set dask.config.set({"array.query-planning": False}) before importing dask.array',
        )
