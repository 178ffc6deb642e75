"""Prefixes for intermediate arrays: each has one owner, a process; another takes over when that is gone."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime, timedelta

from chunkmed.store.attempts import Attempt
from chunkmed.store.place import ObjectPath
from chunkmed.store.pointer import Pointer

__all__ = ["claim", "release", "sweep_older"]

_OWNER = ".owner"


def claim(place: ObjectPath, token: str) -> Attempt:
    """Give a prefix below ``place`` that no other living process uses; one that was left, if there is one.

    Whether a process of another machine still lives is not known: what it left is not taken up.
    """
    for name in place.entries()[1]:
        if name.endswith(_OWNER) and _take_over(place / name):
            attempt = Attempt(place, token, Pointer(place), None)
            attempt.open(name.removesuffix(_OWNER))
            return attempt
    attempt = Attempt(place, token, Pointer(place), None)
    (place / f"{attempt.folder.name}{_OWNER}").write(_own())
    return attempt


def _own() -> bytes:
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode()


def _take_over(owner: ObjectPath) -> bool:
    """Become the owner of a prefix whose own is a process of this machine that is gone."""
    try:
        raw, tag = owner.bucket.get_tagged(owner.key)
        found = json.loads(raw)
        gone = found["host"] == socket.gethostname() and not _lives(int(found["pid"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False
    return gone and owner.write_if(_own(), tag)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def release(attempt: Attempt) -> None:
    """Remove a prefix, and what says whose it is."""
    attempt.discard()
    (attempt.target / f"{attempt.folder.name}{_OWNER}").remove_object()


def sweep_older(base: ObjectPath, seconds: float) -> None:
    """Remove what nobody wrote to for so long."""
    before = datetime.now(UTC) - timedelta(seconds=seconds)
    for name in base.entries()[0]:
        written = (base / name).last_written()
        if written is not None and written < before:
            (base / name).remove()
