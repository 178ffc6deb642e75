"""An image with voxels added at its sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chunkmed.graph.box import Box, intersect, sides, within
from chunkmed.graph.nodes import Array, Fetch, Node
from chunkmed.provenance import content_hash

__all__ = ["Extended"]


class Extended(Node):
    """An image with voxels of a constant, or copies of the outermost ones, added at both ends of axes.

    Parameters
    ----------
    parent : Node
        The image.
    pads : sequence of int
        Voxels added at each end of each axis.
    cval : float, optional
        The constant; None for copies.
    """

    def __init__(self, parent: Node, pads: Sequence[int], cval: float | None) -> None:
        self.inputs, self.pads, self.cval = (parent,), tuple(pads), cval
        self.shape = tuple(n + 2 * pad for n, pad in zip(parent.shape, self.pads, strict=True))
        self.dtype = parent.dtype
        self.token = content_hash("extended", parent.token, self.pads, repr(cval))

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the part inside, at least the outermost voxels."""
        spans = zip(box, self.pads, self.inputs[0].shape, strict=True)
        return (tuple(_inside(a - pad, b - pad, n) for (a, b), pad, n in spans),)

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Copy the inside, and what lies around it."""
        (inside,) = self.request(box)
        assert inside is not None  # noqa: S101 - a box is always asked for
        moved = tuple((a - pad, b - pad) for (a, b), pad in zip(box, self.pads, strict=True))
        if self.cval is None:
            spans = zip(moved, inside, strict=True)
            index = [np.clip(np.arange(a, b), c, d - 1) - c for (a, b), (c, d) in spans]
            return arrays[0][np.ix_(*index)]
        # Cut to the dtype of the image, as numpy.pad does.
        out = np.full(sides(box), np.asarray(self.cval).astype(self.dtype))
        shown = intersect(moved, inside)
        if shown is not None:
            out[within(shown, moved)] = arrays[0][within(shown, inside)]
        return out

    def natural(self, *blocks: Sequence[int]) -> tuple[int, ...]:
        """Return the block of the image."""
        return tuple(blocks[0])

    @property
    def label(self) -> str:
        """What it does."""
        return f"extend by {max(self.pads)}"


def _inside(start: int, stop: int, n: int) -> tuple[int, int]:
    first = min(max(start, 0), n - 1)
    return first, max(first + 1, min(stop, n))
