"""Folders for intermediate arrays: gone when the work that needed them is done, found again after a kill."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from chunkmed.errors import PlanError, StoreError
from chunkmed.graph.box import Box
from chunkmed.graph.nodes import Array, Source
from chunkmed.store import (
    ArrayWriter,
    Attempt,
    Layout,
    ObjectPath,
    Place,
    Staging,
    StoredArray,
    claim,
    create_array,
    is_url,
    layout_of,
    locate,
    locked,
    open_array,
    release,
    sweep_older,
)

__all__ = ["Scratch", "scratch_below", "scratch_folder"]

#: What nobody went on with for so long is swept.
_STALE_S = 7 * 24 * 3600.0


class Scratch:
    """An array on disk that lives as long as this object.

    It lies in :func:`scratch_folder`.

    Parameters
    ----------
    shape : sequence of int
        Sizes of the axes.
    dtype : dtype
        Of the values.
    token : str, optional
        Hash of the values: with it, what an interrupted call finished is taken up. The folder of an
        interrupted call is kept until then, a week at most.

    Attributes
    ----------
    writer : ArrayWriter
        What tasks write blocks with.
    layout : Layout
        Inner chunks and shards; blocks are made of whole shards.
    """

    def __init__(self, shape: Sequence[int], dtype: Any, token: str | None = None) -> None:
        self.layout: Layout = layout_of(shape)
        self._resumes = token is not None
        self._locks = ExitStack()
        self._staging = _opened(token or uuid.uuid4().hex[:16], self._locks)
        commit = self._staging.fingerprint
        self.writer: ArrayWriter
        self.writer, _ = create_array(
            self._staging.folder / "values", shape, dtype, commit=commit, layout=self.layout
        )
        self._sweep = weakref.finalize(self, _let_go, self._staging, self._locks, keep=[self._resumes])

    def another(self, name: str, dtype: Any) -> ArrayWriter:
        """Return what writes another array of the same shape, which :meth:`stored` gives by its name."""
        path, commit = self._staging.folder / name, self._staging.fingerprint
        return create_array(path, self.writer.grid.shape, dtype, commit=commit, layout=self.layout)[0]

    @property
    def skip(self) -> Callable[[Box], bool] | None:
        """Says of a block whether an earlier call finished it; None where there was none."""
        return self._has if self._staging.objects else None

    def _has(self, box: Box) -> bool:
        return self._staging.has(f"values/{key}" for key in self.writer.keys(box))

    def record(self, objects: dict[str, tuple[int, int]]) -> None:
        """Take note of the shards of a finished block."""
        self._staging.record({f"values/{key}": value for key, value in objects.items()})

    def stored(self, name: str = "values") -> StoredArray:
        """Return the array, or another one, as it is stored."""
        return open_array(self._staging.folder / name, self._staging.fingerprint)

    def source(self) -> Source:
        """Return the array as something to read from."""
        return Source(self.stored())

    def succeeded(self) -> None:
        """Say that what needed the array was done: the folder goes with this object."""
        if (info := self._sweep.peek()) is not None:
            info[3]["keep"][0] = False

    def __getstate__(self) -> dict[str, object]:
        # The copy on a worker does not own the folder.
        return {"writer": self.writer, "layout": self.layout}


def _opened(token: str, locks: ExitStack) -> Staging | Attempt:
    base = scratch_folder()
    if isinstance(base, ObjectPath):
        return claim(base / token, token)
    for name in (token, uuid.uuid4().hex[:16]):
        try:
            locks.enter_context(locked(base / name))
        except StoreError:
            # Another process makes the same array: this one makes its own.
            continue
        staging = Staging(base / name, name)
        staging.open()
        return staging
    raise AssertionError("a new name is never locked")


_below: list[str] = []


@contextmanager
def scratch_below(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Let intermediate arrays lie below a folder or URL inside of the ``with`` block."""
    before = list(_below)
    _below[:] = [os.fspath(folder) if is_url(folder) else str(Path(folder).absolute())]
    try:
        yield
    finally:
        _below[:] = before


def scratch_folder() -> Place:
    """Return where intermediate arrays lie, made if it is missing.

    That is where :func:`scratch_below` says, else below ``CHUNKMED_SCRATCH``, else below the system's
    temporary folder.
    """
    given = _below[0] if _below else os.environ.get("CHUNKMED_SCRATCH")
    # One folder per user: others may not write into it, nor read what lies there.
    user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    base = locate(given or tempfile.gettempdir()) / f"chunkmed-scratch-{user}"
    if isinstance(base, ObjectPath):
        _sweep_stale_objects(base)
        return base
    try:
        base.mkdir(mode=0o700, parents=given is not None, exist_ok=True)
        _check_own(base)
        _sweep_stale(base)
    except OSError as error:
        raise PlanError(
            "there is no place for intermediate results",
            kind="no-scratch",
            where=str(base),
            why=error.strerror or str(error),
            fix="name a folder with space, or a URL: CHUNKMED_SCRATCH, or --scratch",
        ) from error
    return base


def _check_own(base: Path) -> None:
    """Refuse a folder that others prepared: what is stale in it is deleted, what is there is trusted."""
    about = base.lstat()
    if stat.S_ISLNK(about.st_mode):
        raise PermissionError(1, "it is a link to another place")
    if hasattr(os, "getuid") and about.st_uid != os.getuid():
        raise PermissionError(1, "it belongs to somebody else")
    if about.st_mode & 0o077:
        base.chmod(0o700)


def _sweep_stale(base: Path) -> None:
    before = time.time() - _STALE_S
    for path in base.iterdir():
        if path.suffix == ".lock" or _age(path) > before:
            continue
        try:
            with locked(base / path.name.partition(".")[0]):
                _remove(path)
        except (OSError, StoreError):
            # A living process still uses it.
            continue


@cache
def _sweep_stale_objects(base: ObjectPath) -> None:
    # Once per process: it lists all that is there.
    sweep_older(base, _STALE_S)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _let_go(staging: Staging | Attempt, locks: ExitStack, *, keep: list[bool]) -> None:
    staging.close()
    if not keep[0] and isinstance(staging, Attempt):
        # What a store that does not answer keeps is swept in a week.
        with suppress(StoreError):
            release(staging)
    elif not keep[0] and isinstance(staging, Staging):
        _remove(staging.folder)
        _remove(staging.ledger)
    locks.close()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_block(writer: ArrayWriter, box: Box, arrays: Sequence[Array]) -> dict[str, tuple[int, int]]:
    """Task: write one block of whole shards; return length and checksum of each."""
    return writer.write(box, arrays[0])
