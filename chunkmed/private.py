"""What keyed identifiers stand for on this machine: a private file beside the key, never in a store."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from chunkmed.provenance import key_file, keyed_identifier

__all__ = ["file_identifier", "map_file", "note", "paths_of"]

#: What this process noted: also where there is no place for the file.
_noted: dict[str, set[str]] = {}
#: Files of the map that were read already.
_known: set[Path] = set()


def map_file() -> Path:
    """Return where the map lies: beside the key, readable for the user alone."""
    return key_file().with_name(f"{key_file().name}.map")


def file_identifier(path: str | os.PathLike[str]) -> str:
    """Return the keyed identifier that stands for a file in errors, reports and logs.

    Its name may hold a patient's: the private map says which file is meant.
    """
    whole = os.path.abspath(path)  # noqa: PTH100 - Path.resolve follows links
    identifier = keyed_identifier(os.fsencode(whole).decode("utf-8", "backslashreplace"))
    note(identifier, whole)
    return identifier


def note(identifier: str, path: str | os.PathLike[str]) -> None:
    """Write down what an identifier stands for; without a place to do so it is known to this process only."""
    _read()
    paths = _noted.setdefault(identifier, set())
    text = os.fspath(path)
    if text in paths:
        return
    paths.add(text)
    try:
        _append(map_file(), json.dumps({"identifier": identifier, "path": text}))
    except OSError:
        return


def paths_of(identifier: str) -> list[str]:
    """Return the paths that an identifier stands for, or the beginning of one; empty where none is known."""
    _known.clear()
    _read()
    found = (paths for known, paths in _noted.items() if identifier and known.startswith(identifier))
    return sorted(set().union(*found))


def _read() -> None:
    """Learn what other processes noted, once."""
    place = map_file()
    if place in _known:
        return
    _known.add(place)
    for identifier, path in _lines(place):
        _noted.setdefault(identifier, set()).add(path)


def _lines(place: Path) -> Iterator[tuple[str, str]]:
    try:
        text = place.read_text(encoding="utf-8")
    except OSError:
        return
    for line in text.splitlines():
        try:
            record = json.loads(line)
            yield str(record["identifier"]), str(record["path"])
        except (ValueError, KeyError, TypeError):
            # A line that was cut off costs itself only.
            continue


def _append(place: Path, line: str) -> None:
    """Add a line in one write, so that processes do not mix theirs."""
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(place, flags, 0o600)
    try:
        if os.fstat(handle).st_mode & 0o077:
            os.fchmod(handle, 0o600)
        os.write(handle, f"{line}\n".encode())
    finally:
        os.close(handle)
