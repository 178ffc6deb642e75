"""Connected components of a block by runs of voxels along its rows: numbered as scipy.ndimage numbers them.

Two passes over the runs and none over the voxels but to find and to write them (He, Chao & Suzuki, "A
run-based two-scan labeling algorithm", IEEE TIP 17, 2008). A run is joined with those of rows before it
that the structure reaches; of two that meet the first is the root, so that roots in the order of the runs
are components in the order of their first voxels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.bits import lowest_bit
from chunkmed.kernels.compiled import kernel, part
from chunkmed.reused import empty

__all__ = ["MOST", "joins_rows", "root", "run_labels"]

#: Labels that two bytes count.
MOST = np.iinfo(np.uint16).max
#: Labels that are written at a time.
_LANES = 16


def joins_rows(structure: Array) -> bool:
    """Whether neighbours along the last axis are connected: what runs are made of."""
    return bool(structure[(1,) * (structure.ndim - 1)].all())


def run_labels(mask: Array, structure: Array, *, narrow: bool = False) -> tuple[Array, Array]:
    """Return labels and first voxels, as :func:`chunkmed.kernels.components.block_labels`.

    Parameters
    ----------
    mask : ndarray of bool, in C order
        At least one axis and one voxel.
    structure : ndarray of bool
        3 per axis, centrosymmetric, all connected along the last axis.
    narrow : bool
        Whether labels are uint16 where these count them all, or int32 always.
    """
    words = np.zeros(mask.size // 64 + 2, np.uint64)
    packed = np.packbits(mask.reshape(-1).view(np.uint8), bitorder="little")
    words.view(np.uint8)[: len(packed)] = packed
    steps = np.array(list(_steps(structure)), np.int64).reshape(-1, structure.ndim + 1)
    shape = np.array(mask.shape, np.int64)
    edges, rows, parents = _joined_runs(words, shape, steps)
    # Roots stand for themselves.
    few = narrow and np.count_nonzero(parents == np.arange(len(parents), dtype=parents.dtype)) <= MOST
    labels = empty(mask.shape, np.uint16 if few else np.int32)
    firsts = _write(edges, rows, parents, labels.reshape(-1), mask.shape[-1])
    return labels, firsts


def _steps(structure: Array) -> Iterator[tuple[int, ...]]:
    """Yield which rows before a row it meets, and from which to which x: a step, lowest, highest."""
    leading = structure.shape[:-1]
    for index in np.ndindex(leading):
        step = tuple(i - 1 for i in index)
        if step < (0,) * len(leading):
            near = structure[index]
            if near.tolist() == [True, False, True]:
                yield from ((*step, -1, -1), (*step, 1, 1))
            elif near.any():
                reach = np.flatnonzero(near) - 1
                yield (*step, int(reach[0]), int(reach[-1]))


@part
def _edges(words, begin, end, out, n):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Write where runs start and stop between two bits, from place ``n`` on; 64 voxels are seen at once."""
    last = np.uint64(0)
    for at in range(begin, end, 64):
        # Shifted twice: a shift by all 64 bits is not defined.
        word, right = at >> 6, np.uint64(at & 63)
        voxels = (words[word] >> right) | (words[word + 1] << (np.uint64(63) - right) << np.uint64(1))
        if end - at < 64:
            voxels &= (np.uint64(1) << np.uint64(end - at)) - np.uint64(1)
        changes = voxels ^ ((voxels << np.uint64(1)) | last)
        last = voxels >> np.uint64(63)
        while changes:
            out[n] = at - begin + np.int64(lowest_bit(changes))
            n += 1
            changes &= changes - np.uint64(1)
    if last:
        out[n] = end - begin
        n += 1
    return n


@kernel
def _joined_runs(words, shape, steps):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    ndim, width = len(shape), shape[-1]
    count = np.prod(shape[:-1])
    room = 1024 + count * width // 32 + width
    edges, parents = np.empty(2 * room, np.int32), np.empty(room, np.int32)
    rows, place = np.zeros(count + 1, np.int64), np.zeros(ndim, np.int64)
    strides = np.ones(ndim, np.int64)
    for axis in range(ndim - 3, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    n = 0
    for row in range(count):
        if n + width >= room:
            room += room // 2
            edges, parents = _longer(edges, 2 * room), _longer(parents, room)
        n = _edges(words, row * width, (row + 1) * width, edges, 2 * n) // 2
        rows[row + 1] = n
        for i in range(rows[row], n):
            parents[i] = i
        for k in range(len(steps)):
            other, inside = row, True
            for axis in range(ndim - 1):
                there = place[axis] + steps[k, axis]
                inside = inside and 0 <= there < shape[axis]
                other += steps[k, axis] * strides[axis]
            if inside:
                low, high = steps[k, ndim - 1], steps[k, ndim]
                _meet(edges, parents, rows[row], n, rows[other], rows[other + 1], low, high)
        for axis in range(ndim - 2, -1, -1):
            place[axis] += 1
            if place[axis] < shape[axis]:
                break
            place[axis] = 0
    return edges[: 2 * n], rows, parents[:n]


@part
def _longer(array, room):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    out = np.empty(room, np.int32)
    out[: len(array)] = array
    return out


@part
def _meet(edges, parents, i, last_i, j, last_j, low, high):  # type: ignore[no-untyped-def] # pragma: no cover
    """Join runs i of one row with runs j of another where x + low to x + high meets."""
    while i < last_i and j < last_j:
        if edges[2 * j + 1] <= edges[2 * i] + low:
            j += 1
        elif edges[2 * j] >= edges[2 * i + 1] + high:
            i += 1
        else:
            a, b = root(parents, i), root(parents, j)
            if a < b:
                parents[b] = a
            elif b < a:
                parents[a] = b
            if edges[2 * j + 1] < edges[2 * i + 1] + high:
                j += 1
            else:
                i += 1


@part
def root(parents, i):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Return the first of those that i was joined with; the way there is shortened."""
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i


@kernel
def _write(edges, rows, parents, labels, width):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    count = 0
    for i in range(len(parents)):
        # A parent comes before: its number stands in its place already.
        if parents[i] == i:
            count += 1
            parents[i] = count
        else:
            parents[i] = parents[parents[i]]
    firsts = np.empty(count, np.int64)
    seen, at = 0, 0
    for row in range(len(rows) - 1):
        for i in range(rows[row], rows[row + 1]):
            number, start = parents[i], row * width + edges[2 * i]
            if number > seen:
                firsts[seen] = start
                seen = number
            _fill(labels, at, start, 0)
            at = row * width + edges[2 * i + 1]
            _fill(labels, start, at, number)
    _fill(labels, at, labels.size, 0)
    return firsts


@part
def _fill(labels, start, stop, number):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Write a number from start to stop, in whole vectors: what they write beyond is written again later."""
    # Places without a sign: numba asks of others whether they count from the end.
    at, end, last = np.uint64(start), np.uint64(stop), np.uint64(max(0, labels.size - _LANES + 1))
    while at < end and at < last:
        for k in range(np.uint64(_LANES)):
            labels[at + k] = number
        at += np.uint64(_LANES)
    while at < end:
        labels[at] = number
        at += np.uint64(1)
