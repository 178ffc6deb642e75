"""Decoding children: started at the first compressed frame, reused, replaced when they die, ended with us.

``CHUNKMED_DECODE=inline`` decodes in the process itself.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy.typing as npt

from chunkmed.dicom.child import Child, DecodeError
from chunkmed.dicom.codecs import Codec, Shape, decode

__all__ = ["Decoding", "decode_frame", "decoding"]

Array = npt.NDArray[Any]


class Decoding(Protocol):
    """Decodes frames in the order in which they are sent, at most two of them on their way."""

    def send(self, codec: Codec, stream: bytes, shape: Shape) -> None:
        """Ask for a frame."""

    def receive(self) -> Array:
        """Return the frame that was asked for first; it may change at the next ``send``."""


@contextmanager
def decoding() -> Iterator[Decoding]:
    """Give what decodes: a child of its own for as long as the block lasts, from its first frame on.

    Raises
    ------
    DecodeError
        In the block, if a codec refuses, crashes, panics, or needs more memory or time than a frame may.
    """
    if os.environ.get("CHUNKMED_DECODE") == "inline" or os.name != "posix":
        yield _Inline()
        return
    borrowed = _Borrowed()
    try:
        yield borrowed
    finally:
        borrowed.give_back()


def decode_frame(codec: Codec, stream: bytes, shape: Shape) -> Array:
    """Return the values of one frame; see :func:`decoding`."""
    with decoding() as decoder:
        decoder.send(codec, stream, shape)
        return decoder.receive().copy()


class _Inline:
    def __init__(self) -> None:
        self.asked: deque[tuple[Codec, bytes, Shape]] = deque()

    def send(self, codec: Codec, stream: bytes, shape: Shape) -> None:
        self.asked.append((codec, stream, shape))

    def receive(self) -> Array:
        try:
            return decode(*self.asked.popleft())
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a codec's panic is not an Exception
            raise DecodeError(type(error).__name__) from None


class _Borrowed:
    """A child of the pool, taken when it is needed."""

    def __init__(self) -> None:
        self.child: Child | None = None

    def send(self, codec: Codec, stream: bytes, shape: Shape) -> None:
        if self.child is None:
            self.child = _POOL.take()
        self.child.send(codec, stream, shape)

    def receive(self) -> Array:
        assert self.child is not None  # noqa: S101 - something was sent
        return self.child.receive()

    def give_back(self) -> None:
        if self.child is not None:
            _POOL.give(self.child)


class _Pool:
    """Idle children; at most one for each processor, and never one for two threads at once."""

    def __init__(self) -> None:
        self.idle: list[Child] = []
        self.places = threading.BoundedSemaphore(os.cpu_count() or 1)
        self.lock = threading.Lock()

    def take(self) -> Child:
        self.places.acquire()
        try:
            with self.lock:
                if self.idle:
                    return self.idle.pop()
            return Child()
        except BaseException as error:
            self.places.release()
            if isinstance(error, OSError):
                why = f"no decoding process can be started ({error.strerror})"
                raise DecodeError(why) from error
            raise

    def give(self, child: Child) -> None:
        if child.is_usable:
            with self.lock:
                self.idle.append(child)
        else:
            child.close()
        self.places.release()

    def end(self) -> None:
        with self.lock:
            while self.idle:
                self.idle.pop().close()


_POOL = _Pool()


def _after_fork() -> None:
    # The children answer to the parent: two askers would get each other's frames.
    global _POOL
    old, _POOL = _POOL, _Pool()
    for child in old.idle:
        child.release()
        child.process.returncode = 0  # not this process's child: nothing to wait for


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(lambda: _POOL.end())
