"""Values of given ranks in every group of voxels: exact, of any dtype, in few passes and bounded memory.

Each pass counts a few bits more of the keys that begin like the one that is looked for (radix selection:
Knuth, TAOCP 3, 5.2.5; Alabi et al., "Fast k-selection algorithms for graphics processing units", 2012).
As soon as few enough are left they are gathered and sorted, most often in the second pass.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from chunkmed.graph.box import Box
from chunkmed.graph.budget import base_of, current_budget
from chunkmed.graph.groups import Groups
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.passes import make_program
from chunkmed.graph.tally import Sparse, add_sparse, key_table, sparse

__all__ = ["Selected", "ranks_around", "select"]

#: Entries of the tables of one time point, and of all.
_FRAME_ENTRIES = 1 << 18
_ALL_ENTRIES = 1 << 22
#: No pass counts fewer bits than these, whatever the number of groups.
_FEWEST_DIGITS = 4
_MOST_DIGITS = 16
#: So many keys are gathered, where memory holds them.
_GATHERED = 1 << 21
#: Bytes of a key that is gathered, and of an entry of a table, with what is made of them.
_KEY_BYTES, _ENTRY_BYTES = 60, 32
#: What every pass may take beside its blocks, and part of the memory beside the libraries.
_LEAST_ROOM, _SHARE = 8 << 20, 0.2

#: Takes counts of numbers and of NaN by group (time-major), gives group and rank of what is wanted.
Wanted = Callable[[Array, Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Selected:
    """What was found."""

    counts: Array
    """Numbers in each group, NaN left out; time-major."""
    nans: Array
    owner: Array
    """Group of each value, as it was wanted."""
    values: Array


@dataclass(frozen=True)
class _Slots:
    """Beginnings of keys that are looked at: sorted by group, then by prefix."""

    owner: Array
    prefix: Array
    below: int
    """Bits after the prefix."""


def select(nodes: Sequence[Node], groups: Groups, wanted: Wanted, *, name: str = "ranking") -> Selected:
    """Return values of given ranks, 0 being the lowest; NaN has no rank.

    Parameters
    ----------
    nodes : sequence of Node
        The image, and what says where its voxels belong.
    groups : Groups
        Any number of them.
    wanted : callable
        Takes the counts of numbers and of NaN of each group, flat, time-major; gives groups and ranks.
    name : str
        What the progress bar says.
    """
    keys = key_table(nodes[0].dtype)
    total = groups.times * groups.count
    slots = _Slots(np.arange(total), np.zeros(total, np.uint64), keys.width)
    room = _room(total)
    digits = _digits(slots, groups, room)
    table, nans = _counted(nodes, groups, slots, digits, name)
    counts = table.sum(axis=1)
    owner, rank = wanted(counts, nans)
    place = np.asarray(owner, np.int64)
    while True:
        slots, place, rank, left = _narrowed(slots, table, digits, place, np.asarray(rank, np.int64))
        if not slots.below or not len(place):
            found = slots.prefix[place]
            break
        if left <= min(_GATHERED, room // _KEY_BYTES):
            found = _gathered(nodes, groups, slots, place, rank, left, name)
            break
        digits = _digits(slots, groups, room)
        table, _ = _counted(nodes, groups, slots, digits, name)
    return Selected(counts, nans, np.asarray(owner), keys.values(found))


def ranks_around(counts: Array, shares: Array) -> Array:
    """Return the two ranks, (n, shares, 2), between which shares of n groups of numbers lie."""
    last = counts[:, None] - 1
    below = np.floor(last * shares).astype(np.int64)
    return np.stack([below, np.minimum(below + 1, last)], axis=2)


def _room(total: int) -> int:
    """Return the bytes that a pass may take beside its blocks, the same for all passes."""
    budget = current_budget()
    fewest = total * _ENTRY_BYTES << _FEWEST_DIGITS
    return max(_LEAST_ROOM, fewest, int((budget.memory - base_of(budget)) * _SHARE))


def _digits(slots: _Slots, groups: Groups, room: int) -> int:
    """Return how many bits the next pass counts."""
    crowded = int(np.bincount(slots.owner // max(1, groups.count), minlength=1).max(initial=1))
    most = min(_ALL_ENTRIES, room // _ENTRY_BYTES)
    entries = min(_FRAME_ENTRIES // max(1, crowded), most // max(1, len(slots.owner)))
    fits = int(math.log2(entries)) if entries >= 1 else 0
    return min(slots.below, max(_FEWEST_DIGITS, min(_MOST_DIGITS, fits)))


def _narrowed(
    slots: _Slots, table: Array, digits: int, place: Array, rank: Array
) -> tuple[_Slots, Array, Array, int]:
    """Return longer prefixes, where each target's is, its rank there, and how many keys begin with them."""
    bins, size, rank = np.zeros(len(place), np.int64), np.zeros(len(place), np.int64), rank.copy()
    step = max(1, _FRAME_ENTRIES >> digits)
    for start in range(0, len(place), step):
        some = slice(start, start + step)
        up_to = np.cumsum(table[place[some]], axis=1)
        bins[some] = np.sum(up_to <= rank[some, None], axis=1)
        size[some] = table[place[some], bins[some]]
        rank[some] -= up_to[np.arange(len(up_to)), bins[some]] - size[some]
    prefix = (slots.prefix[place] << np.uint64(digits)) | bins.astype(np.uint64)
    owner = slots.owner[place]
    order = np.lexsort((prefix, owner))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(owner[order]) != 0) | (prefix[order][1:] != prefix[order][:-1])
    where = np.empty(len(order), np.int64)
    where[order] = np.cumsum(new) - 1
    kept = order[new]
    longer = _Slots(owner[kept], prefix[kept], slots.below - digits)
    return longer, where, rank, int(size[kept].sum())


def _by_frame(slots: _Slots, groups: Groups) -> list[tuple[int, Array, Array]]:
    """Return of each time point its first slot, where each group's prefixes start, and the prefixes."""
    edges = np.searchsorted(slots.owner, np.arange(groups.times + 1) * groups.count)
    numbers = np.arange(groups.count + 1)
    return [
        (
            int(first),
            np.searchsorted(slots.owner[first:last] - t * groups.count, numbers).astype(np.int64),
            slots.prefix[first:last],
        )
        for t, (first, last) in enumerate(itertools.pairwise(edges.tolist()))
    ]


def _counted(
    nodes: Sequence[Node], groups: Groups, slots: _Slots, digits: int, name: str
) -> tuple[Array, Array]:
    """Return how often each next ``digits`` bits occur after each prefix, and NaN by group."""
    frames = _by_frame(slots, groups)
    table = np.zeros((len(slots.owner), 1 << digits), np.int64)
    nans = np.zeros((groups.times, groups.count), np.int64)
    # Tables of all time points, of a task, and what it returns.
    fixed = max(_LEAST_ROOM, _ENTRY_BYTES * table.size)
    program = make_program(nodes, sink_bytes=groups.bytes_per_voxel + 12, sink_fixed_bytes=fixed)
    for _, result in program.run(_CountKeys(groups, frames, slots.below, digits), name=name):
        for t, own_nans, part in result:
            first, _, prefixes = frames[t]
            add_sparse(table[first : first + len(prefixes)].reshape(-1), part)
            nans[t] += own_nans
    return table, nans.reshape(-1)


@dataclass(frozen=True)
class _CountKeys:
    """Task: counts of the next bits of keys, a part per time point."""

    groups: Groups
    frames: Sequence[tuple[int, Array, Array]]
    below: int
    digits: int

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, Array, Sparse]]:
        from chunkmed.kernels.counts import count_keys

        keys, out = key_table(arrays[0].dtype), []
        for frame in self.groups.frames(box, arrays):
            _, starts, prefixes = self.frames[frame.time]
            values = frame.values, frame.groups
            table, nans = count_keys(*values, keys, starts, prefixes, self.below, self.digits)
            out.append((frame.time, nans, sparse(table)))
        return out


def _gathered(
    nodes: Sequence[Node],
    groups: Groups,
    slots: _Slots,
    place: Array,
    rank: Array,
    left: int,
    name: str,
) -> Array:
    """Return the keys of given ranks among those that begin with a prefix: all of them, sorted."""
    frames = _by_frame(slots, groups)
    fixed = max(_LEAST_ROOM, _KEY_BYTES * left)
    program = make_program(nodes, sink_bytes=groups.bytes_per_voxel + 12, sink_fixed_bytes=fixed)
    where, found, filled = np.empty(left, np.int32), np.empty(left, np.uint64), 0
    for _, result in program.run(_GatherKeys(groups, frames, slots.below), name=name):
        for t, own, part in result:
            where[filled : filled + len(own)] = own + frames[t][0]
            found[filled : filled + len(own)] = part
            filled += len(own)
    return _of_rank(slots, where, found, place, rank)


def _of_rank(slots: _Slots, where: Array, found: Array, place: Array, rank: Array) -> Array:
    """Return the keys of given ranks among those of each slot."""
    if len(slots.owner).bit_length() + slots.below > 64:
        order = np.lexsort((found, where))
        starts = np.searchsorted(where[order], place)
        return np.asarray(found[order[starts + rank]])
    # Slot and what comes after the prefix in one number: far quicker to sort.
    below = np.uint64(slots.below)
    rest = (np.uint64(1) << below) - np.uint64(1)
    both = (where.astype(np.uint64) << below) | (found & rest)
    both.sort()
    starts = np.searchsorted(both, place.astype(np.uint64) << below)
    return (slots.prefix[place] << below) | (both[starts + rank] & rest)


@dataclass(frozen=True)
class _GatherKeys:
    """Task: all keys that begin with a prefix of their group, a part per time point."""

    groups: Groups
    frames: Sequence[tuple[int, Array, Array]]
    below: int

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, Array, Array]]:
        from chunkmed.kernels.counts import gather_keys

        keys, out = key_table(arrays[0].dtype), []
        for frame in self.groups.frames(box, arrays):
            _, starts, prefixes = self.frames[frame.time]
            own, part, _ = gather_keys(frame.values, frame.groups, keys, starts, prefixes, self.below)
            out.append((frame.time, own, part))
        return out
