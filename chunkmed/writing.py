"""Write a node with its pyramid into a store: whole or absent, resumed block by block."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chunkmed import provenance, store
from chunkmed.graph.box import Box
from chunkmed.graph.costs import encoding_bytes
from chunkmed.graph.evaluate import is_lasting
from chunkmed.graph.nodes import Array, Node, Source
from chunkmed.graph.passes import make_program
from chunkmed.graph.program import Program
from chunkmed.graph.shrunk import Shrink, Shrunk
from chunkmed.grid import Grid

__all__ = ["write_image"]

#: Coarser levels of a block, in bytes per byte of the block.
_COARSER_PER_BYTE = 0.4


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
    shrink: Shrink

    def __call__(self, box: Box, arrays: Sequence[Array]) -> dict[str, tuple[int, int]]:
        dtype = self.targets[0].writer.dtype
        # A mask is a byte per voxel already.
        values = arrays[0].view(dtype) if arrays[0].dtype == bool else arrays[0].astype(dtype, copy=False)
        written = self.targets[0].write(box, values)
        for target in self.targets[1:]:
            box = target.level.shrink(box)
            values = self.shrink(values, target.level.factors)
            written.update(target.write(box, values))
        return written

    def keys(self, box: Box) -> list[str]:
        """Return the keys of everything that the task of a box writes."""
        keys = self.targets[0].keys(box)
        for target in self.targets[1:]:
            box = target.level.shrink(box)
            keys += target.keys(box)
        return keys


@dataclass(frozen=True)
class _Pass:
    """One reading of an image: the level it makes, and those that its blocks hold whole."""

    program: Program
    task: _WriteBlock


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
    store.check_attributes({**attributes, **about})
    # Everything that decides the bytes of the node: a write with the same fingerprint resumes.
    times = None if trigger_time_ms is None else np.asarray(trigger_time_ms).tolist()
    version = provenance.versions()["chunkmed"]
    parts = (_lasting_token(node), repr(grid), times, str(dtype), name, attributes, about, pyramid, version)
    fingerprint = provenance.content_hash(*parts)
    levels = store.levels_of(grid, pyramid=pyramid)
    padding = (attributes.get(name) for name in ("padding_value", "padding_limit"))
    shrink = Shrink(label or dtype.kind == "b", *padding)
    listing = provenance.step("save", name=name) if label else None
    with store.staged(target, fingerprint, listing=listing, overwrite=overwrite) as staging:
        if staging is None:
            # Committed by a call that was cut off before it could list the label image.
            return
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
        # All are planned before the first runs: what does not fit is refused at once.
        for each in list(_passes(node, targets, shrink, staging)):
            _run(each, staging)


def _lasting_token(node: Node) -> str:
    """Return the token of a node, a new one where it may name other values later: that never resumes."""
    return node.token if is_lasting([node]) else uuid.uuid4().hex


def _passes(
    node: Node, targets: Sequence[_Target], shrink: Shrink, staging: store.Staging
) -> Iterator[_Pass]:
    """Yield as few passes as blocks allow: a level that one does not own is made from the last it does."""
    done = 0
    while done < len(targets):
        if done:
            folder = staging.folder / store.array_path(targets[done - 1].number)
            above = Source(store.open_array(folder, staging.fingerprint))
            node = Shrunk(above, targets[done].level.factors, shrink)
        each = _pass(node, targets[done:], shrink)
        done += len(each.task.targets)
        yield each


def _pass(node: Node, targets: Sequence[_Target], shrink: Shrink) -> _Pass:
    levels = [target.level for target in targets]
    shards = [target.writer.layout.shard for target in targets]
    units = [store.unit_of(levels, shards, count) for count in range(len(levels) - 1, -1, -1)]
    itemsize = targets[0].writer.dtype.itemsize
    program = make_program(
        [node],
        unit=units[-1],
        wishes=units[:-1],
        sink_bytes=_COARSER_PER_BYTE * itemsize if len(targets) > 1 else 0.0,
        sink_fixed_bytes=encoding_bytes(shards[0], itemsize),
    )
    count = 1 + len(list(store.owned_levels(levels, shards, program.plan.block)))
    return _Pass(program, _WriteBlock(tuple(targets[:count]), shrink))


def _run(each: _Pass, staging: store.Staging) -> None:
    def is_done(box: Box) -> bool:
        return staging.has(each.task.keys(box))

    number = each.task.targets[0].number
    name = f"writing {staging.target.name}" + (f", level {number}" if number else "")

    def record(_: Box, written: dict[str, tuple[int, int]]) -> None:
        staging.record(written)

    for _ in each.program.run(each.task, name=name, skip=is_done if staging.objects else None, done=record):
        pass
