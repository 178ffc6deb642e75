"""One writer at a time: a lock file beside the store, let go by the system when the writer dies."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chunkmed.errors import StoreError

__all__ = ["locked"]


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Keep other writers out of a store while the block runs.

    Raises
    ------
    StoreError
        ``locked`` if another process writes it.
    """
    path = store.with_name(f"{store.name}.lock")
    handle = _acquire(path)
    try:
        yield
    finally:
        # Removed while it is held: whoever waits for it looks whether it is still the one on disk.
        path.unlink(missing_ok=True)
        os.close(handle)


def _acquire(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_current(handle, path):
                return handle
        except OSError as error:
            os.close(handle)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise StoreError(
                "another process writes this store",
                kind="locked",
                where=str(path.with_suffix("")),
                fix="wait until it is done",
            ) from error
        os.close(handle)


def _is_current(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
