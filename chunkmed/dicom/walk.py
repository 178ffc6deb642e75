"""Find regular files below a path; everything else is named with its reason."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from chunkmed.errors import SourceError

__all__ = ["Paths", "common_folder", "find_files", "open_regular", "printable"]

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/")
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
_KINDS = (
    (stat.S_ISFIFO, "a named pipe, not a file"),
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISCHR, "a device, not a file"),
    (stat.S_ISBLK, "a device, not a file"),
    (stat.S_ISDIR, "a folder, not a file"),
)


def find_files(paths: Paths) -> Iterator[tuple[str, str]]:
    """Yield (path, reason) below the given paths, sorted; an empty reason means a regular file.

    Raises
    ------
    SourceError
        If one of the given paths does not exist (kind ``no-such-path``), or is a URL (``not-on-disk``).
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    for path in [os.fspath(item) for item in given]:
        if not os.path.lexists(path):
            raise _no_such_path(path)
        yield from _below(os.path.abspath(path))  # noqa: PTH100 - Path.resolve follows links


def _no_such_path(path: str) -> SourceError:
    # Also of pathlib, which makes one slash of two.
    if _URL.match(path):
        return SourceError(
            "DICOM is not read from object stores",
            kind="not-on-disk",
            where=printable(path),
            fix="copy the series to a disk; if a store is meant, see chunkmed info URL",
        )
    return SourceError(
        "there is no such path",
        kind="no-such-path",
        where=printable(path),
        fix="check the spelling and that the disk is mounted",
    )


_Identity = tuple[int, int]


class _Waiting(NamedTuple):
    """Something that was found and not looked at."""

    path: str
    is_file: bool
    """Whether it is known to be a regular file."""
    is_link: bool
    parents: frozenset[_Identity]
    """The folders that it lies in."""


def _below(root: str) -> Iterator[tuple[str, str]]:
    # A stack of its own: folders may be nested deeper than Python calls functions.
    waiting, linked = [_Waiting(root, False, False, frozenset())], list[_Waiting]()
    seen: set[_Identity] = set()
    while waiting or linked:
        # Folders by their own names first: what links lead to may be one of them.
        first_look = bool(waiting)
        item = waiting.pop() if first_look else linked.pop(0)
        path = item.path
        if item.is_file:
            yield path, ""
            continue
        try:
            found = os.stat(path)  # noqa: PTH116 - names that are not UTF-8 must survive
            if not stat.S_ISDIR(found.st_mode):
                yield path, _kind_reason(found.st_mode)
                continue
            identity = found.st_dev, found.st_ino
            if identity in item.parents:
                yield path, "a symbolic link back to a folder that it lies in"
            elif item.is_link and first_look:
                linked.append(item)
            elif identity in seen:
                yield path, "a symbolic link to a folder that is searched anyway"
            else:
                seen.add(identity)
                waiting += _inside(path, item.parents | {identity})
        except OSError as error:
            yield path, _why_not(path, error)


def _inside(path: str, parents: frozenset[_Identity]) -> list[_Waiting]:
    """Return the entries of a folder, the first by name last."""
    with os.scandir(path) as entries:
        # What the folder itself says to be a regular file needs no look of its own.
        found = [(e.name, e.is_file(follow_symlinks=False), e.is_symlink()) for e in entries]
    return [
        _Waiting(os.path.join(path, name), is_file, is_link, parents)  # noqa: PTH118
        for name, is_file, is_link in sorted(found, reverse=True)
    ]


def _kind_reason(mode: int) -> str:
    return next((reason for test, reason in _KINDS if test(mode)), "")


def _why_not(path: str, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if Path(path).is_symlink():
        return "a symbolic link that leads nowhere"
    return f"cannot be read ({error.strerror or type(error).__name__})"


def open_regular(path: str) -> int:
    """Open a regular file for reading without ever blocking; return its descriptor.

    Raises
    ------
    OSError
        If it cannot be opened, or is a pipe, socket or device by now.
    """
    # O_NONBLOCK: opening a FIFO that took the file's place would wait forever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if reason := _kind_reason(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, reason)
    return descriptor


def printable(path: str) -> str:
    r"""Return a path that can be printed: bytes that are not UTF-8 and what steers a terminal are escaped.

    Examples
    --------
    >>> print(printable("a\x1b[2J\n.dcm"))
    a\x1b[2J\n.dcm
    """
    whole = path.encode("utf-8", "backslashreplace").decode("utf-8")
    if whole.isprintable():
        return whole
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in whole)


def common_folder(paths: Iterable[str]) -> str:
    """Return the deepest folder that holds all the (absolute) paths."""
    return os.path.commonpath({os.path.dirname(path) for path in paths})  # noqa: PTH120
