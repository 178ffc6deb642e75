"""How often values occur, exactly, in one pass: every value of 16 bits, or bins of any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmed.errors import InputError
from chunkmed.graph.box import Box
from chunkmed.graph.groups import Frame, Groups
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.passes import make_program

__all__ = ["Sparse", "bin_counts", "bins_of_values", "key_table", "sparse", "value_counts"]

#: A task counts into a table of no more entries than these, however many groups there are.
_MOST_ENTRIES = 1 << 20

#: Places in a flat table that are not zero, None for all of them, and their counts.
Sparse = tuple[Array | None, Array]


def sparse(table: Array) -> Sparse:
    """Return a table of counts as what takes less memory."""
    flat = table.reshape(-1)
    found = np.flatnonzero(flat)
    if found.size * 3 > flat.size:
        return None, flat
    return found.astype(np.int64), flat[found]


def add_sparse(total: Array, part: Sparse) -> None:
    """Add the counts of a part to a flat table."""
    places, counts = part
    if places is None:
        total += counts
    else:
        # No place occurs twice.
        total[places] += counts


def key_table(dtype: Any) -> Any:
    """Return how values of a dtype become keys; refuse what has no order.

    Raises
    ------
    InputError
        ``bad-dtype``.
    """
    from chunkmed.kernels.keys import keys_of

    found = keys_of(dtype)
    if found is None:
        raise InputError(
            f"values of dtype {np.dtype(dtype)} are not counted",
            kind="bad-dtype",
            fix="give integers, a mask, or floats of at most 64 bits",
        )
    return found


def value_counts(nodes: Sequence[Node], groups: Groups, *, name: str = "counting values") -> Array:
    """Return how often each pattern of bits occurs, in one pass; for dtypes of at most 16 bits.

    Parameters
    ----------
    nodes : sequence of Node
        The image, and what says where its voxels belong.
    groups : Groups
        One group.

    Returns
    -------
    ndarray of int64, shape (times, patterns)
        In the order of :meth:`chunkmed.kernels.keys.Keys.every_value`.
    """
    keys = key_table(nodes[0].dtype)
    total = np.zeros((groups.times, 1 << keys.width), np.int64)
    program = make_program(
        nodes, sink_bytes=groups.bytes_per_voxel, sink_fixed_bytes=(32 << keys.width) + total.nbytes
    )
    for _, result in program.run(_CountPatterns(groups), name=name):
        for t, part in result:
            add_sparse(total[t], part)
    return total


@dataclass(frozen=True)
class _CountPatterns:
    """Task: counts of all patterns of bits, a part per time point."""

    groups: Groups

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, Sparse]]:
        from chunkmed.kernels.counts import count_patterns

        keys, out = key_table(arrays[0].dtype), []
        for frame in self.groups.frames(box, arrays):
            chosen = frame.values if frame.groups is None else frame.values[frame.groups == 0]
            # A block has fewer voxels than 2**32.
            counts = count_patterns(chosen, keys).astype(np.uint32)
            out.append((frame.time, sparse(counts)))
        return out


def bin_counts(
    nodes: Sequence[Node], groups: Groups, edges: Array, *, name: str = "counting bins"
) -> tuple[Array, Array]:
    """Return counts of bins in one pass, equal to :func:`numpy.histogram` of each group with these edges.

    Parameters
    ----------
    nodes : sequence of Node
        The image, and what says where its voxels belong.
    groups : Groups
        Any number of them.
    edges : ndarray of float64, ascending
        Of the bins.

    Returns
    -------
    counts : ndarray of int64, shape (times, groups, bins)
    voxels : ndarray of int64, shape (times, groups)
        All voxels of each group, in a bin or not.
    """
    keys = key_table(nodes[0].dtype)
    if keys.width <= 16 and groups.count == 1:
        values = value_counts(nodes, groups, name=name)
        return bins_of_values(values, keys.every_value(), edges)[:, None], values.sum(axis=1, keepdims=True)
    counts = np.zeros((groups.times, groups.count, len(edges) - 1), np.int64)
    voxels = np.zeros((groups.times, groups.count), np.int64)
    rows = counts.reshape(groups.times, -1)
    entries = min(rows.shape[1], max(_MOST_ENTRIES, len(edges)))
    fixed = counts.nbytes + voxels.nbytes + 12 * entries
    program = make_program(nodes, sink_bytes=groups.bytes_per_voxel, sink_fixed_bytes=fixed)
    for _, result in program.run(_CountBins(groups, edges), name=name):
        for t, names, sizes, parts in result:
            voxels[t, names] += sizes
            for first, part in parts:
                _add_rows(counts[t], names[first:], part)
    return counts, voxels


def bins_of_values(counts: Array, values: Array, edges: Array) -> Array:
    """Return counts of bins, shape (times, bins), from how often each value occurs, (times, values)."""
    plain = values.astype(np.float64)
    place = np.minimum(np.searchsorted(edges, plain, side="right") - 1, len(edges) - 2)
    inside = np.flatnonzero((plain >= edges[0]) & (plain <= edges[-1]))
    out = np.zeros((len(counts), len(edges) - 1), np.int64)
    for row, found in zip(out, counts, strict=True):
        np.add.at(row, place[inside], found[inside])
    return out


def _add_rows(total: Array, names: Array, part: tuple[int, Sparse]) -> None:
    """Add the counts of some groups, whose rows are named."""
    rows, (places, counts) = part
    bins = total.shape[1]
    if places is None:
        total[names[:rows]] += counts.reshape(rows, bins)
    else:
        total[names[places // bins], places % bins] += counts


@dataclass(frozen=True)
class _CountBins:
    """Task: counts of bins of the groups that a block holds, some of them at a time."""

    groups: Groups
    edges: Array

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, Array, Array, list[Any]]]:
        out = []
        for frame in self.groups.frames(box, arrays):
            names, own, sizes = self._present(frame)
            step = max(1, _MOST_ENTRIES // max(1, len(self.edges) - 1))
            parts = [
                (first, (min(step, len(names) - first), self._counts(frame.values, own, first, step)))
                for first in range(0, len(names), step)
            ]
            out.append((frame.time, names, sizes, parts))
        return out

    def _present(self, frame: Frame) -> tuple[Array, Array | None, Array]:
        """Return the groups of a frame, the place among them of each voxel, and their sizes."""
        if frame.groups is None:
            return np.zeros(1, np.int64), None, np.array([frame.values.size])
        sizes = np.bincount(frame.groups[frame.groups >= 0], minlength=self.groups.count)
        names = np.flatnonzero(sizes)
        if len(names) == len(sizes):
            return names, frame.groups, sizes
        place = np.full(len(sizes) + 1, -1, np.int32)
        place[names] = np.arange(len(names))
        # The last entry is that of voxels in no group, -1.
        return names, place[frame.groups], sizes[names]

    def _counts(self, values: Array, own: Array | None, first: int, step: int) -> Sparse:
        from chunkmed.kernels.counts import count_bins

        if own is None:
            return sparse(count_bins(values, None, self.edges, 1))
        rows = min(step, int(own.max(initial=-1)) + 1 - first)
        if first or own.max(initial=-1) >= step:
            own = np.where((own >= first) & (own < first + step), own - first, np.int32(-1))
        return sparse(count_bins(values, own, self.edges, rows))
