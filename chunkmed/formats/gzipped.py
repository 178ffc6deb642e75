"""Random access to a gzip file: bounded memory, no copy on disk.

The state of the decompressor is kept every few megabytes as the file is read for the first time; what
lies before the furthest place that was read is reached from the nearest of these states. Whoever reads
to the end has checked the length and checksum of everything before, as gzip writes them.

Source: RFC 1952; zlib's ``inflateCopy``.
"""

from __future__ import annotations

import bisect
import os
import threading
import weakref
import zlib
from typing import Any

from chunkmed.errors import SourceError

__all__ = ["GzipFile", "check_end", "first_bytes"]

#: States kept at most: each takes some 60 kB, the last piece of the compressed file included.
_STATES = 512
_LEAST_STEP = 1 << 20
_PIECE = 1 << 14
_GZIP = 16 + zlib.MAX_WBITS
#: Decompressed in between, thrown away.
_SKIP = 1 << 20


class _Cursor:
    """A place in the decompressed stream from which it can be read on."""

    def __init__(self, handle: int, where: str) -> None:
        self.handle, self.where = handle, where
        self.position, self.taken = 0, 0
        self.state: Any = zlib.decompressobj(_GZIP)
        self.ended = False

    def copy(self) -> _Cursor:
        """Return another one at the same place."""
        other = _Cursor.__new__(_Cursor)
        other.__dict__.update(self.__dict__)
        other.state = self.state.copy()
        return other

    def read(self, count: int) -> bytes:
        """Return up to ``count`` bytes, fewer where a piece ends; none at the end of the file."""
        while not self.ended:
            raw = self.state.unconsumed_tail or self._piece()
            try:
                out: bytes = self.state.decompress(raw, count)
            except zlib.error as error:
                raise _damaged(self.where, str(error)) from error
            self.position += len(out)
            # Without input there may still be output that did not fit before.
            if not raw and not out and not self.state.eof:
                raise cut_off(self)
            if self.state.eof:
                self._next_member()
            if out:
                return out
        return b""

    def _piece(self) -> bytes:
        raw = os.pread(self.handle, _PIECE, self.taken)
        self.taken += len(raw)
        return raw

    def _next_member(self) -> None:
        """Go on with the next member of the file, if there is one."""
        rest = self.state.unused_data
        # The next member begins where this one ended.
        self.taken -= len(rest)
        head = os.pread(self.handle, 2, self.taken)
        if head != b"\x1f\x8b":
            # Zeros that fill a block, or nothing.
            self.ended = True
            return
        self.state = zlib.decompressobj(_GZIP)


class GzipFile:
    """A gzip file that bytes are read from at any place.

    Parameters
    ----------
    path : str
        The file.
    size : int
        Of what it decompresses to, as far as it matters: no more is ever decompressed.
    """

    def __init__(self, path: str, size: int) -> None:
        self.path, self.size = path, size
        self._step = max(_LEAST_STEP, size // _STATES)
        self._lock = threading.Lock()
        self._open()

    def _open(self) -> None:
        self._handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        # Not __del__: at the end of Python modules may be gone already.
        self._close = weakref.finalize(self, os.close, self._handle)
        first = _Cursor(self._handle, os.path.basename(self.path))  # noqa: PTH119 - may not be UTF-8
        self._places, self._kept, self._furthest = [0], [first], first.copy()

    def cursor(self, at: int) -> _Cursor:
        """Return a cursor at a place; what lies before the furthest one is reached from a kept state."""
        with self._lock:
            number = bisect.bisect_right(self._places, at) - 1
            near = self._kept[number]
            if near.position <= self._furthest.position <= at:
                near = self._furthest
            out = near.copy()
        self.skip(out, at)
        return out

    def move(self, cursor: _Cursor, to: int) -> _Cursor:
        """Return a cursor at a place further on, by the shorter way."""
        if to - cursor.position > self._step:
            self.keep(cursor)
            return self.cursor(to)
        self.skip(cursor, to)
        return cursor

    def skip(self, cursor: _Cursor, to: int) -> None:
        """Decompress up to a place and throw away what lies before."""
        while cursor.position < to:
            self._read(cursor, min(_SKIP, to - cursor.position))

    def fill(self, cursor: _Cursor, out: memoryview) -> None:
        """Fill a buffer from where a cursor is."""
        done = 0
        while done < len(out):
            piece = self._read(cursor, len(out) - done)
            out[done : done + len(piece)] = piece
            done += len(piece)

    def _read(self, cursor: _Cursor, count: int) -> bytes:
        """Read on, no further than to the next place where the state is kept."""
        goal = self._places[-1] + self._step
        piece = cursor.read(min(count, goal - cursor.position) if cursor.position < goal else count)
        if not piece:
            raise cut_off(cursor)
        if cursor.position >= goal:
            with self._lock:
                if cursor.position >= self._places[-1] + self._step and not cursor.ended:
                    self._places.append(cursor.position)
                    self._kept.append(cursor.copy())
        return piece

    def keep(self, cursor: _Cursor) -> None:
        """Take note of where a cursor ends: what is read next mostly follows."""
        with self._lock:
            if cursor.position > self._furthest.position and not cursor.ended:
                self._furthest = cursor

    def close(self) -> None:
        """Let go of the file."""
        self._close()


def check_end(cursor: _Cursor) -> None:
    """Read a little beyond the last value: there the checksum is compared."""
    cursor.read(_SKIP)


def cut_off(cursor: _Cursor) -> SourceError:
    """Return the error of a file that ends too early."""
    return SourceError(
        "the compressed file is cut off",
        kind="truncated-file",
        where=cursor.where,
        why=f"it ends after {cursor.position} decompressed bytes",
        fix="get a whole copy of the file",
    )


def _damaged(where: str, why: str) -> SourceError:
    return SourceError(
        "the compressed file is damaged",
        kind="damaged-file",
        where=where,
        why=why,
        fix="get a whole copy of the file",
    )


def first_bytes(path: str, count: int) -> bytes:
    """Return the first bytes of what a file decompresses to, fewer where it is shorter."""
    file = GzipFile(path, count)
    out = b""
    try:
        cursor = file.cursor(0)
        while len(out) < count and (piece := cursor.read(count - len(out))):
            out += piece
    except SourceError as error:
        if error.kind != "truncated-file":
            raise
        out = b""
    finally:
        file.close()
    return out
