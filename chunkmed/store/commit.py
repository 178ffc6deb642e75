"""Write to a temporary sibling, then one rename: a reader sees the old folder or the new one."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chunkmed.errors import InputError, StoreError

__all__ = ["check_name", "replace_json", "staged"]

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@contextmanager
def staged(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a folder to write into; it takes the place of ``path`` when the block ends well.

    Raises
    ------
    StoreError
        If ``path`` exists and ``overwrite`` is false, or the place cannot be written.
    """
    if path.exists() and not overwrite:
        raise StoreError(
            "the output exists already",
            kind="exists",
            where=str(path),
            fix="choose another name, or pass overwrite=True (--overwrite)",
        )
    draft = path.with_name(f"{path.name}.partial-{secrets.token_hex(4)}")
    try:
        draft.mkdir(parents=True)
        yield draft
        _exchange(draft, path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _exchange(draft: Path, path: Path) -> None:
    _sync_folder(draft)
    if path.exists():
        old = path.with_name(f"{path.name}.partial-old-{secrets.token_hex(4)}")
        path.rename(old)
        draft.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    else:
        draft.rename(path)
    _sync_folder(path.parent)


def replace_json(path: Path, text: str) -> None:
    """Replace a small text file in one step."""
    draft = path.with_name(f"{path.name}.partial-{secrets.token_hex(4)}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def check_name(name: str) -> str:
    """Return a name that is safe as one path element, or refuse it."""
    if _NAME.fullmatch(name) is None or ".partial-" in name:
        raise InputError(
            f"{name!r} cannot be the name of a label image",
            kind="bad-name",
            fix="use letters, digits, '_', '-' and '.'",
        )
    return name


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(path: Path, error: OSError) -> StoreError:
    name = errno.errorcode.get(error.errno or 0, "OSError")
    return StoreError(
        "the output cannot be written",
        kind="unwritable",
        where=str(path),
        why=f"{os.strerror(error.errno)} ({name})" if error.errno else str(error),
        kept="nothing was changed",
        fix="check the folder's permissions and the free space",
    )
