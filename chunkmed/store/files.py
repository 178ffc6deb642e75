"""Every operation by which the store changes a file system, and nothing else: tests count them.

A test can kill the process, or make an operation fail, before and after each of them.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "append",
    "exchange",
    "make_folder",
    "remove_file",
    "remove_tree",
    "rename",
    "sync_file",
    "sync_folder",
    "watch",
    "write",
]

#: Called with ("before" or "after", operation, path).
Watcher = Callable[[str, str, Path], None]
_watchers: list[Watcher] = []

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def watch(watcher: Watcher) -> Iterator[None]:
    """Call a function before and after every operation."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


@contextmanager
def _operation(name: str, path: Path) -> Iterator[None]:
    for watcher in _watchers:
        watcher("before", name, path)
    yield
    for watcher in _watchers:
        watcher("after", name, path)


def make_folder(path: Path, below: Path | None = None) -> None:
    """Make a folder and those above it, as far as ``below``, which must exist.

    A task that outlives its write must not bring a folder back that was swept.
    """
    with _operation("make folder", path):
        if below is None:
            path.mkdir(parents=True, exist_ok=True)
            return
        for part in path.relative_to(below).parts:
            below = below / part
            below.mkdir(exist_ok=True)


def write(path: Path, pieces: Sequence[bytes], *, sync: bool = False) -> None:
    """Write a file whole: under another name first, then in its place."""
    draft = path.with_name(f"{path.name}.draft")
    # Buffered: an unbuffered write may take only a part, on a disk that is nearly full, and not say so.
    with _operation("write", path), draft.open("wb") as file:
        file.writelines(pieces)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    with _operation("rename", path):
        draft.replace(path)


def append(path: Path, line: bytes) -> None:
    """Add a line to a file."""
    with _operation("append", path), path.open("ab") as file:
        file.write(line)


def sync_file(path: Path) -> None:
    """Wait until a file has reached the disk."""
    with _operation("sync", path):
        _sync(path)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder have reached the disk."""
    with _operation("sync", path):
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def rename(source: Path, target: Path) -> None:
    """Give a file or folder another name."""
    with _operation("rename", target):
        source.rename(target)


def exchange(first: Path, second: Path) -> bool:
    """Let two folders swap their names in one step; False where the file system cannot."""
    with _operation("exchange", second):
        try:
            call = ctypes.CDLL(None, use_errno=True).renameat2
        except AttributeError:
            return False
        names = os.fsencode(first), os.fsencode(second)
        return int(call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)) == 0


def remove_tree(path: Path) -> None:
    """Remove a folder and what is in it."""
    with _operation("remove", path):
        shutil.rmtree(path)


def remove_file(path: Path) -> None:
    """Remove a file."""
    with _operation("remove", path):
        path.unlink(missing_ok=True)
