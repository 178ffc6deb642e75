"""Parts of a shard's bytes: of a file by its handle, of an object in as few requests as possible."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from chunkmed.store.place import ObjectPath, Place

__all__ = ["Bytes", "opened"]

Spans = Sequence[tuple[int, int]]


class Bytes(Protocol):
    """Something that parts are read of."""

    size: int
    #: Whether it wants to know what will be read.
    asks: bool

    def read(self, start: int, length: int) -> bytes:
        """Return a part, shorter only where the bytes end."""

    def announce(self, spans: Spans) -> None:
        """Take note of what will be read: (start, length) each."""


class _File:
    """A file: the system keeps what lies near."""

    asks = False

    def __init__(self, handle: int) -> None:
        self._handle, self.size = handle, os.fstat(handle).st_size

    def read(self, start: int, length: int) -> bytes:
        return os.pread(self._handle, length, start)

    def announce(self, spans: Spans) -> None:
        return


class _Object:
    """An object: its end first, which says where the rest lies, then all that is needed at once."""

    asks = True

    def __init__(self, place: ObjectPath, tail: int) -> None:
        self._place = place
        raw, self.size = place.bucket.tail(place.key, tail)
        self._parts = [(self.size - len(raw), raw)]

    def read(self, start: int, length: int) -> bytes:
        length = max(0, min(length, self.size - start))
        for first, raw in self._parts:
            if first <= start and start + length <= first + len(raw):
                return raw[start - first : start - first + length]
        return self._place.bucket.ranges(self._place.key, [(start, length)])[0]

    def announce(self, spans: Spans) -> None:
        if spans:
            found = self._place.bucket.ranges(self._place.key, spans)
            self._parts += [(start, raw) for (start, _), raw in zip(spans, found, strict=True)]


class _Whole:
    """An object of which most is needed: one request."""

    asks = False

    def __init__(self, raw: bytes) -> None:
        self._raw, self.size = raw, len(raw)

    def read(self, start: int, length: int) -> bytes:
        return self._raw[start : start + length]

    def announce(self, spans: Spans) -> None:
        return


@contextmanager
def opened(place: Place, *, tail: int, most: bool) -> Iterator[Bytes]:
    """Give the bytes of a shard.

    Parameters
    ----------
    place : path
        Where it lies.
    tail : int
        Bytes at its end that are read first.
    most : bool
        Whether most of it will be read.

    Raises
    ------
    OSError
        If it cannot be opened, ``FileNotFoundError`` if it is not there.
    """
    if isinstance(place, Path):
        handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield _File(handle)
        finally:
            os.close(handle)
    else:
        yield _Whole(place.read_bytes()) if most else _Object(place, tail)
