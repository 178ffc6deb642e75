"""Label and measure in one read: local labels are measured, and joined when all of them are known."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import xarray as xr

from chunkmed.errors import InputError
from chunkmed.graph.box import Box, regular_chunks
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.passes import make_program
from chunkmed.graph.reduce import Axes
from chunkmed.graph.seams import Seams, Slabs
from chunkmed.kernels.components import block_labels, block_slabs
from chunkmed.measures.about import About
from chunkmed.measures.gathering import block_tables, copied_sum, frames_of, parts_of, slices_of, surface_node
from chunkmed.measures.measuring import USUAL, about_of, checked_records, measure, on_one_grid, reported
from chunkmed.measures.parts import SURFACE, Found, Part
from chunkmed.measures.ranked import collected_of
from chunkmed.measures.records import Measure
from chunkmed.ndimage.labels import embedded, label, ranks

__all__ = ["measure_objects"]

#: The mask as bool and the local labels (int32).
_LABELLING_BYTES = 5


@overload
def measure_objects(
    mask: xr.DataArray,
    image: xr.DataArray | None = None,
    what: str | Measure | Sequence[str | Measure] = USUAL,
    *,
    structure: Any = None,
    out: None = None,
) -> xr.Dataset: ...


@overload
def measure_objects(
    mask: xr.DataArray,
    image: xr.DataArray | None = None,
    what: str | Measure | Sequence[str | Measure] = USUAL,
    *,
    structure: Any = None,
    out: str | os.PathLike[str],
) -> Path: ...


def measure_objects(
    mask: xr.DataArray,
    image: xr.DataArray | None = None,
    what: str | Measure | Sequence[str | Measure] = USUAL,
    *,
    structure: Any = None,
    out: str | os.PathLike[str] | None = None,
) -> xr.Dataset | Path:
    """Label the objects of a mask and measure them, reading mask and image once.

    Percentiles and medians of other values than integers of 16 bits take more passes, over labels.

    The same numbers as ``measure(ndimage.label(mask, structure)[0], image, what)``, without labels that
    are written and read again.

    Parameters
    ----------
    mask : xarray.DataArray
        Non-zero voxels are objects. Dims (t, z, y, x) or fewer.
    image : xarray.DataArray, optional
        Values, on the same grid.
    what : str, Measure or sequence of them
        As for :func:`measure`. Surfaces need a structure that connects all 26 neighbours: objects
        that touch across an edge only could not be told apart before all labels are known.
    structure : array_like, optional
        What counts as connected: 3 per axis of space; faces by default.
    out : path, optional
        As for :func:`measure`.

    Returns
    -------
    xarray.Dataset or Path
        As :func:`measure`; labels are those of :func:`chunkmed.ndimage.label`.

    Raises
    ------
    InputError
        As for :func:`measure`; ``needs-labels`` for surfaces of objects that connect across faces.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> mask = xr.DataArray(np.array([[0, 1, 1], [0, 0, 0], [1, 0, 0]]) > 0, dims=("y", "x"))
    >>> measure_objects(mask, what=["count"])["count"].values.tolist()
    [2, 1]
    """
    mask, image = on_one_grid(mask if mask.dtype == bool else mask != 0, image)
    lifted = lift(mask).one_channel()
    if 0 in lifted.node.shape:
        raise InputError("an empty image", kind="empty-image", why=f"shape {lifted.node.shape}")
    about = about_of(mask, lifted)
    records = checked_records(what, image, about)
    parts = parts_of(records)
    full = embedded(structure, lifted.space_axes, len(lifted.node.shape))
    if SURFACE in parts and full.sum() < 27:
        raise InputError(
            "surfaces need labels",
            kind="needs-labels",
            why="objects that touch across an edge only are not told apart while they are labelled",
            fix="labels, n = ndimage.label(mask); measure(labels, ...)",
        )
    values = None if image is None or not any(r.needs_values for r in records) else lift(image).node
    if collected_of(parts, values) != parts:
        # Ranks are looked for in more passes, which need labels.
        return measure(label(mask, structure)[0], image, what, out=out)
    found = _found(lifted.node, values, about, parts, full)
    return reported(found, records, about, mask, image, out)


def _found(
    mask: Node, values: Node | None, about: About, parts: Sequence[Part], structure: Array
) -> list[Found]:
    nodes = [mask] if values is None else [mask, values]
    copied = copied_sum(nodes, parts) + _LABELLING_BYTES
    if SURFACE in parts:
        nodes.append(surface_node(mask, about))
    program = make_program(nodes, sink_bytes=copied)
    task = _MeasureBlock(structure, about.axes, slices_of(about), tuple(parts), values is not None)
    joined = _Joined(parts, about.axes, Seams(structure, regular_chunks(mask.shape, program.plan.block)))
    for _, part in program.run(task, name="measuring objects"):
        joined.add(part)
    return joined.found


@dataclass(frozen=True)
class _Part:
    """What a block tells: its seams, and the tables of its local labels by time point."""

    firsts: Array
    slabs: Slabs
    tables: list[tuple[int, dict[str, Any]]]


@dataclass(frozen=True)
class _MeasureBlock:
    """Task: label one block and measure its local labels."""

    structure: Array
    axes: Axes
    slices: Array
    parts: tuple[Part, ...]
    has_values: bool

    def __call__(self, box: Box, arrays: Sequence[Array]) -> _Part:
        labels, firsts = block_labels(np.ascontiguousarray(arrays[0]), self.structure)
        place = tuple(
            i + start for i, (start, _) in zip(np.unravel_index(firsts, labels.shape), box, strict=True)
        )
        blocks = frames_of(
            self.axes, box, [labels, *arrays[1:]], self.slices, self.has_values, SURFACE in self.parts
        )
        tables = [(t, block_tables(block, self.parts)) for t, block in blocks]
        return _Part(
            np.ravel_multi_index(place, self.axes.shape), block_slabs(labels, self.structure), tables
        )


class _Joined:
    """Tables of local labels, and which of these are one object."""

    def __init__(self, parts: Sequence[Part], axes: Axes, seams: Seams) -> None:
        self.parts, self.axes, self.seams = parts, axes, seams
        self._tables: list[list[dict[str, Any]]] = [[] for _ in range(axes.times)]
        self._labels = 0

    def add(self, part: _Part) -> None:
        """Take the next block."""
        self.seams.add(part.firsts, part.slabs)
        for t, tables in part.tables:
            moved = {key: replace(table, label=table.label + self._labels) for key, table in tables.items()}
            self._tables[t].append(moved)
        self._labels += len(part.firsts)

    @property
    def found(self) -> list[Found]:
        """What was found at each time point, by the numbers of the objects."""
        firsts, roots = self.seams.joined()
        numbers = np.concatenate([[0], ranks(firsts, roots, self.axes.shape, self.axes.time)[0]])
        return [self._merged(tables, numbers) for tables in self._tables]

    def _merged(self, tables: list[dict[str, Any]], numbers: Array) -> Found:
        merged = {}
        for part in self.parts:
            renamed = [replace(each[part.key], label=numbers[each[part.key].label]) for each in tables]
            merged[part.key] = part.merge(renamed)
        return Found(merged.pop("moments"), merged)
