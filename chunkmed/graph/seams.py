"""Blocks that were labelled apart become one image: labels that touch across a seam are joined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chunkmed.graph.nodes import Array
from chunkmed.kernels.components import merge, neighbours, seam_pairs

__all__ = ["Seams", "Slabs"]

Slabs = dict[tuple[int, int], Array]


class Seams:
    """Joins blocks as they arrive in C order; keeps only slabs that a later block may touch.

    Parameters
    ----------
    structure : ndarray of bool
        3 per axis, centrosymmetric.
    chunks : sequence of sequences of int
        Sizes of the blocks along each axis.
    """

    def __init__(self, structure: Array, chunks: Sequence[Sequence[int]]) -> None:
        self.structure, self.steps = structure, neighbours(structure)
        self.blocks = tuple(len(sizes) for sizes in chunks)
        self.offsets = np.zeros(self.blocks, np.int64)
        self._firsts: list[Array] = []
        self._pairs: list[Array] = []
        self._slabs: dict[int, Slabs] = {}
        self._arrived, self._labels = 0, 0
        strides = [int(np.prod(self.blocks[axis + 1 :])) for axis in range(len(self.blocks))]
        back = [-sum(s * stride for s, stride in zip(step, strides, strict=True)) for step in self.steps]
        self._reach = max(back, default=0)

    def add(self, firsts: Array, slabs: Slabs) -> None:
        """Take the next block."""
        index = tuple(int(i) for i in np.unravel_index(self._arrived, self.blocks))
        self.offsets[index] = self._labels
        for step in self.steps:
            self._join(index, slabs, step)
        self._slabs[self._arrived] = slabs
        self._slabs.pop(self._arrived - self._reach, None)
        self._firsts.append(firsts)
        self._labels += len(firsts)
        self._arrived += 1

    def _join(self, index: tuple[int, ...], slabs: Slabs, step: Sequence[int]) -> None:
        other = tuple(i + s for i, s in zip(index, step, strict=True))
        if any(not 0 <= i < n for i, n in zip(other, self.blocks, strict=True)):
            return
        place = int(np.ravel_multi_index(other, self.blocks))
        pairs = seam_pairs(slabs, self._slabs[place], tuple(step), self.structure).astype(np.int64)
        # Local labels count from 1, places in the table of all labels from 0.
        pairs += [self._labels - 1, int(self.offsets[other]) - 1]
        self._pairs.append(pairs)

    def joined(self) -> tuple[Array, Array]:
        """Return the first voxel of each local label, and which local label stands for its component."""
        firsts = np.concatenate(self._firsts) if self._firsts else np.zeros(0, np.int64)
        pairs = np.concatenate(self._pairs) if self._pairs else np.zeros((0, 2), np.int64)
        return firsts, merge(firsts, pairs)
