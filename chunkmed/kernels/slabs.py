"""Short windows along several axes, a few planes at a time: what is between two axes stays in the cache."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.along import along, is_short
from chunkmed.kernels.steps import Step
from chunkmed.reused import empty

__all__ = ["Spans", "cut", "filtered", "takes"]

#: Which part of an axis is wanted.
Spans = Mapping[int, tuple[int, int]]

#: Bytes of a slab: several of them fit the processor's third cache.
_SLAB = 1 << 22
_WRAPS = ("wrap", "grid-wrap")


def cut(shape: Sequence[int], axis: int, span: tuple[int, int]) -> tuple[int, ...]:
    """Return a shape of which a part of one axis is left."""
    return (*shape[:axis], span[1] - span[0], *shape[axis + 1 :])


def takes(block: Array, steps: Sequence[Step], dtype: np.dtype[Any], cval: float) -> bool:
    """Whether :func:`filtered` does these steps, and gains by it."""
    if len(steps) < 2 or block.dtype != dtype or block.nbytes <= 4 * _SLAB:
        return False
    axis = _axis(block.shape)
    axes = [each.axis for each in steps]
    far = any(each.axis < axis or (each.axis == axis and each.mode in _WRAPS) for each in steps)
    return len(set(axes)) == len(axes) and not far and all(is_short(e, block, dtype, cval) for e in steps)


def _axis(shape: Sequence[int]) -> int:
    """Return the first axis along which there is more than one voxel."""
    return next((axis for axis, n in enumerate(shape) if n > 1), len(shape) - 1)


def filtered(block: Array, steps: Sequence[Step], cval: float, spans: Spans) -> Array:
    """Return steps of a block, one after the other, each of its own axis.

    Parameters
    ----------
    block : ndarray
        Contiguous.
    steps, cval
        What is done; :func:`takes` says what can be.
    spans : mapping
        The part of each axis of a step that is wanted.
    """
    axis, shape = _axis(block.shape), block.shape
    for each in steps:
        shape = cut(shape, each.axis, spans[each.axis])
    out = empty(shape, block.dtype)
    start, stop = spans.get(axis, (0, block.shape[axis]))
    size = max(1, _SLAB // (block.nbytes // block.shape[axis]))
    where = next((k for k, each in enumerate(steps) if each.axis == axis), None)
    across = None if where is None else steps[where]
    first = _Through(steps[: where or 0], cval, spans)
    rest = _Through(steps if where is None else steps[where + 1 :], cval, spans)
    kept, other = _Kept(block, axis, first), _Through((), cval, spans)
    for low in range(start, stop, size):
        high = min(low + size, stop)
        target = _planes(out, axis, low - start, high - start)
        if across is None:
            rest(_planes(block, axis, low, high), target)
            continue
        # What the border mode shows at the true border is among these.
        reach = across.depth + 1
        near = max(0, low - reach), min(block.shape[axis], high + reach)
        part = kept.planes(*near)
        span = low - near[0], high - near[0]
        made = other.room(cut(part.shape, axis, span), part.dtype) if rest.steps else target
        along(part, across, cval, span, made)
        if rest.steps:
            rest(made, target)
    return out


def _planes(array: Array, axis: int, low: int, high: int) -> Array:
    """Return planes of an array that has one voxel along the axes before."""
    return array[(*(slice(None),) * axis, slice(low, high))]


class _Through:
    """Steps along axes of planes, one after the other, through memory that is used again."""

    def __init__(self, steps: Sequence[Step], cval: float, spans: Spans) -> None:
        self.steps, self.cval, self.spans = tuple(steps), cval, spans
        self.memory: list[Array] = [np.empty(0), np.empty(0)]

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of what is made."""
        for each in self.steps:
            shape = cut(shape, each.axis, self.spans[each.axis])
        return shape

    def room(self, shape: tuple[int, ...], dtype: np.dtype[Any], number: int = 0) -> Array:
        """Return an array of a shape."""
        size, memory = math.prod(shape), self.memory[number % 2]
        if memory.size < size or memory.dtype != dtype:
            memory = self.memory[number % 2] = empty(size, dtype)
        return memory[:size].reshape(shape)

    def __call__(self, part: Array, target: Array) -> None:
        """Do the steps of some planes."""
        for number, each in enumerate(self.steps):
            span = self.spans[each.axis]
            last = number == len(self.steps) - 1
            out = target if last else self.room(cut(part.shape, each.axis, span), part.dtype, number)
            along(part, each, self.cval, span, out)
            part = out


class _Kept:
    """The planes that the last slab saw after the first steps: the next one sees some of them again."""

    def __init__(self, block: Array, axis: int, steps: _Through) -> None:
        self.block, self.axis, self.steps = block, axis, steps
        self.low = self.high = 0
        self.memory = np.empty(0)

    def planes(self, low: int, high: int) -> Array:
        """Return planes after the first steps; ``low`` and ``high`` never fall."""
        if not self.steps.steps:
            return _planes(self.block, self.axis, low, high)
        shape = self.steps.shape(cut(self.block.shape, self.axis, (low, high)))
        plane = math.prod(shape[self.axis + 1 :])
        known = max(0, self.high - low)
        memory = self.memory
        if self.memory.size < (high - low) * plane:
            self.memory = empty((high - low) * plane, self.block.dtype)
        first = (low - self.low) * plane
        self.memory[: known * plane] = memory[first : first + known * plane]
        part = self.memory[: (high - low) * plane].reshape(shape)
        begin = low + known
        self.steps(
            _planes(self.block, self.axis, begin, high), _planes(part, self.axis, begin - low, high - low)
        )
        self.low, self.high = low, high
        return part
