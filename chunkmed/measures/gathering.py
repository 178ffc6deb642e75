"""From blocks to tables: everything that measures need, in one pass over labels and image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmed.graph.box import Box
from chunkmed.graph.nodes import Array, Call, Node, Stencil
from chunkmed.graph.passes import make_program
from chunkmed.graph.reduce import Axes, Merged, check_held, copied_bytes
from chunkmed.grid import step_weights
from chunkmed.kernels.groups import groups_of
from chunkmed.kernels.surfaces import crofton_weights, surface_elements
from chunkmed.measures.about import About
from chunkmed.measures.parts import COUNTS, MOMENTS, SURFACE, Block, Found, Part

__all__ = [
    "Tables",
    "block_tables",
    "copied_sum",
    "frames_of",
    "gather",
    "parts_of",
    "slices_of",
    "surface_node",
]

#: Values apart and their counts (int32).
_COUNTING_BYTES = 16
_SURFACE_NS = 5.0


def parts_of(records: Iterable[Any]) -> tuple[Part, ...]:
    """Return what measures need to be collected, each once, moments first."""
    found = {part.key: part for part in (MOMENTS, *(part for record in records for part in record.parts))}
    return tuple(found.values())


def slices_of(about: About) -> Array:
    """Return depth and position of each slice; 1 and its index where the image has no positions."""
    count, grid = about.axes.volume[0], about.grid
    if grid is None or len(grid.z_mm) != count:
        return np.stack([np.ones(count), np.arange(float(count))], axis=1)
    return np.stack([step_weights(grid.z_mm, grid.thickness_mm or 1.0), np.asarray(grid.z_mm)], axis=1)


def surface_node(labels: Node, about: About) -> Node:
    """Return the part of the surface that each voxel stands for; axes end in z, y, x."""
    call = Call(surface_elements, {"weights": crofton_weights(about.even_steps_mm)})
    depth = [int(axis in about.axes.space) for axis in range(len(labels.shape))]
    return Stencil(call, [labels], depth, np.float32, workspace=2.0, cost_ns=_SURFACE_NS)


def copied_sum(nodes: Sequence[Node], parts: Sequence[Part]) -> float:
    """Return what the kernels hold beside the images, bytes per voxel."""
    return sum(copied_bytes(node.dtype) for node in nodes) + _COUNTING_BYTES * (COUNTS in parts)


def frames_of(
    axes: Axes, box: Box, arrays: Sequence[Array], slices: Array, has_values: bool, has_surface: bool
) -> Iterator[tuple[int, Block]]:
    """Yield each time point of a box, from the arrays of labels, values and surface."""
    check_held(arrays[0], arrays[1] if has_values else None)
    frames = [axes.frames(array) for array in arrays]
    start, corner = axes.span(box)
    for t, labels in enumerate(frames[0]):
        yield (
            start + t,
            Block(
                groups_of(labels, background=False),
                frames[1][t] if has_values else None,
                frames[-1][t] if has_surface else None,
                corner,
                axes.volume,
                slices[corner[0] :],
            ),
        )


def block_tables(block: Block, parts: Sequence[Part]) -> dict[str, Any]:
    """Return the tables of one block."""
    return {part.key: part.table_of(block) for part in parts}


@dataclass(frozen=True)
class _Gather:
    """Task: the tables of one block, for each of its time points."""

    axes: Axes
    slices: Array
    parts: tuple[Part, ...]
    has_values: bool
    has_surface: bool

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, dict[str, Any]]]:
        blocks = frames_of(self.axes, box, arrays, self.slices, self.has_values, self.has_surface)
        return [(t, block_tables(block, self.parts)) for t, block in blocks]


class Tables:
    """The tables of all time points, merged as blocks come in."""

    def __init__(self, parts: Sequence[Part], times: int) -> None:
        self.parts = parts
        self._merged = [{part.key: Merged(part.merge) for part in parts} for _ in range(times)]

    def add(self, t: int, tables: dict[str, Any]) -> None:
        """Take the tables of a block."""
        for key, table in tables.items():
            self._merged[t][key].add(table)

    @property
    def found(self) -> list[Found]:
        """What was found at each time point, labels above zero."""
        results = [{key: merged.result for key, merged in time.items()} for time in self._merged]
        return [Found(tables.pop("moments"), tables).objects for tables in results]


def gather(labels: Node, values: Node | None, about: About, parts: Sequence[Part]) -> list[Found]:
    """Collect what is wanted, in one read of both images.

    Parameters
    ----------
    labels, values : Node
        Images of one shape.
    about : About
        Their grid and axes.
    parts : sequence of Part
        What to collect.
    """
    nodes = [labels] if values is None else [labels, values]
    copied = copied_sum(nodes, parts)
    if SURFACE in parts:
        nodes.append(surface_node(labels, about))
    task = _Gather(about.axes, slices_of(about), tuple(parts), values is not None, SURFACE in parts)
    tables = Tables(parts, about.axes.times)
    for _, result in make_program(nodes, sink_bytes=copied).run(task, name="measuring"):
        for t, found in result:
            tables.add(t, found)
    return tables.found
