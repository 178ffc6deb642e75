"""Write a node with its pyramid into a store: whole or absent, resumed block by block."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmed import provenance, store
from chunkmed.graph.box import Box, whole
from chunkmed.graph.evaluate import is_lasting
from chunkmed.graph.nodes import Array, Crop, Node, Source
from chunkmed.graph.program import Program
from chunkmed.graph.shrunk import Shrink
from chunkmed.grid import Grid
from chunkmed.levels import LevelPlan, plan_levels

__all__ = ["write_image"]


@dataclass(frozen=True)
class _Target:
    """Where one level of an image goes."""

    level: store.Level
    writer: store.ArrayWriter

    def keys(self, box: Box) -> list[str]:
        """Return the keys of the objects of a block below the node folder."""
        return [self._key(key) for key in self.writer.keys(box)]

    def write(self, box: Box, values: Array) -> dict[str, tuple[int, int]]:
        """Write a block; return length and checksum of each object by its key."""
        return {self._key(key): value for key, value in self.writer.write(box, values).items()}

    def _key(self, key: str) -> str:
        return f"{store.array_path(self.level.number)}/{key}"


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


def write_image(
    node: Node,
    grid: Grid,
    target: store.Place,
    *,
    name: str,
    attributes: Mapping[str, Any],
    about: Mapping[str, Any],
    trigger_time_ms: Any = None,
    label: bool = False,
    overwrite: store.Overwrite = False,
    pyramid: bool = True,
) -> None:
    """Compute a node block by block into a node folder of a store.

    Parameters
    ----------
    node : Node
        Shape (t, z, y, x), or (t, z, y, x, c): stored as (t, c, z, y, x), as OME-Zarr wants channels.
    grid : Grid
        Where its voxels lie.
    target : path or ObjectPath
        The store, or the folder of a label image in it.
    name : str
        Name of the image.
    attributes, about : mapping
        Attributes of the image, and the ``chunkmed`` attributes.
    trigger_time_ms : sequence of sequence of float, optional
        Time of each slice, shape (t, z).
    label : bool
        Whether it is a label image of the store two folders up.
    overwrite : bool or "changed"
        Replace what is there; unless this very write made it.
    pyramid : bool
        Whether coarser levels are written too.
    """
    if len(node.shape) == 5:
        node = Crop(node, whole(node.shape), (0, 4, 1, 2, 3))
    store.check_attributes({**attributes, **about})
    image = _Image(node, grid, name, attributes, about, trigger_time_ms, label, pyramid)
    # Before anything is touched: what does not fit is refused at once.
    _write(image, plan_levels(node, grid, pyramid=pyramid), target, overwrite=overwrite)


@dataclass(frozen=True)
class _Image:
    """What is written, as in :func:`write_image`."""

    node: Node
    grid: Grid
    name: str
    attributes: Mapping[str, Any]
    about: Mapping[str, Any]
    trigger_time_ms: Any
    label: bool
    pyramid: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what is stored."""
        return np.dtype(np.uint8) if self.label and self.node.dtype == bool else self.node.dtype

    def fingerprint(self, thinner: int) -> str:
        """Return a hash of everything that decides the bytes of the node: a write with the same resumes."""
        times = None if self.trigger_time_ms is None else np.asarray(self.trigger_time_ms).tolist()
        described = (
            repr(self.grid),
            times,
            str(self.dtype),
            self.name,
            self.attributes,
            self.about,
            self.pyramid,
        )
        version = provenance.versions()["chunkmed"]
        return provenance.content_hash(_lasting_token(self.node), *described, version, thinner)


def _write(image: _Image, plan: LevelPlan, target: store.Place, *, overwrite: store.Overwrite) -> None:
    """Write an image with its levels."""
    node, dtype, levels = image.node, image.dtype, plan.levels
    fingerprint = image.fingerprint(levels[0].thinner)
    padding = (image.attributes.get(name) for name in ("padding_value", "padding_limit"))
    shrink = Shrink(image.label or dtype.kind == "b", *padding)
    listing = provenance.step("save", name=image.name) if image.label else None
    with store.staged(target, fingerprint, listing=listing, overwrite=overwrite) as staging:
        if staging is None:
            # Committed by a call that was cut off before it could list the label image.
            return
        writers = store.create_image(
            staging,
            levels,
            dtype,
            channels=node.shape[1] if len(node.shape) == 5 else 0,
            name=image.name,
            attributes=image.attributes,
            about=image.about,
            trigger_time_ms=image.trigger_time_ms,
            label=image.label,
        )
        targets = [_Target(*pair) for pair in zip(levels, writers, strict=True)]

        def above(level: int) -> Node:
            folder = staging.folder / store.array_path(level)
            return Source(store.open_array(folder, staging.fingerprint))

        # All are planned before the first runs.
        for each in list(plan.with_sources(above, shrink)):
            task = _WriteBlock(tuple(targets[each.first : each.first + each.count]), shrink)
            _run(each.program, task, staging)


def _lasting_token(node: Node) -> str:
    """Return the token of a node, a new one where it may name other values later: that never resumes."""
    return node.token if is_lasting([node]) else uuid.uuid4().hex


def _run(program: Program, task: _WriteBlock, staging: store.Staging | store.Attempt) -> None:
    def is_done(box: Box) -> bool:
        return staging.has(task.keys(box))

    number = task.targets[0].level.number
    name = f"writing {staging.target.name}" + (f", level {number}" if number else "")

    def record(_: Box, written: dict[str, tuple[int, int]]) -> None:
        staging.record(written)

    for _ in program.run(task, name=name, skip=is_done if staging.objects else None, done=record):
        pass
