"""Connected components of an image of any size: one pass, and what is known of each component.

Blocks are labelled apart and their local labels kept in scratch; components that touch across a seam
are joined (union-find). What is counted of each local label (voxels, whether it holds a mark) is added
up over its component, so that choosing components takes no further pass over the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from chunkmed.errors import InputError
from chunkmed.graph.box import Box, regular_chunks, sides
from chunkmed.graph.costs import encoding_bytes
from chunkmed.graph.evaluate import is_lasting
from chunkmed.graph.local_labels import LabelWriter, LocalLabels
from chunkmed.graph.lookup import Lookup
from chunkmed.graph.nodes import Array, Node, Source
from chunkmed.graph.passes import make_program
from chunkmed.graph.scratch import Scratch
from chunkmed.graph.seams import Seams, Slabs
from chunkmed.graph.views import Chunks
from chunkmed.kernels.components import block_labels, block_slabs, label_sizes, marked_labels
from chunkmed.provenance import content_hash

__all__ = ["Components", "Rim", "at_rim", "find_components", "rim_of"]

#: How deep the outermost voxels of an image reach that count as marked: (low, high) side of each axis.
Rim = tuple[tuple[int, int], ...]

#: Mask (1), local labels (2, of a noisy mask 4) and the runs of a noisy mask (4).
_BYTES_PER_VOXEL = 9


@dataclass(frozen=True)
class Components:
    """All components of an image, by local label: label k of a block is place ``offset + k - 1``."""

    local: Source
    """Local labels (uint16 or int32); 0 is background."""
    chunks: Chunks
    """The blocks they were counted in."""
    offsets: Array
    """Place of each block's labels, shape of the grid of blocks."""
    scratch: Scratch
    firsts: Array
    """C-order index in the image of the first voxel of each local label."""
    roots: Array
    """Place of the local label that stands for the component: the one whose first voxel comes first."""
    sizes: Array
    """Voxels of the whole component; empty where not asked for."""
    marked: Array
    """Whether the whole component holds a mark or touches the rim; empty where not asked for."""
    token: str | None
    """Hash of what was labelled and how, where it names the same in another call."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes of the image."""
        return self.local.shape

    def times(self, axis: int | None) -> Array:
        """Return the index of each local label along an axis along which nothing connects."""
        if axis is None:
            return np.zeros(len(self.firsts), np.int64)
        return np.asarray(np.unravel_index(self.firsts, self.shape)[axis])

    def look_up(self, values: Array, what: str) -> Lookup:
        """Return an image of one value per local label; background is 0.

        Parameters
        ----------
        values : ndarray, shape (n,)
            One per local label.
        what : str
            What the values are, with all settings: part of the token.
        """
        table = np.concatenate([np.zeros(1, values.dtype), values])
        token = None if self.token is None else content_hash("components", self.token, what, str(table.dtype))
        return Lookup(self.local, self.chunks, self.offsets, table, self.scratch, token)


def rim_of(offsets: Array, counts: bool = True) -> Rim:
    """Return which voxels have a neighbour outside of the image, for neighbours at ``offsets`` (n, ndim)."""
    if not counts:
        return tuple((0, 0) for _ in range(offsets.shape[1]))
    low, high = offsets.min(axis=0, initial=0), offsets.max(axis=0, initial=0)
    return tuple((-int(a), int(b)) for a, b in zip(low, high, strict=True))


@dataclass(frozen=True)
class _Part:
    """What a block tells of its labels."""

    firsts: Array
    slabs: Slabs
    wide: bool
    sizes: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    marked: Array = field(default_factory=lambda: np.zeros(0, bool))


@dataclass(frozen=True)
class _LabelBlock:
    """Task: label one block, keep the labels in scratch, return what the seams need."""

    writer: LabelWriter
    structure: Array
    shape: tuple[int, ...]
    sized: bool
    rim: Rim | None

    def __call__(self, box: Box, arrays: Sequence[Array]) -> _Part:
        # Of one dtype: a comparison of bool with a Python number goes through int64.
        mask = np.ascontiguousarray(arrays[0] != arrays[0].dtype.type(0))
        labels, firsts = block_labels(mask, self.structure, narrow=True)
        wide = self.writer.write(box, labels)
        more = {}
        if self.sized:
            more["sizes"] = label_sizes(labels, len(firsts))
        if self.rim is not None:
            marks = arrays[1] if len(arrays) > 1 else None
            more["marked"] = self._marked(box, labels, len(firsts), marks)
        index = np.unravel_index(firsts, labels.shape)
        place = tuple(i + start for i, (start, _) in zip(index, box, strict=True))
        slabs = block_slabs(labels, self.structure)
        return _Part(np.ravel_multi_index(place, self.shape), slabs, wide, **more)

    def _marked(self, box: Box, labels: Array, count: int, marks: Array | None) -> Array:
        out = np.zeros(count + 1, bool)
        for part in at_rim(box, self.shape, self.rim or ()):
            out[labels[part]] = True
        if marks is not None:
            marked_labels(labels, np.broadcast_to(marks, sides(box)) != 0, out)
        return out[1:]


def at_rim(box: Box, shape: Sequence[int], rim: Rim) -> list[tuple[slice, ...]]:
    """Return the parts of a block that lie at the rim of the image."""
    parts = []
    for axis, ((start, stop), n, (low, high)) in enumerate(zip(box, shape, rim, strict=True)):
        before = [slice(None)] * axis
        if start < low:
            parts.append((*before, slice(0, low - start)))
        if stop > n - high:
            parts.append((*before, slice(max(0, n - high - start), None)))
    return parts


def find_components(
    mask: Node,
    structure: Array,
    *,
    marks: Node | None = None,
    rim: Rim | None = None,
    sized: bool = False,
    name: str = "labelling",
) -> Components:
    """Label the connected components of an image, in one pass.

    Parameters
    ----------
    mask : Node
        Non-zero voxels are objects.
    structure : ndarray of bool
        What counts as connected: 3 per axis, centrosymmetric.
    marks : Node, optional
        Non-zero voxels mark the component that they lie in.
    rim : Rim, optional
        Components that reach so near to the border of the image are marked too.
    sized : bool
        Whether to count voxels.
    name : str
        What the progress bar says.

    Raises
    ------
    InputError
        If there is no voxel.
    """
    shape = mask.shape
    if 0 in shape:
        raise InputError("an empty image", kind="empty-image", why=f"shape {shape}")
    nodes = (mask,) if marks is None else (mask, marks)
    local = LocalLabels(shape)
    scratch = local.scratch
    program = make_program(
        nodes,
        unit=tuple(min(n, s) for n, s in zip(shape, scratch.layout.shard, strict=True)),
        sink_bytes=_BYTES_PER_VOXEL + len(nodes) - 1,
        sink_fixed_bytes=encoding_bytes(scratch.layout.shard, 4),
    )
    chunks = regular_chunks(shape, program.plan.block)
    seams, parts, wide = Seams(structure, chunks), [], []
    marking = rim if rim is not None or marks is None else ((0, 0),) * len(shape)
    task = _LabelBlock(local.writer, structure, shape, sized, marking)
    for _, part in program.run(task, name=name):
        seams.add(part.firsts, part.slabs)
        parts.append((part.sizes, part.marked))
        wide.append(part.wide)
    firsts, roots = seams.joined()
    token = content_hash([node.token for node in nodes], structure.tolist(), marking)
    return Components(
        local.source(chunks, np.reshape(wide, seams.blocks)),
        chunks,
        seams.offsets,
        scratch,
        firsts,
        roots,
        _summed([sizes for sizes, _ in parts], roots) if sized else np.zeros(0, np.int64),
        _any([marked for _, marked in parts], roots) if marking is not None else np.zeros(0, bool),
        token if is_lasting(nodes) else None,
    )


def _summed(parts: Sequence[Array], roots: Array) -> Array:
    """Return what all local labels of a component sum up to, for each of them."""
    total = np.zeros(len(roots), np.int64)
    np.add.at(total, roots, np.concatenate([*parts, np.zeros(0, np.int64)]))
    return total[roots]


def _any(parts: Sequence[Array], roots: Array) -> Array:
    """Return whether any local label of a component is marked, for each of them."""
    found = np.zeros(len(roots), bool)
    found[roots[np.concatenate([*parts, np.zeros(0, bool)])]] = True
    return found[roots]
