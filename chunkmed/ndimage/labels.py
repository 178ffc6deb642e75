"""Label connected components of any chunking with exactly scipy.ndimage.label's numbers.

Blocks are labelled apart and their local labels kept in scratch; components that touch across a
seam are joined (union-find), and a component's number is the rank of its first voxel in C order,
which is what scipy's scan gives. Labels are then looked up when they are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage
import xarray as xr

from chunkmed.errors import InputError
from chunkmed.graph.box import Box, regular_chunks
from chunkmed.graph.costs import encoding_bytes
from chunkmed.graph.evaluate import is_lasting
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.lookup import Lookup
from chunkmed.graph.nodes import Array
from chunkmed.graph.passes import make_program
from chunkmed.graph.scratch import Scratch
from chunkmed.kernels.components import block_labels, block_slabs, merge, neighbours, seam_pairs
from chunkmed.provenance import content_hash
from chunkmed.store import ArrayWriter, Layout

__all__ = ["label"]

#: Mask (1) and local labels (4).
_BYTES_PER_VOXEL = 5


def label(
    input: Any,  # noqa: A002
    structure: Any = None,
    output: Any = None,
    *,
    axes: Any = None,
) -> Any:
    """Label connected objects, as :func:`scipy.ndimage.label`.

    The objects are counted at once, in one pass over the image; the labels are lazy.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        Non-zero voxels are objects. A DataArray with a time dimension is labelled per time point,
        numbers restarting at 1.
    structure : array_like, optional
        What counts as connected: 3 per axis, centrosymmetric; faces by default.
    output : dtype, optional
        int32 by default.
    axes : tuple of int or str, optional
        Axes to connect along: ``("t", "z", "y", "x")`` links objects through time.

    Returns
    -------
    labels : same type as input
        0 is background.
    num_features : int or xarray.DataArray
        Number of objects, per time point where there are several.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> mask = da.from_array(np.array([1, 1, 0, 1, 1]) > 0, chunks=1)
    >>> labels, n = ndi.label(mask)
    >>> labels.compute().tolist(), n
    ([1, 1, 0, 2, 2], 2)
    """
    if not is_lazy(input):
        if axes is not None:
            raise InputError("axes of a NumPy array", kind="bad-axis", fix="give an xarray.DataArray")
        return scipy.ndimage.label(input, structure, output)
    image = lift(input).one_channel()
    along = image.axes(axes)
    connected = _embedded(structure, along, len(image.node.shape))
    apart = image.time_axis if image.time_axis is not None and image.time_axis not in along else None
    node, counts = _label_node(image, connected, apart, output)
    return image.lower(node, name="labels"), _counted(image, counts, apart)


def _embedded(structure: Any, along: Sequence[int], ndim: int) -> Array:
    """Return the structure over all axes of the image; axes not in ``along`` never connect."""
    if structure is None:
        structure = scipy.ndimage.generate_binary_structure(len(along), 1)
    small = np.asarray(structure, dtype=bool)
    if small.ndim != len(along):
        raise RuntimeError("structure and input must have equal rank")
    if any(n != 3 for n in small.shape):
        raise ValueError(f"structure dimensions must be equal to 3, got {small.shape}")
    if not np.array_equal(small, small[(slice(None, None, -1),) * small.ndim]):
        raise ValueError("structuring element is not symmetric")
    full = np.zeros((3,) * ndim, dtype=bool)
    order = np.argsort(along)
    cut = tuple(slice(None) if axis in along else 1 for axis in range(ndim))
    full[cut] = small.transpose(order)
    return full


@dataclass(frozen=True)
class _LabelBlock:
    """Task: label one block, keep the labels in scratch, return what the seams need."""

    writer: ArrayWriter
    structure: Array
    shape: tuple[int, ...]

    def __call__(self, box: Box, arrays: Sequence[Array]) -> tuple[Array, dict[tuple[int, int], Array]]:
        mask = np.ascontiguousarray(arrays[0] != 0)
        labels, firsts = block_labels(mask, self.structure)
        self.writer.write(box, labels)
        index = np.unravel_index(firsts, labels.shape)
        corner = [start for start, _ in box]
        place = tuple(i + c for i, c in zip(index, corner, strict=True))
        return np.ravel_multi_index(place, self.shape), block_slabs(labels, self.structure)


def _label_node(image: Lifted, structure: Array, apart: int | None, output: Any) -> tuple[Lookup, Array]:
    shape = image.node.shape
    if 0 in shape:
        raise InputError("an empty image", kind="empty-image", why=f"shape {shape}")
    scratch = Scratch(shape, np.int32)
    program = make_program(
        [image.node],
        unit=_common(scratch.layout, image),
        sink_bytes=_BYTES_PER_VOXEL,
        sink_fixed_bytes=encoding_bytes(scratch.layout.shard, 4),
    )
    chunks = regular_chunks(shape, program.plan.block)
    seams = _Seams(structure, chunks)
    task = _LabelBlock(scratch.writer, structure, shape)
    for _, (firsts, slabs) in program.run(task, name="labelling"):
        seams.add(firsts, slabs)
    numbers, counts = _numbers(seams, shape, apart)
    table = numbers.astype(_label_dtype(output, counts))
    token = content_hash("labels", image.node.token, structure.tolist(), apart, str(table.dtype))
    known = token if is_lasting([image.node]) else None
    node = Lookup(scratch.source(), chunks, seams.offsets, table, scratch, known)
    return node, counts


def _common(layout: Layout, image: Lifted) -> tuple[int, ...]:
    """Return the shard of the scratch array: blocks own whole shards of it."""
    return tuple(min(n, s) for n, s in zip(image.node.shape, layout.shard, strict=True))


class _Seams:
    """Joins blocks as they arrive in C order; keeps only slabs that a later block may touch."""

    def __init__(self, structure: Array, chunks: Sequence[Sequence[int]]) -> None:
        self.structure, self.steps = structure, neighbours(structure)
        self.blocks = tuple(len(sizes) for sizes in chunks)
        self.offsets = np.zeros(self.blocks, np.int64)
        self.firsts: list[Array] = []
        self.pairs: list[Array] = []
        self._slabs: dict[int, dict[tuple[int, int], Array]] = {}
        self._arrived, self._labels = 0, 0
        strides = [int(np.prod(self.blocks[axis + 1 :])) for axis in range(len(self.blocks))]
        back = [-sum(s * stride for s, stride in zip(step, strides, strict=True)) for step in self.steps]
        self._reach = max(back, default=0)

    def add(self, firsts: Array, slabs: dict[tuple[int, int], Array]) -> None:
        """Take the next block."""
        index = tuple(int(i) for i in np.unravel_index(self._arrived, self.blocks))
        self.offsets[index] = self._labels
        for step in self.steps:
            self._join(index, slabs, step)
        self._slabs[self._arrived] = slabs
        self._slabs.pop(self._arrived - self._reach, None)
        self.firsts.append(firsts)
        self._labels += len(firsts)
        self._arrived += 1

    def _join(self, index: tuple[int, ...], slabs: dict[tuple[int, int], Array], step: Sequence[int]) -> None:
        other = tuple(i + s for i, s in zip(index, step, strict=True))
        if any(not 0 <= i < n for i, n in zip(other, self.blocks, strict=True)):
            return
        place = int(np.ravel_multi_index(other, self.blocks))
        pairs = seam_pairs(slabs, self._slabs[place], tuple(step), self.structure).astype(np.int64)
        # Local labels count from 1, places in the table of all labels from 0.
        pairs += [self._labels - 1, int(self.offsets[other]) - 1]
        self.pairs.append(pairs)


def _numbers(seams: _Seams, shape: Sequence[int], apart: int | None) -> tuple[Array, Array]:
    """Return the final number of each local label (entry 0: background) and the counts per time."""
    firsts = np.concatenate(seams.firsts) if seams.firsts else np.zeros(0, np.int64)
    pairs = np.concatenate(seams.pairs) if seams.pairs else np.zeros((0, 2), np.int64)
    roots = merge(firsts, pairs)
    own = np.flatnonzero(roots == np.arange(len(roots)))
    times = np.zeros(len(own), np.int64) if apart is None else np.unravel_index(firsts[own], shape)[apart]
    order = np.lexsort((firsts[own], times))
    counts = np.bincount(times, minlength=1 if apart is None else shape[apart])
    starts = np.concatenate([[0], np.cumsum(counts)])[:-1]
    rank = np.zeros(len(roots), np.int64)
    rank[own[order]] = np.arange(len(own)) - np.repeat(starts, counts) + 1
    return np.concatenate([[0], rank[roots]]), counts


def _label_dtype(output: Any, counts: Array) -> np.dtype[Any]:
    most = int(counts.max(initial=0))
    if output is None:
        return np.dtype(np.int32 if most < 2**31 - 1 else np.int64)
    dtype: np.dtype[Any] = np.dtype(output)
    if dtype.kind in "iu" and most > np.iinfo(dtype).max:
        raise RuntimeError(f"insufficient bit-depth in requested output type: {most} labels")
    return dtype


def _counted(image: Lifted, counts: Array, apart: int | None) -> Any:
    if apart is None:
        return int(counts[0])
    dim = image.image.dims[apart]
    coords = {dim: image.image.coords[dim]} if dim in image.image.coords else None
    return xr.DataArray(counts, dims=[dim], coords=coords, name="num_features")
