"""A place in a chain where values are kept: written once, read by everything that comes after."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from chunkmed.graph.box import Box
from chunkmed.graph.evaluate import is_lasting
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Fetch, Node, Source
from chunkmed.graph.scratch import Scratch
from chunkmed.provenance import content_hash

__all__ = ["Checkpoint", "checkpoint"]


class Checkpoint(Node):
    """The values of another node, computed once by the first sink that needs them.

    Until then it passes them on. It keeps its token when its input becomes the array on disk.
    """

    def __init__(self, parent: Node) -> None:
        self.inputs, self.shape, self.dtype = (parent,), parent.shape, parent.dtype
        self.dtype_known = parent.dtype_known
        # A new one where dask made a part: that is no longer to be seen once the values are kept.
        self.token = content_hash("checkpoint", parent.token if is_lasting([parent]) else uuid.uuid4().hex)
        self._scratch: Scratch | None = None

    @property
    def is_kept(self) -> bool:
        """Whether the values are on disk."""
        return isinstance(self.inputs[0], Source)

    def keep(self, source: Source, scratch: Scratch) -> None:
        """Read from disk from now on; the folder lives as long as this node."""
        self.inputs, self._scratch = (source,), scratch

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the same box."""
        return (box,)

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Pass the values on."""
        return arrays[0]

    @property
    def label(self) -> str:
        """What it is."""
        return "checkpoint"


def checkpoint(image: Any) -> Any:
    """Mark a lazy image that several results need: it is computed once and kept on disk.

    The first ``save``, ``measure``, ``label`` or number that needs the image writes it, block by
    block and in bounded memory, below ``CHUNKMED_SCRATCH`` or the temporary folder;
    everything after reads it from there. The folder goes with the image.

    Parameters
    ----------
    image : xarray.DataArray, dask.array.Array or array_like
        Any lazy image; what is in memory is returned as it is.

    Returns
    -------
    same type as image
        The same values, lazily.

    Examples
    --------
    >>> import dask.array as da, chunkmed as cm, chunkmed.ndimage as ndi
    >>> mask = cm.checkpoint(ndi.gaussian_filter(da.eye(64, chunks=32), 1) > 0.1)
    >>> labels, n = ndi.label(mask)
    >>> n
    1
    """
    lifted = lift(image)
    known = isinstance(lifted.node, Checkpoint | Source)
    return image if known or lifted.in_memory else lifted.lower(Checkpoint(lifted.node))
