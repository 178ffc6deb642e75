"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["draft_of", "sweep_drafts", "sync"]


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; it takes the path's place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def sweep_drafts(folder: Path) -> None:
    """Remove drafts of processes that were killed while they wrote; nobody may write in the folder now."""
    for draft in folder.glob(".*.draft"):
        draft.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file or folder has reached the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
