"""A coarser level of an image as a node: each voxel stands for a window of the level above."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from chunkmed.graph.box import Box, sides, within
from chunkmed.graph.nodes import Array, Fetch, Node
from chunkmed.provenance import content_hash

__all__ = ["Shrink", "Shrunk"]

Factors = tuple[int, int, int]
#: Slices of the level above that are held at once.
_SLAB = 32


@dataclass(frozen=True)
class Shrink:
    """How a coarser level is made from a finer one: means, or the most frequent label.

    Parameters
    ----------
    labels : bool
        Whether values are labels.
    padding : float, optional
        Value of voxels that are left out of means.
    limit : float, optional
        Other end of the range of such values; they become ``padding``.
    """

    labels: bool
    padding: float | None
    limit: float | None = None

    def __call__(self, values: Array, factors: Factors) -> Array:
        """Return the windows of an array (..., z, y, x) as single voxels."""
        if factors == (1, 1, 1):
            return values
        frames = values.reshape(-1, *values.shape[-3:])
        out = self._frames(frames, factors)
        return out.reshape(*values.shape[:-3], *out.shape[1:])

    def _frames(self, values: Array, factors: Factors) -> Array:
        # Here, for numba takes a second to import and most images have no coarser level.
        from chunkmed.kernels.shrink import shrink_mean, shrink_mode

        if self.labels:
            return shrink_mode(values, factors)
        values, padding = self._marked(values)
        return shrink_mean(values, factors, padding)

    def _marked(self, values: Array) -> tuple[Array, float | None]:
        """Return the values with one value for all padding, and that value."""
        if self.padding is None or self.limit is None:
            return values, self.padding
        # One end of the range may lie outside of what the values can be.
        ends = [end for end in (self.padding, self.limit) if np.array(end).astype(values.dtype) == end]
        if not ends:
            return values, None
        low, high = sorted((self.padding, self.limit))
        inside = (values >= low) & (values <= high)
        return np.where(inside, values.dtype.type(ends[0]), values), ends[0]


class Shrunk(Node):
    """An image (..., z, y, x) in larger voxels, made slab by slab."""

    def __init__(self, parent: Node, factors: Factors, shrink: Callable[[Array, Factors], Array]) -> None:
        self.inputs, self.factors, self.shrink = (parent,), factors, shrink
        self._all = (*(1,) * (len(parent.shape) - 3), *factors)
        self.shape = tuple(-(-n // f) for n, f in zip(parent.shape, self._all, strict=True))
        self.dtype = parent.dtype
        self.token = content_hash("shrunk", parent.token, factors, repr(shrink))

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return None: the level above is fetched slab by slab."""
        return (None,)

    def reach(self, box: Box) -> tuple[Box, ...]:
        """Return the box of the level above."""
        spans = zip(box, self._all, self.inputs[0].shape, strict=True)
        return (tuple((a * f, min(b * f, n)) for (a, b), f, n in spans),)

    def piece(self, box: Box) -> tuple[Box, ...]:
        """Return the box of one slab."""
        return self.reach(self._slab(box, box[-3][0]))

    def _slab(self, box: Box, start: int) -> Box:
        *leading, (_, stop), y, x = box
        return *leading, (start, min(start + _SLAB // self.factors[0], stop)), y, x

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Shrink slab after slab."""
        out = np.empty(sides(box), self.dtype)
        for start in range(*box[-3], _SLAB // self.factors[0]):
            slab = self._slab(box, start)
            (above,) = self.reach(slab)
            out[within(slab, box)] = self.shrink(fetch(self.inputs[0], above), self.factors)
        return out

    @property
    def label(self) -> str:
        """What it does."""
        return f"shrink by {' x '.join(map(str, self.factors))}"
