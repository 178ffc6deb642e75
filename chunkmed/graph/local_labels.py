"""Labels of blocks, counted from 1 in each: kept in two bytes where a block has no more than these count.

Few blocks have more than 65,535 labels. Those are kept apart in four bytes, and nothing else is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmed.graph.box import Box, cover, intersect, sides, within
from chunkmed.graph.nodes import Array, Source
from chunkmed.graph.scratch import Scratch
from chunkmed.graph.views import Chunks
from chunkmed.provenance import content_hash
from chunkmed.reused import empty
from chunkmed.store import ArrayWriter, StoredArray

__all__ = ["LabelWriter", "LocalLabels"]


@dataclass(frozen=True)
class LabelWriter:
    """What tasks write the labels of a block with."""

    narrow: ArrayWriter
    wide: ArrayWriter

    def write(self, box: Box, labels: Array) -> bool:
        """Keep labels (uint16 or int32); say whether they took four bytes."""
        if labels.dtype.itemsize == 2:
            self.narrow.write(box, labels)
            return False
        self.narrow.write(box, np.broadcast_to(np.uint16(0), sides(box)))
        self.wide.write(box, labels)
        return True


class LocalLabels:
    """Scratch for the labels of all blocks of an image.

    Parameters
    ----------
    shape : tuple of int
        Sizes of the axes of the image.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.scratch = Scratch(shape, np.uint16)
        self.writer = LabelWriter(self.scratch.writer, self.scratch.another("wide", np.int32))

    def source(self, chunks: Chunks, wide: Array) -> Source:
        """Return all labels: uint16 where that holds them, else int32.

        Parameters
        ----------
        chunks : tuple of tuples
            The blocks.
        wide : ndarray of bool
            Which of them took four bytes, shape of the grid of blocks.
        """
        narrow = self.scratch.stored()
        if not wide.any():
            return Source(narrow)
        return Source(_Mixed(narrow, self.scratch.stored("wide"), chunks, wide))


@dataclass(frozen=True, eq=False)
class _Mixed:
    """Reads each block from where it is kept."""

    narrow: StoredArray
    wide: StoredArray
    blocks: Chunks
    is_wide: Array

    label = "read labels"
    fresh = reuses = True

    @property
    def shape(self) -> tuple[int, ...]:
        return self.narrow.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.wide.dtype

    @property
    def chunks(self) -> tuple[int, ...]:
        return self.wide.chunks

    @property
    def granule(self) -> tuple[int, ...]:
        return self.wide.granule

    @property
    def token(self) -> str:
        return content_hash("labels of blocks", self.narrow.token)

    def read(self, box: Box) -> Array:
        out = self.narrow.read(box, empty(sides(box), self.dtype))
        for index, part in cover(box, self.blocks):
            common = intersect(part, box)
            if common is not None and self.is_wide[index]:
                self.wide.read(common, out[within(common, box)])
        return out
