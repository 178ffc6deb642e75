"""Kernels that need whole axes, pass by pass, and what they make before the next pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chunkmed.graph.box import Box, sides, within
from chunkmed.graph.evaluate import is_lasting
from chunkmed.graph.nodes import Array, Call, Fetch, Node, Opaque, Stencil
from chunkmed.graph.views import Chunks, view
from chunkmed.provenance import content_hash

__all__ = ["Apart", "Components", "Pencil"]


class Pencil(Stencil):
    """A kernel that needs whole axes of its input.

    It gets ``(array, keep=...)``, the block that spans the axes and the slices of it that are wanted;
    where it is ``placed`` also the ``box`` that the block fills.

    Parameters
    ----------
    call : Call
        The kernel.
    parent : Node
        What it takes.
    along : sequence of int
        Axes that it needs whole.
    dtype : dtype
        Of the result.
    placed : bool
        Whether it is told where the block lies.
    workspace, cost_ns
        As of :class:`~chunkmed.graph.nodes.Stencil`.
    """

    def __init__(
        self,
        call: Call,
        parent: Node,
        along: Sequence[int],
        dtype: Any,
        *,
        workspace: float = 0.1,
        cost_ns: float = 10.0,
        placed: bool = False,
    ) -> None:
        # A halo as wide as the image, clipped at its border, is the whole axis.
        depth = [n if axis in along else 0 for axis, n in enumerate(parent.shape)]
        super().__init__(call, [parent], depth, dtype, workspace=workspace, crops=True, cost_ns=cost_ns)
        self.along, self.placed = tuple(along), placed

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Run the kernel on the whole axes."""
        grown = self.grown(box)
        place = {"box": grown} if self.placed else {}
        out = self.call(arrays[0], keep=within(box, grown), **place)
        return np.asarray(out, dtype=self.dtype)

    @property
    def label(self) -> str:
        """Name of the kernel and its axes."""
        return f"{self.call.name.rsplit('.', 1)[-1]} (along {' '.join(map(str, self.along))})"


class Components(Node):
    """Several numbers of every voxel, on a leading axis: made from one.

    Parameters
    ----------
    call : Call
        Takes ``(array, wanted=...)``, which numbers, and gives an array with one more axis, the first.
    parent : Node
        What it takes.
    count : int
        How many numbers.
    dtype : dtype
        Of them.
    """

    def __init__(self, call: Call, parent: Node, count: int, dtype: Any) -> None:
        self.call, self.inputs, self.dtype = call, (parent,), np.dtype(dtype)
        self.shape = (count, *parent.shape)
        self.token = content_hash("components", call.token, parent.token, count, str(self.dtype))

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the box without its first axis."""
        return (box[1:],)

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Take the numbers that are wanted apart."""
        first, stop = box[0]
        out = self.call(np.broadcast_to(arrays[0], sides(box[1:])), wanted=range(first, stop))
        return np.asarray(out, dtype=self.dtype)

    @property
    def label(self) -> str:
        """Name of the kernel."""
        return self.call.name.rsplit(".", 1)[-1]


class Apart(Opaque):
    """What one pass over whole axes makes before the next one.

    Where dask computes, its own tasks make it once, in blocks along those axes. A sink looks through
    it and plans for itself what is kept on disk.

    Parameters
    ----------
    parent : Node
        What is made.
    chunks : tuple of tuples
        Blocks that dask makes it in.
    """

    def __init__(self, parent: Node, chunks: Chunks) -> None:
        array = view(parent, chunks)
        super().__init__(array.name, array.dask, chunks, parent.dtype)
        self.parent = parent
        self.lasting = is_lasting([parent])
        self.token = content_hash("apart", parent.token)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return state if state["graph"] is not None else state | {"parent": None}

    @property
    def label(self) -> str:
        """Name of what makes it."""
        return self.parent.label
