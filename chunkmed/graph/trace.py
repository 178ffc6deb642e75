"""From a dask array back to its node, by an allow-list.

Traced: chunkmed's own layers; the elementwise functions of :data:`ELEMENTWISE` with identity or
broadcast indices; slices of step one, integers, new axes and transposes; rechunking; small NumPy
arrays; mean, variance, standard deviation, sum, lowest and highest along one axis or to a few numbers.
Everything else is an :class:`~chunkmed.graph.nodes.Opaque` source on its original blocks: never an
arbitrary ``Blockwise``, because ``map_blocks(b - b.mean())`` would be silently wrong when re-blocked.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import dask.array as da
import numpy as np
from dask._task_spec import Alias, TaskRef
from dask.array import chunk as dask_chunk
from dask.array import reductions
from dask.array.core import _enforce_dtype
from dask.blockwise import Blockwise, blockwise_token

from chunkmed.graph.box import whole
from chunkmed.graph.constant import ArrayReader, Constant
from chunkmed.graph.nodes import Call, Crop, Node, Opaque, Pointwise, Source
from chunkmed.graph.reductions import axis_reduction, is_countable, known_reduction, number_reduction
from chunkmed.graph.totals import MOST_NUMBERS, rows_of
from chunkmed.graph.views import BlocksLayer, Chunks

__all__ = ["ELEMENTWISE", "ArrayReader", "is_elementwise", "node_of", "trace"]

_OPERATORS = (
    "abs add and_ eq floordiv ge gt inv invert le lshift lt mod mul ne neg or_ pos pow rshift sub truediv xor"
)
#: Functions other than NumPy's ufuncs whose result at a voxel depends on that voxel only.
ELEMENTWISE: tuple[Any, ...] = (
    *(getattr(operator, name) for name in _OPERATORS.split()),
    np.where,
    np.clip,
    np.round,
    np.real,
    np.imag,
    np.isclose,
    np.nan_to_num,
    dask_chunk.astype,
    # What dask's std puts behind its variance.
    *filter(None, [getattr(reductions, "_sqrt", None)]),
)
#: A NumPy operand up to this size is carried in the node; larger ones stay dask's.
CONSTANT_BYTES = 1 << 20


@dataclass(frozen=True)
class Traced:
    """A node and, where they are known, the blocks of the dask array it came from."""

    node: Node
    chunks: Chunks | None


class _UnknownBlocksError(Exception):
    """The blocks of an opaque array deeper down are not known: stop one layer higher."""


def node_of(array: Any) -> Node:
    """Return the node of a dask or NumPy array."""
    return trace(array) if isinstance(array, da.Array) else Source(ArrayReader(np.asarray(array)))


def trace(array: Any) -> Node:
    """Return the node of a dask array: traced as far as the allow-list reaches, else opaque."""
    tracer = _Tracer(array.dask, {array.name: array.dtype})
    try:
        node = tracer.visit(array.name, array.chunks).node
    except _UnknownBlocksError:
        node = Opaque(array.name, array.dask, array.chunks, array.dtype)
    if node.shape == array.shape:
        return node
    # A chain whose every operand was broadcast: give it the shape dask knows.
    return Opaque(array.name, array.dask, array.chunks, array.dtype)


def is_elementwise(function: Any) -> bool:
    """Whether a function is on the allow-list."""
    if isinstance(function, np.ufunc):
        # matmul and its kin are ufuncs too, but with a signature: they see whole axes.
        return function.signature is None
    return any(function is known for known in ELEMENTWISE)


class _Tracer:
    def __init__(self, graph: Any, dtypes: dict[str, Any]) -> None:
        self.graph, self.dtypes = graph, dtypes
        self.known: dict[str, Traced] = {}

    def visit(self, name: str, hint: Chunks | None) -> Traced:
        """Return the traced array ``name``; ``hint`` are its blocks as far as they are known."""
        if name not in self.known:
            self.known[name] = self._visit(name, hint)
        return self.known[name]

    def _visit(self, name: str, hint: Chunks | None) -> Traced:
        layer = self.graph.layers.get(name)
        if isinstance(layer, BlocksLayer):
            return Traced(layer.node, layer.chunks)
        attempts = (
            self._elementwise,
            self._filled,
            self._constant,
            self._rechunked,
            self._sliced,
            self._transposed,
            self._reduced,
        )
        for attempt in attempts:
            try:
                found = attempt(name, layer, hint)
            except _UnknownBlocksError:
                found = None
            if found is not None:
                return found
        return self._opaque(name, hint)

    def _same_values(self, name: str, below: str, hint: Chunks | None) -> Traced:
        """Visit what ``name`` takes values from as they are: its dtype is that of ``name``."""
        if name in self.dtypes:
            self.dtypes.setdefault(below, self.dtypes[name])
        return self.visit(below, hint)

    def _opaque(self, name: str, hint: Chunks | None) -> Traced:
        if hint is None or name not in self.graph.layers:
            raise _UnknownBlocksError(name)
        return Traced(Opaque(name, self._below(name), hint, self.dtypes.get(name)), hint)

    def _below(self, name: str) -> Any:
        """Return the part of the graph that an opaque array needs."""
        from dask.highlevelgraph import HighLevelGraph

        wanted, stack = set(), [name]
        while stack:
            current = stack.pop()
            if current not in wanted:
                wanted.add(current)
                stack.extend(self.graph.dependencies[current])
        layers = {key: self.graph.layers[key] for key in wanted}
        return HighLevelGraph(layers, {key: self.graph.dependencies[key] for key in wanted})

    def _elementwise(self, name: str, layer: Any, hint: Chunks | None) -> Traced | None:
        call_parts = _elementwise_call(layer)
        if call_parts is None:
            return None
        call, dtype = call_parts
        blocks = layer.numblocks
        operands: list[Any] = []
        known: list[Traced] = []
        for operand, indices in layer.indices:
            if indices is None:
                operands.append(operand)
                continue
            below = self.visit(operand, _aligned(hint, blocks[operand], len(layer.output_indices)))
            operands.append(below.node)
            known.append(below)
        shape = np.broadcast_shapes(*(item.node.shape for item in known))
        dtype = dtype or self.dtypes.get(name) or _result_dtype(call, operands)
        # Operands of the result's shape are cut into the result's blocks.
        same = (item.chunks for item in known if item.node.shape == shape and item.chunks is not None)
        out = hint if hint is not None else next(same, None)
        return Traced(Pointwise(call, operands, shape, dtype), out)

    def _filled(self, name: str, layer: Any, hint: Chunks | None) -> Traced | None:
        found = _filling(layer)
        return None if found is None else Traced(*found)

    def _constant(self, name: str, layer: Any, hint: Chunks | None) -> Traced | None:
        if not name.startswith("array-") or self.graph.dependencies[name] or len(layer) != 1:
            return None
        (value,) = layer.values()
        value = getattr(value, "value", value)
        if not isinstance(value, np.ndarray) or value.nbytes > CONSTANT_BYTES:
            return None
        return Traced(Source(ArrayReader(value)), tuple((n,) for n in value.shape))

    def _rechunked(self, name: str, layer: Any, hint: Chunks | None) -> Traced | None:
        # A function of the user's may have the name, but its layer is a Blockwise.
        if not name.startswith("rechunk-") or layer is None or isinstance(layer, Blockwise):
            return None
        below = self._same_values(name, _single(self.graph.dependencies[name]), None)
        return Traced(below.node, hint)

    def _sliced(self, name: str, layer: Any, hint: Chunks | None) -> Traced | None:
        if not name.startswith("getitem-") or layer is None or isinstance(layer, Blockwise):
            return None
        below = self._same_values(name, _single(self.graph.dependencies[name]), None)
        if below.chunks is None:
            return None
        crop = _crop(below, layer)
        return None if crop is None else Traced(*crop)

    def _transposed(self, name: str, layer: Any, hint: Chunks | None) -> Traced | None:
        if not isinstance(layer, Blockwise) or layer.task.func is not np.transpose or len(layer.indices) != 1:
            return None
        (source, indices), axes = layer.indices[0], dict(layer.task.kwargs).get("axes")
        if not isinstance(source, str) or indices is None or not isinstance(axes, tuple):
            return None
        if tuple(indices[axis] for axis in axes) != tuple(layer.output_indices):
            return None
        order = range(len(axes))
        below = self._same_values(name, source, hint and tuple(hint[axes.index(axis)] for axis in order))
        chunks = below.chunks and tuple(below.chunks[axis] for axis in axes)
        return Traced(Crop(below.node, whole(below.node.shape), axes), chunks)

    def _reduced(self, name: str, layer: Any, hint: Chunks | None) -> Traced | None:
        found = known_reduction(self.graph, name)
        if found is None:
            return None
        below = self.visit(found.source, None)
        if below.chunks is None or not is_countable(below.node, found):
            return None
        kept = ((1,),) if found.keepdims else ()
        chunks: Chunks = ()
        for axis, sizes in enumerate(below.chunks):
            chunks += kept if axis in found.axes else (sizes,)
        if len(found.axes) == 1 and len(below.chunks) > 1:
            return Traced(axis_reduction(below.node, found), chunks)
        if rows_of(below.node.shape, found.axes) > MOST_NUMBERS:
            return None
        opaque = Opaque(name, self._below(name), chunks, None)
        return Traced(number_reduction(below.node, found, opaque), chunks)


def _single(names: set[str]) -> str:
    if len(names) != 1:
        raise _UnknownBlocksError(str(names))
    return next(iter(names))


def _elementwise_call(layer: Any) -> tuple[Call, Any] | None:
    """Return the function of an allowed elementwise layer, and its dtype where dask enforces one."""
    if not isinstance(layer, Blockwise) or layer.new_axes or layer.concatenate or layer.io_deps:
        return None
    task, dtype = layer.task, None
    function, settings = task.func, dict(task.kwargs)
    if function is _enforce_dtype:
        dtype, function = settings.pop("enforce_dtype"), settings.pop("enforce_dtype_function")
    places = tuple(TaskRef(blockwise_token(i)) for i in range(len(layer.indices)))
    plain = not any(isinstance(value, TaskRef) for value in settings.values())
    if task.args != places or not plain or not is_elementwise(function):
        return None
    if not all(_broadcasts(indices, layer.output_indices) for _, indices in layer.indices):
        return None
    return Call(function, settings), dtype


def _filling(layer: Any) -> tuple[Constant, Chunks] | None:
    """Return what ``da.zeros_like`` and its kin make, and its blocks: xarray puts it for NaN."""
    if not isinstance(layer, Blockwise) or len(layer.io_deps) != 1 or layer.output.startswith("empty"):
        return None
    chunks = getattr(next(iter(layer.io_deps.values())), "chunks", None)
    maker = layer.task.func
    while hasattr(maker, "func"):
        maker = maker.func
    # It makes one number and broadcasts it, whatever the shape.
    known = getattr(maker, "__name__", "") == "_broadcast_trick_inner" and maker.__module__.startswith(
        "dask."
    )
    if chunks is None or not known:
        return None
    value = layer.task.func((1,) * len(chunks)).reshape(())
    return Constant(tuple(sum(sizes) for sizes in chunks), value), chunks


def _broadcasts(indices: Any, output: tuple[Any, ...]) -> bool:
    """Whether an operand's axes are the output's last axes, in order."""
    return indices is None or tuple(indices) == tuple(output[len(output) - len(indices) :])


def _aligned(hint: Chunks | None, numblocks: tuple[int, ...], ndim: int) -> Chunks | None:
    """Return the blocks of an operand from those of the result."""
    if hint is None:
        return None
    last = hint[ndim - len(numblocks) :]
    pairs = zip(last, numblocks, strict=True)
    return tuple(sizes if len(sizes) == count else (1,) for sizes, count in pairs)


def _result_dtype(call: Call, operands: list[Any]) -> Any:
    if not all(item.dtype_known for item in operands if isinstance(item, Node)):
        return None
    samples = [np.ones((1,) * len(i.shape), i.dtype) if isinstance(i, Node) else i for i in operands]
    with np.errstate(all="ignore"):
        return np.asarray(call(*samples)).dtype


def _crop(below: Traced, layer: Mapping[Any, Any]) -> tuple[Crop, Chunks] | None:
    """Rebuild box and blocks of a slicing layer from its tasks; None where they are not one box."""
    starts = [np.concatenate([[0], np.cumsum(sizes)]) for sizes in below.chunks or ()]
    spans: list[list[tuple[int, int]]] = [[] for _ in starts]
    axes: tuple[int | None, ...] | None = None
    sizes: list[dict[int, int]] = []
    for key, task in layer.items():
        pieces = _task_pieces(task, starts)
        if pieces is None or (axes is not None and pieces[1] != axes):
            return None
        axes = pieces[1]
        sizes = sizes or [{} for _ in axes]
        for axis, index, known in zip(axes, key[1:], sizes, strict=True):
            known[index] = 1 if axis is None else pieces[0][axis][1] - pieces[0][axis][0]
        for found, span in zip(spans, pieces[0], strict=True):
            found.append(span)
    box = [_joined(found) for found in spans]
    if axes is None or any(span is None for span in box):
        return None
    crop = Crop(below.node, tuple(span for span in box if span is not None), axes)
    return crop, tuple(tuple(known[i] for i in range(len(known))) for known in sizes)


def _task_pieces(task: Any, starts: Any) -> tuple[list[tuple[int, int]], tuple[int | None, ...]] | None:
    """Return what one getitem task takes, in indices of the whole array."""
    if isinstance(task, Alias):
        # dask passes a block on as it is where the slice takes all of it.
        block = cast("tuple[Any, ...]", task.target)[1:]
        whole_block = [(int(s[i]), int(s[i + 1])) for s, i in zip(starts, block, strict=True)]
        return whole_block, tuple(range(len(block)))
    if getattr(task, "func", None) not in (operator.getitem, dask_chunk.getitem):
        return None
    source, index = task.args
    if not isinstance(source, TaskRef) or not isinstance(index, tuple):
        return None
    block = cast("tuple[Any, ...]", source.key)[1:]
    spans: list[tuple[int, int]] = []
    axes: list[int | None] = []
    for item in index:
        if item is None:
            axes.append(None)
            continue
        axis = len(spans)
        first, stop = int(starts[axis][block[axis]]), int(starts[axis][block[axis] + 1])
        if isinstance(item, slice):
            if item.step not in (None, 1):
                return None
            low, high, _ = item.indices(stop - first)
            spans.append((first + low, first + high))
            axes.append(axis)
        elif isinstance(item, int | np.integer):
            at = first + int(item) % (stop - first)
            spans.append((at, at + 1))
        else:
            return None
    return (spans, tuple(axes)) if len(spans) == len(block) else None


def _joined(spans: list[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the range that the distinct pieces fill without a hole, None otherwise."""
    ordered = sorted(set(spans))
    for (_, stop), (start, _) in itertools.pairwise(ordered):
        if stop != start:
            return None
    return ordered[0][0], ordered[-1][1]
