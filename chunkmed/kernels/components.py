"""Connected components: labels of one block, seams between blocks, union-find over all of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping

import numpy as np
import scipy.ndimage

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import kernel
from chunkmed.kernels.distinct import distinct
from chunkmed.kernels.runs import MOST, joins_rows, root, run_labels

__all__ = [
    "block_labels",
    "block_slabs",
    "label_sizes",
    "marked_labels",
    "merge",
    "neighbours",
    "seam_pairs",
]

Step = tuple[int, ...]
Slabs = Mapping[tuple[int, int], Array]


def block_labels(mask: Array, structure: Array, *, narrow: bool = False) -> tuple[Array, Array]:
    """Label one block; ``CHUNKMED_KERNELS=scipy`` in the environment leaves it to scipy.

    Parameters
    ----------
    mask : ndarray of bool
        Objects.
    structure : ndarray of bool
        3 per axis, centrosymmetric.
    narrow : bool
        Whether labels may be uint16.

    Returns
    -------
    labels : ndarray of int32, or uint16 where these count them and they may be
        1, 2, ... in the order of the first voxel of each component.
    firsts : ndarray of int64
        C-order index within the block of each component's first voxel.
    """
    if mask.size and mask.ndim and joins_rows(structure) and os.environ.get("CHUNKMED_KERNELS") != "scipy":
        return run_labels(np.ascontiguousarray(mask), structure, narrow=narrow)
    labels, count = scipy.ndimage.label(mask, structure, output=np.int32)
    firsts = _firsts(labels.ravel(), count)
    return labels.astype(np.uint16) if narrow and count <= MOST else labels, firsts


@kernel
def _firsts(labels: Array, count: int) -> Array:  # pragma: no cover - compiled
    firsts = np.full(count, -1, np.int64)
    # scipy numbers by first voxel, so each new number is one more than the largest so far.
    seen = 0
    for i in range(labels.size):
        if labels[i] > seen:
            firsts[seen] = i
            seen += 1
            if seen == count:
                break
    return firsts


def label_sizes(labels: Array, count: int) -> Array:
    """Return the voxels of each label from 1 to ``count``, int64."""
    return _sizes(labels.ravel(), count)[1:]


@kernel
def _sizes(labels: Array, count: int) -> Array:  # pragma: no cover - compiled
    sizes = np.zeros(count + 1, np.int64)
    for label in labels:
        sizes[label] += 1
    return sizes


def marked_labels(labels: Array, marks: Array, found: Array) -> None:
    """Set ``found`` (one bool per label, 0 included) where a voxel of the label is marked (bool)."""
    _marked(labels.ravel(), marks.ravel(), found)


@kernel
def _marked(labels: Array, marks: Array, found: Array) -> None:  # pragma: no cover - compiled
    for i in range(labels.size):
        if marks[i]:
            found[labels[i]] = True


def block_slabs(labels: Array, structure: Array) -> dict[tuple[int, int], Array]:
    """Return the outermost layers of a block by (axis, side), on axes that the structure spans."""
    slabs = {}
    for axis in range(labels.ndim):
        if _spans(structure, axis):
            slabs[axis, -1] = labels.take([0], axis=axis)
            slabs[axis, 1] = labels.take([-1], axis=axis)
    return slabs


def _spans(structure: Array, axis: int) -> bool:
    return bool(np.any(structure.take([0, 2], axis=axis)))


def neighbours(structure: Array) -> list[Step]:
    """Return the steps to blocks that come earlier in C order and that the structure reaches."""
    offsets = [tuple(int(i) - 1 for i in index) for index in np.argwhere(structure)]
    steps = itertools.product((-1, 0, 1), repeat=structure.ndim)
    earlier = [step for step in steps if step < (0,) * structure.ndim]
    return [step for step in earlier if any(_reaches(offset, step) for offset in offsets)]


def _reaches(offset: Step, step: Step) -> bool:
    return all(s == 0 or o == s for o, s in zip(offset, step, strict=True))


def seam_pairs(own: Slabs, other: Slabs, step: Step, structure: Array) -> Array:
    """Return pairs (own label, other label) that touch across the seam towards ``step``.

    Parameters
    ----------
    own, other : mapping of (axis, side) to ndarray
        Slabs of both blocks.
    step : tuple of int
        Where the other block lies, -1, 0 or 1 per axis.
    structure : ndarray of bool
        3 per axis, centrosymmetric.
    """
    axis = next(a for a, s in enumerate(step) if s)
    mine, theirs = own[axis, step[axis]], other[axis, -step[axis]]
    found = []
    for index in np.argwhere(structure):
        offset = tuple(int(i) - 1 for i in index)
        if _reaches(offset, step):
            a, b = (part.ravel() for part in _facing(mine, theirs, offset, step, axis))
            both = (a > 0) & (b > 0)
            found.append(_codes(a[both], b[both]))
    codes = distinct(np.concatenate([*found, np.zeros(0, np.int64)]))
    return np.stack([codes >> 32, codes & 0xFFFFFFFF], axis=1)


def _codes(a: Array, b: Array) -> Array:
    """Return pairs of labels as one number each; runs of the same pair as one, for sorting takes long."""
    codes = (a.astype(np.int64) << 32) | b
    changes = np.ones(len(codes), bool)
    np.not_equal(codes[1:], codes[:-1], out=changes[1:])
    return codes[changes]


def _facing(mine: Array, theirs: Array, offset: Step, step: Step, slab_axis: int) -> tuple[Array, Array]:
    """Return the voxels of both slabs that are ``offset`` apart, in the same order."""
    cut_mine, cut_theirs = [], []
    for axis, (o, s) in enumerate(zip(offset, step, strict=True)):
        n, m = mine.shape[axis], theirs.shape[axis]
        if axis == slab_axis:
            cut_mine.append(slice(None))
            cut_theirs.append(slice(None))
        elif s:
            cut_mine.append(slice(n - 1, n) if s > 0 else slice(0, 1))
            cut_theirs.append(slice(0, 1) if s > 0 else slice(m - 1, m))
        else:
            cut_mine.append(slice(max(0, -o), n - max(0, o)))
            cut_theirs.append(slice(max(0, o), n - max(0, -o)))
    return mine[tuple(cut_mine)], theirs[tuple(cut_theirs)]


def merge(firsts: Array, pairs: Array) -> Array:
    """Return the root of every local label: the member whose first voxel comes first.

    Parameters
    ----------
    firsts : ndarray of int64, shape (n,)
        Global index of each local label's first voxel.
    pairs : ndarray of int64, shape (m, 2)
        Local labels, counted through all blocks from 0, that belong together.
    """
    return _union(firsts, np.ascontiguousarray(pairs, dtype=np.int64))


@kernel
def _union(firsts: Array, pairs: Array) -> Array:  # pragma: no cover - compiled
    parent = np.arange(firsts.size)
    for k in range(pairs.shape[0]):
        a, b = root(parent, pairs[k, 0]), root(parent, pairs[k, 1])
        if a != b:
            if firsts[a] < firsts[b]:
                parent[b] = a
            else:
                parent[a] = b
    for i in range(firsts.size):
        parent[i] = root(parent, i)
    return parent
