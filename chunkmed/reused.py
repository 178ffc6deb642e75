"""Memory of large arrays that is used again while blocks are computed.

New memory costs: the system gives it page by page and clears every page, 0.25 to 0.5 ms per MB, which
is a fifth of the time of a filter. Inside :func:`reusing`, :func:`empty` takes memory that another array
gave back; what is free and what is in use together stay below a limit.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["empty", "filled", "idle_bytes", "is_throughout", "release", "reusing", "throughout"]

Array = npt.NDArray[Any]
_Function = TypeVar("_Function", bound=Callable[..., Any])

#: Smaller arrays come from the heap, whose memory is used again anyway.
_SMALLEST = 1 << 20
#: Sizes are multiples of this: blocks at the edge of an image take what others gave back.
_UNIT = 1 << 18
#: Memory may be this much larger than what is asked for.
_SLACK = 1.125


class _Pool:
    """Memory that is free, and how much is in use."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.limit = self.used = self.kept = 0
        #: What may be kept while nothing is computed, for what is computed next.
        self.idle = 0
        self.free: dict[int, list[mmap.mmap]] = {}
        #: An array may end at any time, while the lock is held too: its memory waits here.
        self.returned: deque[mmap.mmap] = deque()

    def take(self, size: int) -> mmap.mmap:
        """Return memory of at least a size, which is then in use."""
        with self.lock:
            self._sort()
            fitting = [n for n, found in self.free.items() if found and size <= n <= size * _SLACK]
            memory = self.free[min(fitting)].pop() if fitting else None
            if memory is not None:
                self.kept -= len(memory)
            else:
                self._shrink(self.allowed - self.used - size)
            self.used += size if memory is None else len(memory)
        return _new(size) if memory is None else memory

    def give_back(self, memory: mmap.mmap) -> None:
        """Take back what an array used."""
        self.returned.append(memory)
        if self.limit == 0 and self.lock.acquire(blocking=False):
            try:
                self._sort()
            finally:
                self.lock.release()

    @property
    def allowed(self) -> int:
        """How much there may be, free and in use."""
        return self.limit or self.idle

    def change(self, limit: int, idle: int | None = None) -> None:
        """Allow so much more, or less; say how much may be kept when nothing more is allowed."""
        with self.lock:
            self.limit += limit
            self.idle = self.idle if idle is None else idle
            self._sort()

    def count(self) -> int:
        """Return how much is free."""
        with self.lock:
            self._sort()
            return self.kept

    def release(self) -> None:
        """Give all free memory back to the system."""
        with self.lock:
            self._sort()
            self._shrink(0)

    def _sort(self) -> None:
        """Keep what came back as far as the limit allows."""
        while self.returned:
            memory = self.returned.popleft()
            # After a fork, what the parent took may come back here.
            self.used = max(0, self.used - len(memory))
            self.kept += len(memory)
            self.free.setdefault(len(memory), []).append(memory)
        self._shrink(self.allowed - self.used)

    def _shrink(self, limit: int) -> None:
        """Give free memory back to the system until no more than a limit is left, the largest first."""
        for size in sorted(self.free, reverse=True):
            while self.free[size] and self.kept > max(0, limit):
                self.free[size].pop()
                self.kept -= size


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    # Another thread may have held the lock.
    os.register_at_fork(after_in_child=_pool.__init__)  # type: ignore[misc]


@contextmanager
def reusing(limit_bytes: int, idle_bytes: int | None = None) -> Iterator[None]:
    """Keep memory inside the block.

    Parameters
    ----------
    limit_bytes : int
        How much of it there may be, free and in use, for this block and all that run beside it.
    idle_bytes : int, optional
        How much of it may be kept afterwards, for the next such block. As before by default.
    """
    _pool.change(limit_bytes)
    try:
        yield
    finally:
        _pool.change(-limit_bytes, idle_bytes)


def idle_bytes() -> int:
    """Return how much memory is kept that no array uses: whoever computes next takes it first."""
    return _pool.count()


def release() -> None:
    """Give memory back to the system that no array uses: before something that takes memory elsewhere."""
    _pool.release()


def throughout(function: _Function) -> _Function:
    """Mark a function: all large arrays that it makes are from :func:`empty`, or it released before."""
    function.__dict__["reuses_memory"] = True
    return function


def is_throughout(function: Any) -> bool:
    """Whether a function is marked so."""
    return bool(getattr(function, "reuses_memory", False))


def empty(shape: int | Sequence[int], dtype: npt.DTypeLike) -> Array:
    """Return an array as :func:`numpy.empty` does, in memory that was used before where there is such.

    Parameters
    ----------
    shape, dtype
        As in NumPy.
    """
    kind, sides = np.dtype(dtype), (shape,) if isinstance(shape, int) else tuple(shape)
    nbytes = math.prod(sides) * kind.itemsize
    if nbytes < _SMALLEST or kind.hasobject or not _pool.limit:
        return np.empty(sides, kind)
    memory = _pool.take(-(-nbytes // _UNIT) * _UNIT)
    # Every view of the array holds this, and so the memory.
    owner = (ctypes.c_char * len(memory)).from_buffer(memory)
    weakref.finalize(owner, _pool.give_back, memory).atexit = False
    held: Any = owner
    array: Array = np.frombuffer(held, np.uint8, nbytes).view(kind).reshape(sides)
    return array


def filled(size: int, value: int, dtype: npt.DTypeLike) -> Array:
    """Return a line of one value as :func:`numpy.full` does, in memory as of :func:`empty`."""
    out = empty(size, dtype)
    out.fill(value)
    return out


def _new(size: int) -> mmap.mmap:
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    memory = mmap.mmap(-1, size, **private)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        # As NumPy does, where the kernel can: pages of 2 MB are cleared faster than 512 small ones.
        with suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory
