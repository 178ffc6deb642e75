"""Boxes: half-open index ranges ``((start, stop), ...)``, one per axis."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = [
    "Box",
    "box_size",
    "chunk_boxes",
    "cover",
    "grow",
    "hull",
    "intersect",
    "regular_chunks",
    "sides",
    "take",
    "whole",
    "within",
]

Box = tuple[tuple[int, int], ...]


def whole(shape: Sequence[int]) -> Box:
    """Return the box of a whole array."""
    return tuple((0, int(n)) for n in shape)


def sides(box: Box) -> tuple[int, ...]:
    """Return the shape of a box."""
    return tuple(stop - start for start, stop in box)


def box_size(box: Box) -> int:
    """Return the number of elements in a box."""
    return int(np.prod(sides(box), dtype=np.int64))


def grow(box: Box, depth: Sequence[int], shape: Sequence[int]) -> Box:
    """Grow a box by ``depth`` on both sides of each axis, clipped at the true border."""
    ranges = zip(box, depth, shape, strict=True)
    return tuple((max(0, a - d), min(n, b + d)) for (a, b), d, n in ranges)


def hull(first: Box, second: Box) -> Box:
    """Return the smallest box that holds both."""
    pairs = zip(first, second, strict=True)
    return tuple((min(a, c), max(b, d)) for (a, b), (c, d) in pairs)


def intersect(first: Box, second: Box) -> Box | None:
    """Return the common part of two boxes, None when they do not meet."""
    pairs = zip(first, second, strict=True)
    out = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in pairs)
    return out if all(a < b for a, b in out) else None


def within(box: Box, outer: Box) -> tuple[slice, ...]:
    """Return the slices that cut ``box`` out of an array that covers ``outer``."""
    return tuple(slice(a - c, b - c) for (a, b), (c, _) in zip(box, outer, strict=True))


def take(array: npt.NDArray[np.generic], outer: Box, box: Box) -> npt.NDArray[np.generic]:
    """Cut ``box`` out of an array that covers ``outer``.

    An axis of size one stays as it is: it stands for a broadcast operand.
    """
    cuts = within(box, outer)
    return array[tuple(slice(None) if n == 1 else cut for n, cut in zip(array.shape, cuts, strict=True))]


def regular_chunks(shape: Sequence[int], block: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return dask chunks for blocks of one shape; the last block of an axis may be smaller."""
    return tuple(
        tuple(min(b, n - start) for start in range(0, n, b)) if n else (0,)
        for n, b in zip(shape, (max(1, int(b)) for b in block), strict=True)
    )


def chunk_boxes(chunks: Sequence[Sequence[int]]) -> Iterator[tuple[tuple[int, ...], Box]]:
    """Yield the index and the box of every chunk, in C order."""
    edges = [np.concatenate([[0], np.cumsum(sizes)]).tolist() for sizes in chunks]
    ranges = [[(int(a), int(b)) for a, b in itertools.pairwise(edge)] for edge in edges]
    for index in itertools.product(*(range(len(axis)) for axis in ranges)):
        yield index, tuple(axis[i] for axis, i in zip(ranges, index, strict=True))


def cover(box: Box, chunks: Sequence[Sequence[int]]) -> Iterable[tuple[tuple[int, ...], Box]]:
    """Yield index and box of the chunks that a box touches, in C order."""
    found = [_touched(span, sizes) for span, sizes in zip(box, chunks, strict=True)]
    for combination in itertools.product(*found):
        yield tuple(i for i, _ in combination), tuple(span for _, span in combination)


def _touched(span: tuple[int, int], sizes: Sequence[int]) -> list[tuple[int, tuple[int, int]]]:
    edges = np.concatenate([[0], np.cumsum(sizes)])
    first = int(np.searchsorted(edges, span[0], side="right")) - 1
    last = int(np.searchsorted(edges, span[1], side="left"))
    return [(i, (int(edges[i]), int(edges[i + 1]))) for i in range(first, last)]
