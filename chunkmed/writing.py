"""Write a node with its pyramid into a store: whole or absent, resumed block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chunkmed import provenance, store
from chunkmed.graph.box import Box
from chunkmed.graph.nodes import Array, Node, Source
from chunkmed.graph.plan import make_plan
from chunkmed.graph.run import Work, run
from chunkmed.grid import Grid

__all__ = ["write_image"]

#: A block and its encoded chunks are held together, in bytes per byte of the block.
_HELD_PER_BYTE = 2.5


@dataclass(frozen=True)
class _Target:
    """Where one level of an image goes."""

    number: int
    level: store.Level
    writer: store.ArrayWriter

    def keys(self, box: Box) -> list[str]:
        """Return the keys of the objects of a block below the node folder."""
        return [self._key(key) for key in self.writer.keys(box)]

    def write(self, box: Box, values: Array) -> dict[str, tuple[int, int]]:
        """Write a block; return length and checksum of each object by its key."""
        return {self._key(key): value for key, value in self.writer.write(box, values).items()}

    def _key(self, key: str) -> str:
        return f"{store.array_path(self.number)}/{key}"


@dataclass(frozen=True)
class _WriteBlock:
    """Task: write one block of whole shards, and what it is on coarser levels, in one go."""

    targets: tuple[_Target, ...]
    shrink: _Shrink

    def __call__(self, box: Box, arrays: Sequence[Array]) -> dict[str, tuple[int, int]]:
        values, written = arrays[0].astype(self.targets[0].writer.dtype, copy=False), {}
        for target in self.targets:
            box = target.level.shrink(box)
            values = self.shrink(values, target.level.factors)
            written.update(target.write(box, values))
        return written

    def keys(self, box: Box) -> list[str]:
        """Return the keys of everything that the task of a box writes."""
        keys = []
        for target in self.targets:
            box = target.level.shrink(box)
            keys += target.keys(box)
        return keys


@dataclass(frozen=True)
class _Shrink:
    """How a coarser level is made from a finer one."""

    labels: bool
    padding: float | None

    def __call__(self, values: Array, factors: tuple[int, int, int]) -> Array:
        if factors == (1, 1, 1):
            return values
        # Here, for numba takes a second to import and most images have no coarser level.
        from chunkmed.kernels.shrink import shrink_mean, shrink_mode

        if self.labels:
            return shrink_mode(values, factors)
        return shrink_mean(values, factors, self.padding)


def write_image(
    node: Node,
    grid: Grid,
    target: Path,
    *,
    name: str,
    attributes: Mapping[str, Any],
    about: Mapping[str, Any],
    trigger_time_ms: Any = None,
    label: bool = False,
    overwrite: bool = False,
    pyramid: bool = True,
) -> None:
    """Compute a node block by block into a node folder of a store.

    Parameters
    ----------
    node : Node
        Shape (t, z, y, x).
    grid : Grid
        Where its voxels lie.
    target : Path
        The store, or the folder of a label image in it.
    name : str
        Name of the image.
    attributes, about : mapping
        Attributes of the image, and the ``chunkmed`` attributes.
    trigger_time_ms : sequence of sequence of float, optional
        Time of each slice, shape (t, z).
    label : bool
        Whether it is a label image of the store two folders up.
    overwrite : bool
        Replace what is there.
    pyramid : bool
        Whether coarser levels are written too.
    """
    dtype = np.dtype(np.uint8) if label and node.dtype == bool else node.dtype
    # Everything that decides the bytes of the node: a write with the same fingerprint resumes.
    times = None if trigger_time_ms is None else np.asarray(trigger_time_ms).tolist()
    version = provenance.versions()["chunkmed"]
    parts = (node.token, repr(grid), times, str(dtype), name, attributes, about, pyramid, version)
    fingerprint = provenance.content_hash(*parts)
    root = target.parents[1] if label else target
    levels = store.levels_of(grid, pyramid=pyramid)
    shrink = _Shrink(label or dtype.kind == "b", attributes.get("padding_value"))
    with store.staged(target, fingerprint, store=root, overwrite=overwrite) as staging:
        writers = store.create_image(
            staging,
            levels,
            dtype,
            name=name,
            attributes=attributes,
            about=about,
            trigger_time_ms=trigger_time_ms,
            label=label,
        )
        targets = [_Target(i, *pair) for i, pair in enumerate(zip(levels, writers, strict=True))]
        _write_levels(node, targets, shrink, staging)


def _write_levels(node: Node, targets: Sequence[_Target], shrink: _Shrink, staging: store.Staging) -> None:
    """Write all levels in as few passes as blocks allow: what one does not reach rereads its last."""
    done = _write_pass(node, targets, shrink, staging, skip_first=False)
    while done < len(targets):
        finest = targets[done - 1]
        folder = staging.folder / store.array_path(finest.number)
        source = Source(store.open_array(folder, staging.fingerprint))
        done += _write_pass(source, targets[done - 1 :], shrink, staging, skip_first=True) - 1


def _write_pass(
    node: Node, targets: Sequence[_Target], shrink: _Shrink, staging: store.Staging, *, skip_first: bool
) -> int:
    """Write the first targets in one pass over a node; return how many it was."""
    levels = [target.level for target in targets]
    shards = [target.writer.layout.shard for target in targets]
    least = 1 if skip_first else 0
    units = [store.unit_of(levels, shards, count) for count in range(len(levels) - 1, least - 1, -1)]
    held = _HELD_PER_BYTE * node.dtype.itemsize * (1.0 if skip_first else 1.5)
    plan = make_plan([node], unit=units[-1], wishes=units[:-1], sink_bytes=held)
    count = 1 + len(list(store.owned_levels(levels, shards, plan.block)))
    # The first target's own step down belongs to an earlier pass.
    first = _Target(targets[0].number, store.Level(levels[0].grid, (1, 1, 1)), targets[0].writer)
    chosen = targets[1:count] if skip_first else (first, *targets[1:count])
    task = _WriteBlock(tuple(chosen), shrink)
    todo = [box for box in plan.boxes if not staging.has(task.keys(box))]
    text = f"writing {staging.target.name}" + (f", level {targets[1].number}" if skip_first else "")
    for _, written in run(Work((node,), task), plan, name=text, boxes=todo):
        staging.record(written)
    return count
