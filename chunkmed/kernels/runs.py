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
from chunkmed.kernels.compiled import kernel, part
from chunkmed.reused import zeros

__all__ = ["joins_rows", "root", "run_labels"]

_ONES = np.uint64(0x0101010101010101)


def joins_rows(structure: Array) -> bool:
    """Whether neighbours along the last axis are connected: what runs are made of."""
    return bool(structure[(1,) * (structure.ndim - 1)].all())


def run_labels(mask: Array, structure: Array) -> tuple[Array, Array]:
    """Return labels (int32) and first voxels, as :func:`chunkmed.kernels.components.block_labels`.

    Parameters
    ----------
    mask : ndarray of bool, in C order
        At least one axis and one voxel.
    structure : ndarray of bool
        3 per axis, centrosymmetric, all connected along the last axis.
    """
    flat = mask.reshape(-1).view(np.uint8)
    words = flat[: flat.size // 8 * 8].view(np.uint64)
    steps = np.array(list(_steps(structure)), np.int64).reshape(-1, structure.ndim + 1)
    shape = np.array(mask.shape, np.int64)
    edges, rows, parents = _joined_runs(flat, words, shape, steps)
    labels = zeros(mask.shape, np.int32)
    firsts = _write(edges, rows, parents, labels.reshape(-1, mask.shape[-1]))
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
def _edges(flat, words, begin, end, out, n):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Write where runs start and stop, from place ``n`` on; eight equal voxels are seen at once."""
    at, last = begin, np.uint8(0)
    while at < end:
        some = 1
        if at & 7 == 0 and at + 8 <= end:
            some = 8
            if words[at >> 3] == (_ONES if last else np.uint64(0)):
                at += 8
                continue
        # Without a branch: noise would be guessed wrong.
        for i in range(at, at + some):
            voxel = np.uint8(flat[i] != 0)
            out[n] = i - begin
            n += last ^ voxel
            last = voxel
        at += some
    if last:
        out[n] = end - begin
        n += 1
    return n


@kernel
def _joined_runs(flat, words, shape, steps):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    ndim, width = len(shape), shape[-1]
    count = flat.size // width
    room = 1024 + flat.size // 32 + width
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
        n = _edges(flat, words, row * width, (row + 1) * width, edges, 2 * n) // 2
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
def _write(edges, rows, parents, labels):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    count = 0
    for i in range(len(parents)):
        # A parent comes before: its number stands in its place already.
        if parents[i] == i:
            count += 1
            parents[i] = count
        else:
            parents[i] = parents[parents[i]]
    firsts = np.empty(count, np.int64)
    seen = 0
    for row in range(len(rows) - 1):
        for i in range(rows[row], rows[row + 1]):
            number = parents[i]
            if number > seen:
                firsts[seen] = row * labels.shape[1] + edges[2 * i]
                seen = number
            for x in range(edges[2 * i], edges[2 * i + 1]):
                labels[row, x] = number
    return firsts
