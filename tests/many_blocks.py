"""Small images in many blocks: what large images do, in milliseconds."""

import resource
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import dask.array as da
import numpy as np

from chunkmed.graph.box import regular_chunks
from chunkmed.graph.trace import ArrayReader
from chunkmed.graph.views import from_reader
from chunkmed.store.layout import Layout


class SmallChunks(ArrayReader):
    """A NumPy array that reads like a store of small chunks."""

    def __init__(self, array: np.ndarray, chunks: Sequence[int]) -> None:
        super().__init__(np.ascontiguousarray(array))
        self.chunks = tuple(max(1, min(n, c)) for n, c in zip(array.shape, chunks, strict=True))


def sourced(array: np.ndarray, chunks: Sequence[int]) -> da.Array:
    """Return an array as a chunkmed view with a traced source: no opaque node below it."""
    reader = SmallChunks(array, chunks)
    return from_reader(reader, regular_chunks(array.shape, reader.chunks))


@contextmanager
def small_blocks(sides: Sequence[int] = (3, 4, 5), most: int | None = None) -> Iterator[None]:
    """Make sinks work on the smallest blocks that they may, and stored shards tiny.

    ``most`` blocks along an axis are enough: shards of longer axes are wider than ``sides``.
    """

    def layout_of(shape: Sequence[int], parts: Sequence[int] = (1, 1, 1)) -> Layout:
        space = tuple(sides)[-min(3, len(shape)) :]
        if most is not None:
            space = tuple(max(s, -(-n // most)) for n, s in zip(shape[-len(space) :], space, strict=True))
        block = (1,) * (len(shape) - len(space)) + tuple(
            min(n, s) for n, s in zip(shape[-3:], space, strict=True)
        )
        block = tuple(max(1, n) for n in block)
        return Layout(block, block)

    with ExitStack() as stack:
        stack.enter_context(patch("chunkmed.graph.plan.MAX_BLOCK_BYTES", 1))
        stack.enter_context(patch("chunkmed.graph.plan._WISHED_BYTES", 1))
        stack.enter_context(patch("chunkmed.graph.scratch.layout_of", layout_of))
        stack.enter_context(patch("chunkmed.graph.passes.layout_of", layout_of))
        stack.enter_context(patch("chunkmed.graph.standins.layout_of", layout_of))
        stack.enter_context(patch("chunkmed.store.arrays.layout_of", layout_of))
        stack.enter_context(patch("chunkmed.store.image.layout_of", layout_of))
        stack.enter_context(patch("chunkmed.levels.layout_of", layout_of))
        yield


@contextmanager
def little_memory(more: int = 3 << 30) -> Iterator[None]:
    """Let the process grow by so many bytes only: what asks for more fails instead of swapping."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
