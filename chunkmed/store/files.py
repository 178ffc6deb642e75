"""Every operation by which the store changes a file system or writes an object: tests count them.

A test can kill the process, or make an operation fail, before and after each of them.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from chunkmed import drafts
from chunkmed.store.operations import Watcher, operation, watch
from chunkmed.store.place import ObjectPath, Place

__all__ = [
    "Appender",
    "Watcher",
    "exchange",
    "make_folder",
    "remove_file",
    "remove_tree",
    "rename",
    "sync",
    "watch",
    "write",
]

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_SYNC_FILE_RANGE_WRITE = 2
#: Most pieces that one call of writev takes (Linux).
_MOST_PIECES = 1024
#: The disk takes several at a time, and the journal commits them together.
_SYNC_THREADS = 8
#: Fewer are done before a thread has started.
_SYNC_AT_ONCE = 64


def make_folder(path: Place, below: Place | None = None) -> None:
    """Make a folder and those above it, as far as ``below``, which must exist.

    A task that outlives its write must not bring a folder back that was swept. Object stores have
    no folders.
    """
    if isinstance(path, ObjectPath):
        return
    with operation("make folder", path):
        if not isinstance(below, Path):
            path.mkdir(parents=True, exist_ok=True)
            return
        for part in path.relative_to(below).parts:
            below = below / part
            below.mkdir(exist_ok=True)


def write(path: Place, pieces: Sequence[bytes], *, sync: bool = False, shared: bool = False) -> None:
    """Write a file whole: under another name first, then in its place.

    Without ``sync`` the disk is asked to begin at once, so that little is left to wait for when the
    node is committed. Where the file is ``shared`` another process may write the same one: a task
    that was given up for lost; its draft then has a name of its own. Object stores do all this.
    """
    if isinstance(path, ObjectPath):
        path.write(b"".join(pieces))
        return
    mark = f".{uuid.uuid4().hex[:8]}" if shared else ""
    draft = path.with_name(f"{path.name}{mark}.draft")
    with operation("write", path):
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            _write_all(handle, [memoryview(piece) for piece in pieces if piece])
            if sync:
                os.fsync(handle)
            else:
                _begin_writeback(handle)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
    with operation("rename", path):
        draft.replace(path)


def _write_all(handle: int, pieces: list[memoryview]) -> None:
    # A disk that is nearly full may take a part and not say so: only the next call does.
    first = 0
    while first < len(pieces):
        taken = os.writev(handle, pieces[first : first + _MOST_PIECES])
        while first < len(pieces) and taken >= len(pieces[first]):
            taken -= len(pieces[first])
            first += 1
        if taken:
            pieces[first] = pieces[first][taken:]


def _begin_writeback(handle: int) -> None:
    if (begin := _sync_file_range()) is not None:
        begin(handle, 0, 0, _SYNC_FILE_RANGE_WRITE)


@cache
def _sync_file_range() -> Any:
    """Return the system call, None where there is none."""
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return call


class Appender:
    """A file that lines are added to; it stays open, for opening takes longer than writing."""

    def __init__(self, path: Path) -> None:
        self.path, self._handle = path, -1

    def append(self, line: bytes) -> None:
        """Add a line."""
        with operation("append", self.path):
            if self._handle < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
                self._handle = os.open(self.path, flags, 0o666)
            _write_all(self._handle, [memoryview(line)])

    def close(self) -> None:
        """Let go of the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def sync(place: Path, below: Iterable[Path] = ()) -> None:
    """Wait until a file or folder, and others that belong to it, have reached the disk."""
    with operation("sync", place):
        others = list(below)
        if len(others) < _SYNC_AT_ONCE:
            for other in others:
                drafts.sync(other)
        else:
            with ThreadPoolExecutor(_SYNC_THREADS) as pool:
                list(pool.map(drafts.sync, others))
        drafts.sync(place)


def rename(source: Path, target: Path) -> None:
    """Give a file or folder another name."""
    with operation("rename", target):
        source.rename(target)


def exchange(first: Path, second: Path) -> bool:
    """Let two folders swap their names in one step; False where the file system cannot."""
    with operation("exchange", second):
        try:
            call = ctypes.CDLL(None, use_errno=True).renameat2
        except AttributeError:
            return False
        names = os.fsencode(first), os.fsencode(second)
        return int(call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)) == 0


def remove_tree(path: Path) -> None:
    """Remove a folder and what is in it."""
    with operation("remove", path):
        shutil.rmtree(path)


def remove_file(path: Path) -> None:
    """Remove a file."""
    with operation("remove", path):
        path.unlink(missing_ok=True)
