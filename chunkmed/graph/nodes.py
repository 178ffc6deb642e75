"""The vocabulary of the engine: what an image is made of, before anything is read.

``node.request(box)`` says which box of each input a box of the node needs; ``node.compute`` makes
the box from the inputs' arrays. Nodes are immutable and carry a content token: two nodes with one
token hold the same values.
"""

from __future__ import annotations

import math
import pickle
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import cloudpickle
import numpy as np
import numpy.typing as npt
from dask.tokenize import tokenize

from chunkmed.graph.box import Box, box_size, grow, take, whole, within
from chunkmed.provenance import content_hash, versions
from chunkmed.reused import empty, is_throughout

__all__ = [
    "Array",
    "Call",
    "Crop",
    "Fetch",
    "Node",
    "Opaque",
    "Pointwise",
    "Reader",
    "Shared",
    "Source",
    "Stencil",
]

Array = npt.NDArray[Any]
Fetch = Callable[["Node", Box], Array]


class Reader(Protocol):
    """What a :class:`Source` reads from: a stored image, a DICOM stack, an array in memory.

    A reader may say that what it gives is ``fresh``, made for who asks and nobody else, and that it
    ``reuses`` memory: it takes large arrays from :mod:`chunkmed.reused` only.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""

    @property
    def token(self) -> str:
        """Hash of the content."""

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of the smallest piece that is read at once."""

    def read(self, box: Box) -> Array:
        """Return the values of a box."""


@dataclass(frozen=True, eq=False)
class Call:
    """A function by name with its settings: what a task runs, and part of its token."""

    function: Callable[..., Any]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *arrays: Any, **more: Any) -> Any:
        """Apply the function to arrays, with the settings and ``more``."""
        return self.function(*arrays, **self.settings, **more)

    @property
    def name(self) -> str:
        """Module and name of the function."""
        module = getattr(self.function, "__module__", None) or "numpy"
        return f"{module}.{getattr(self.function, '__name__', self.function)}"

    @property
    def token(self) -> str:
        """Hash of the function's name, chunkmed's version and the settings."""
        # A function that its name does not lead to (a lambda, a closure) is told by its code.
        code = "" if _is_importable(self.function) else tokenize(self.function)
        return content_hash(self.name, code, versions()["chunkmed"], tokenize(dict(self.settings)))


def _is_importable(function: Any) -> bool:
    name = getattr(function, "__qualname__", getattr(function, "__name__", ""))
    module = sys.modules.get(getattr(function, "__module__", None) or "numpy")
    return getattr(module, name, None) is function


class Node(ABC):
    """A lazy array that can make any box of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    token: str
    inputs: tuple[Node, ...] = ()
    dtype_known: bool = True
    """False below an opaque array whose dtype dask does not tell; ``dtype`` is then a guess."""
    lasting: bool = True
    """Whether the token names the same values in another call; dask's names do not."""
    reuses: bool = False
    """Whether large arrays that it makes are in memory that is used again (:mod:`chunkmed.reused`)."""
    fresh: bool = False
    """Whether what it makes is nobody else's: who is the only one to take it may write into it."""
    cost_ns: float | None = None
    """Time per voxel of what the node does itself, of one core; None where its kind tells it."""

    @abstractmethod
    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the box needed of each input; None where ``compute`` fetches it by itself."""

    @abstractmethod
    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Return the values of a box from the inputs' arrays."""

    def reach(self, box: Box) -> tuple[Box, ...]:
        """Return the box of each input that is read in all, by ``compute`` itself too."""
        pairs = zip(self.inputs, self.request(box), strict=True)
        return tuple(whole(item.shape) if part is None else part for item, part in pairs)

    def piece(self, box: Box) -> tuple[Box, ...]:
        """Return the box of each input that is held at once."""
        return self.reach(box)

    def own_bytes(self, box: Box) -> int:
        """Return the memory that making a box takes beside the result and what it is made of."""
        return 0

    def natural(self, *blocks: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the blocks that suit the node, from those of its inputs."""
        # Broadcast operands say nothing about blocks.
        pairs = zip(self.inputs, blocks, strict=True)
        same = [tuple(block) for item, block in pairs if item.shape == self.shape]
        return min(same, key=math.prod, default=self.shape)

    @property
    @abstractmethod
    def label(self) -> str:
        """A few words for ``explain``."""


class Shared:
    """What all tasks of a graph share, on its way to workers: without the graphs of opaque arrays.

    It is unpacked by the task that uses it: what a worker cannot import is then that task's error, and
    not the end of the worker.
    """

    def __init__(self, value: Any) -> None:
        self._value, self._packed = value, b""

    @property
    def value(self) -> Any:
        """The shared object."""
        if packed := self._packed:
            self._value = pickle.loads(packed)  # noqa: S301 - written by the client of this graph
            self._packed = b""
        return self._value

    def __getstate__(self) -> bytes:
        if self._packed:
            return self._packed
        _travelling.light = True
        try:
            return bytes(cloudpickle.dumps(self._value))
        finally:
            _travelling.light = False

    def __setstate__(self, state: bytes) -> None:
        self._value, self._packed = None, state


_travelling = threading.local()


class Source(Node):
    """A box of an array that something can read."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.shape = tuple(int(n) for n in reader.shape)
        self.dtype = np.dtype(reader.dtype)
        self.token = content_hash("source", reader.token)
        self.fresh = bool(getattr(reader, "fresh", False))
        self.reuses = bool(getattr(reader, "reuses", False))

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return nothing: a source has no inputs."""
        return ()

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Read the box."""
        return self.reader.read(box)

    def own_bytes(self, box: Box) -> int:
        """Return the memory of a chunk: readers decode piece by piece."""
        return min(math.prod(self.reader.chunks), box_size(box)) * self.dtype.itemsize

    def natural(self, *blocks: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the chunks."""
        return tuple(self.reader.chunks)

    @property
    def label(self) -> str:
        """Name of what is read."""
        return str(getattr(self.reader, "label", f"read {type(self.reader).__name__}"))


class Opaque(Node):
    """A dask array that the engine does not look into: evaluated by dask on its own blocks.

    ``blocks`` are handed to :func:`chunkmed.graph.evaluate.evaluate` by key.
    """

    def __init__(self, name: str, graph: Any, chunks: tuple[tuple[int, ...], ...], dtype: Any) -> None:
        self.name, self.graph, self.chunks = name, graph, chunks
        self.shape = tuple(sum(sizes) for sizes in chunks)
        self.dtype_known = dtype is not None
        self.dtype = np.dtype(dtype if dtype is not None else np.float64)
        self.token = content_hash("opaque", name)
        self.lasting = False

    def __getstate__(self) -> dict[str, Any]:
        # Tasks get the blocks they need as dask dependencies, not the graph that makes them.
        return self.__dict__ | ({"graph": None} if getattr(_travelling, "light", False) else {})

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return nothing: the blocks come from dask."""
        return ()

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Never called: ``evaluate`` assembles the blocks."""
        raise AssertionError("opaque blocks are assembled by evaluate")

    def natural(self, *blocks: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the largest block."""
        return tuple(max(sizes) for sizes in self.chunks)

    @property
    def label(self) -> str:
        """Name of the dask array."""
        return f"dask {self.name.rsplit('-', 1)[0]}"


class Pointwise(Node):
    """An elementwise function of arrays and scalars that broadcast together."""

    def __init__(self, call: Call, operands: Sequence[Any], shape: Sequence[int], dtype: Any) -> None:
        self.call, self.shape, self.dtype_known = call, tuple(shape), dtype is not None
        self.dtype = np.dtype(dtype if dtype is not None else np.float64)
        self.inputs = tuple(item for item in operands if isinstance(item, Node))
        # Scalars stay where they stand among the arguments; None marks the place of an input.
        self.scalars = tuple(None if isinstance(item, Node) else (item,) for item in operands)
        parts = [item.token if isinstance(item, Node) else tokenize(item) for item in operands]
        self.token = content_hash("pointwise", call.token, parts, str(self.dtype))

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the same box of each input, one element where the input is broadcast."""
        return tuple(self._broadcast(item, box) for item in self.inputs)

    def _broadcast(self, item: Node, box: Box) -> Box:
        own = zip(item.shape, box[len(box) - len(item.shape) :], strict=True)
        return tuple((0, 1) if n == 1 else span for n, span in own)

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Apply the function."""
        return self.as_known(self.call(*self.operands(arrays)))

    def operands(self, arrays: Sequence[Array]) -> list[Any]:
        """Return the arguments of the function: arrays, and scalars where they stand among them."""
        rest = iter(arrays)
        return [next(rest) if scalar is None else scalar[0] for scalar in self.scalars]

    def as_known(self, made: Any) -> Array:
        """Return what the function gave as the dtype that is known."""
        return np.asarray(made, dtype=self.dtype if self.dtype_known else None)

    @property
    def label(self) -> str:
        """Name of the function."""
        return self.call.name.rsplit(".", 1)[-1]


class Stencil(Node):
    """A kernel that needs ``depth`` voxels around each voxel, the same of every input.

    The kernel gets the box grown by the depth and clipped at the true border, so that its own
    border mode applies exactly there; elsewhere the outer ``depth`` voxels of its result are
    dropped, by the kernel itself where it ``crops``: it is then given what to ``keep``. Axes in
    ``wrap`` continue on the other side instead of being clipped. A kernel that ``overwrites`` can put
    its result where its only input was; beside that it then takes so much, in bytes per byte of the input.
    """

    title: str = ""
    """Name for people, where several filters share a kernel."""

    def __init__(
        self,
        call: Call,
        inputs: Sequence[Node],
        depth: Sequence[int],
        dtype: Any,
        wrap: Sequence[int] = (),
        workspace: float = 1.0,
        crops: bool = False,
        overwrites: float | None = None,
        cost_ns: float = 10.0,
    ) -> None:
        self.call, self.inputs, self.depth = call, tuple(inputs), tuple(int(d) for d in depth)
        self.shape, self.dtype = self.inputs[0].shape, np.dtype(dtype)
        self.wrap, self.workspace, self.crops = tuple(wrap), workspace, crops
        self.cost_ns, self.reuses, self.overwrites = cost_ns, is_throughout(call.function), overwrites
        tokens = [item.token for item in self.inputs]
        self.token = content_hash("stencil", call.token, tokens, self.depth, self.wrap, str(self.dtype))

    def grown(self, box: Box) -> Box:
        """Return the box with its halo; it leaves the image on axes that wrap."""
        clipped = grow(box, self.depth, self.shape)
        free = tuple((a - d, b + d) for (a, b), d in zip(box, self.depth, strict=True))
        spans = zip(clipped, free, self.shape, strict=True)
        # An axis that is seen whole needs no halo: the kernel's own wrap is exact there.
        return tuple(
            out if axis in self.wrap and near != (0, n) else near for axis, (near, out, n) in enumerate(spans)
        )

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the grown box of each input, None where it wraps around."""
        grown = self.grown(box)
        wraps = any(a < 0 or b > n for (a, b), n in zip(grown, self.shape, strict=True))
        return tuple(None if wraps else grown for _ in self.inputs)

    def reach(self, box: Box) -> tuple[Box, ...]:
        """Return the grown box, the whole axis where it wraps around."""
        pairs = zip(self.grown(box), self.shape, strict=True)
        span = tuple((0, n) if a < 0 or b > n else (a, b) for (a, b), n in pairs)
        return tuple(span for _ in self.inputs)

    def piece(self, box: Box) -> tuple[Box, ...]:
        """Return the box grown by as much as is fetched, as if it were in the middle."""
        near = grow(box, self.depth, self.shape)
        return tuple(near for _ in self.inputs)

    def own_bytes(self, box: Box) -> int:
        """Return the memory that the kernel takes: at least for the halo of its result."""
        widest = max(self.dtype.itemsize, *(item.dtype.itemsize for item in self.inputs))
        grown = box_size(grow(box, self.depth, self.shape))
        return max(int(grown * widest * self.workspace), (grown - box_size(box)) * self.dtype.itemsize)

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Run the kernel on the grown box and drop the halo."""
        grown = self.grown(box)
        given = arrays or [_read_wrapped(item, grown, fetch) for item in self.inputs]
        core = within(box, grown)
        out = self.call(*given, keep=core) if self.crops else self.call(*given)[core]
        return np.asarray(out, dtype=self.dtype)

    def compute_over(self, box: Box, array: Array) -> Array:
        """Run the kernel on the grown box, in the memory of its input: only where it ``overwrites``."""
        core = within(box, self.grown(box))
        out = self.call(array, overwrite=True, **({"keep": core} if self.crops else {}))
        return np.asarray(out if self.crops else out[core], dtype=self.dtype)

    @property
    def label(self) -> str:
        """Name of the filter or the kernel, and its depth."""
        return f"{self.title or self.call.name.rsplit('.', 1)[-1]} (depth {' '.join(map(str, self.depth))})"


class Crop(Node):
    """A view of a box: slices of step one, axes taken at an index, added or in another order.

    Parameters
    ----------
    parent : Node
        What is cut.
    spans : box
        Range of each axis of the parent.
    axes : sequence of int or None
        Which axis of the parent each own axis shows; None adds an axis of size one. Axes of the
        parent that are not named are dropped (their span has size one).
    """

    def __init__(self, parent: Node, spans: Box, axes: Sequence[int | None]) -> None:
        self.inputs, self.spans, self.axes = (parent,), spans, tuple(axes)
        self.shape = tuple(1 if a is None else spans[a][1] - spans[a][0] for a in self.axes)
        self.dtype, self.dtype_known = parent.dtype, parent.dtype_known
        self.token = content_hash("crop", parent.token, spans, self.axes)

    def request(self, box: Box) -> tuple[Box | None, ...]:
        """Return the box in the parent's indices."""
        own = {axis: span for axis, span in zip(self.axes, box, strict=True) if axis is not None}
        moved = (
            (start + own[i][0], start + own[i][1]) if i in own else (start, stop)
            for i, (start, stop) in enumerate(self.spans)
        )
        return (tuple(moved),)

    def compute(self, box: Box, arrays: Sequence[Array], fetch: Fetch) -> Array:
        """Drop, add and permute axes."""
        array = arrays[0]
        kept = [axis for axis in self.axes if axis is not None]
        dropped = [axis for axis in range(array.ndim) if axis not in kept]
        sizes = tuple(1 if axis is None else array.shape[axis] for axis in self.axes)
        return array.transpose([*dropped, *kept]).reshape(sizes)

    def natural(self, *blocks: Sequence[int]) -> tuple[int, ...]:
        """Return the blocks of the parent, seen the same way."""
        return tuple(1 if axis is None else blocks[0][axis] for axis in self.axes)

    @property
    def label(self) -> str:
        """What it does."""
        return "crop"


def _read_wrapped(node: Node, grown: Box, fetch: Fetch) -> Array:
    """Read a box that leaves the image: what is outside comes from the other side."""
    out = empty([b - a for a, b in grown], node.dtype)
    pieces = [_wrapped_pieces(span, n) for span, n in zip(grown, node.shape, strict=True)]
    for index in np.ndindex(*(len(axis) for axis in pieces)):
        chosen = [axis[i] for axis, i in zip(pieces, index, strict=True)]
        source: Box = tuple(piece[1] for piece in chosen)
        out[tuple(piece[0] for piece in chosen)] = take(fetch(node, source), source, source)
    return out


def _wrapped_pieces(span: tuple[int, int], n: int) -> list[tuple[slice, tuple[int, int]]]:
    """Cut a span that may leave [0, n) into (place in the output, range in the image)."""
    pieces, at = [], span[0]
    while at < span[1]:
        start = at % n
        length = min(n - start, span[1] - at)
        pieces.append((slice(at - span[0], at - span[0] + length), (start, start + length)))
        at += length
    return pieces
