"""All voxels of each group, brought together from the blocks: as many groups at a time as memory holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmed.errors import PlanError
from chunkmed.graph.box import Box
from chunkmed.graph.budget import base_of, current_budget
from chunkmed.graph.groups import Groups
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.passes import make_program
from chunkmed.units import format_bytes

__all__ = ["Members", "gather", "group_sizes"]

#: Part of the memory beside the libraries that gathered voxels may take.
_SHARE = 0.4
#: Values, positions, group and order: held twice while they are sorted.
_BYTES_PER_VOXEL = 2 * (8 + 4 + 8)


@dataclass(frozen=True)
class Members:
    """All voxels of one group at one time point, in C order."""

    time: int
    group: int
    values: Array
    positions: Array
    """C-order indices in the time point, int64."""


@dataclass(frozen=True)
class Sizes:
    """How many voxels there are of each group, and which blocks hold them."""

    counts: Array
    """int64, shape (times, groups)."""
    blocks: dict[Box, list[tuple[int, Array]]]


def group_sizes(nodes: Sequence[Node], groups: Groups, *, name: str = "counting voxels") -> Sizes:
    """Count the voxels of every group.

    Parameters
    ----------
    nodes : sequence of Node
        The image, and what says where its voxels belong.
    groups : Groups
        Any number of them.
    """
    counts = np.zeros((groups.times, groups.count), np.int64)
    blocks: dict[Box, list[tuple[int, Array]]] = {}
    # Of the image only the shape matters.
    marks = tuple(nodes[1:]) or tuple(nodes)
    program = make_program(marks, sink_bytes=groups.bytes_per_voxel, sink_fixed_bytes=counts.nbytes)
    for box, result in program.run(_Count(groups), name=name):
        for t, found, sizes in result:
            counts[t, found] += sizes
            if len(found):
                blocks.setdefault(box, []).append((t, found))
    return Sizes(counts, blocks)


@dataclass(frozen=True)
class _Count:
    """Task: the groups of one block and their sizes, a part per time point."""

    groups: Groups

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, Array, Array]]:
        out = []
        for frame in self.groups.frames(box, (arrays[0], arrays[-1])):
            own = np.zeros(frame.values.size, np.int32) if frame.groups is None else frame.groups
            sizes = np.bincount(own[own >= 0], minlength=self.groups.count)
            found = np.flatnonzero(sizes)
            out.append((frame.time, found, sizes[found]))
        return out


def gather(
    nodes: Sequence[Node], groups: Groups, called: Sequence[Any], *, positions: bool, name: str = "gathering"
) -> Iterator[Members]:
    """Yield every group that has voxels, with all of them.

    Parameters
    ----------
    nodes : sequence of Node
        The image, and what says where its voxels belong.
    groups : Groups
        Any number of them.
    called : sequence
        What an error calls each group.
    positions : bool
        Whether positions are wanted; without, they are empty.
    name : str
        What the progress bar says.

    Raises
    ------
    PlanError
        ``object-too-large`` if the voxels of one group do not fit the memory.
    """
    each = nodes[0].dtype.itemsize * 2 + _BYTES_PER_VOXEL
    room = _room()
    if int(np.prod(groups.shape, dtype=np.int64)) * each <= room:
        # Everything fits: nothing to be counted first.
        yield from _round(nodes, groups, np.ones((groups.times, groups.count), bool), positions, name)
        return
    sizes = group_sizes(nodes, groups)
    _check(sizes.counts, each, room, called, groups)
    for chosen in _rounds(sizes.counts, room // each):
        held = {
            box for box, parts in sizes.blocks.items() if any(chosen[t, found].any() for t, found in parts)
        }
        yield from _round(nodes, groups, chosen, positions, name, held)


def _room() -> int:
    budget = current_budget()
    return max(8 << 20, int((budget.memory - base_of(budget)) * _SHARE))


def _check(counts: Array, each: int, room: int, called: Sequence[Any], groups: Groups) -> None:
    largest = int(counts.max(initial=0))
    if largest * each <= room:
        return
    t, group = np.unravel_index(int(counts.argmax()), counts.shape)
    raise PlanError(
        f"all voxels of {called[int(group)]} do not fit the memory at a time",
        kind="object-too-large",
        where=f"time point {t}" if groups.time is not None else "",
        why=f"{largest} voxels take {format_bytes(largest * each)}, there is room for {format_bytes(room)}",
        fix="give more memory, cm.config(memory=...), or use a statistic that is counted: mean, median",
    )


def _rounds(counts: Array, most: int) -> Iterator[Array]:
    """Yield which groups are gathered together, in order: as many as hold ``most`` voxels."""
    flat = counts.reshape(-1)
    chosen, held = np.zeros(flat.shape, bool), 0
    for place in np.flatnonzero(flat):
        if held and held + flat[place] > most:
            yield chosen.reshape(counts.shape)
            chosen, held = np.zeros(flat.shape, bool), 0
        chosen[place] = True
        held += int(flat[place])
    if held:
        yield chosen.reshape(counts.shape)


def _round(
    nodes: Sequence[Node],
    groups: Groups,
    chosen: Array,
    positions: bool,
    name: str,
    held: set[Box] | None = None,
) -> Iterator[Members]:
    """Yield the groups of one round, by time point and number."""
    each = groups.bytes_per_voxel + _BYTES_PER_VOXEL
    program = make_program(nodes, sink_bytes=each, sink_fixed_bytes=chosen.nbytes)
    # The blocks are those that were counted only where the plan is the same: else all are read.
    known = held is not None and held <= set(program.plan.boxes)
    skip = (lambda box: box not in held) if held is not None and known else None
    parts: dict[int, list[tuple[Array, Array, Array]]] = {}
    for _, result in program.run(_Gather(groups, chosen), name=name, skip=skip):
        for t, *found in result:
            parts.setdefault(t, []).append((found[0], found[1], found[2]))
    volume = int(np.prod(groups.volume, dtype=np.int64))
    for t in sorted(parts):
        yield from _members(t, parts.pop(t), volume, positions)


def _members(
    t: int, parts: list[tuple[Array, Array, Array]], volume: int, positions: bool
) -> Iterator[Members]:
    own, places, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    parts.clear()
    # Sorted block by block: what is left is to merge, which a stable sort does in one go.
    order = np.argsort(own.astype(np.int64) * volume + places, kind="stable")
    own = own[order]
    starts = np.flatnonzero(np.diff(own, prepend=-1))
    for first, last in zip(starts, [*starts[1:], len(own)], strict=True):
        which = order[first:last]
        where = places[which] if positions else np.empty(0, np.int64)
        yield Members(t, int(own[first]), values[which], where)


def _by_group(own: Array, places: Array) -> Array:
    """Return places of a block by group, and in order within each."""
    both = own.astype(np.int64) << 32 | places
    both.sort()
    return np.asarray(both & 0xFFFFFFFF)


@dataclass(frozen=True)
class _Gather:
    """Task: the voxels of the groups that are wanted, a part per time point."""

    groups: Groups
    chosen: Array

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, Array, Array, Array]]:
        out = []
        for frame in self.groups.frames(box, arrays):
            # The last entry is that of voxels in no group, -1.
            wanted = np.append(self.chosen[frame.time], False)
            own = np.zeros(frame.values.size, np.int32) if frame.groups is None else frame.groups
            places = np.flatnonzero(wanted[own])
            if len(places):
                places = _by_group(own[places], places)
                at = self.groups.positions(box, places)
                out.append((frame.time, own[places], at, frame.values[places]))
        return out
