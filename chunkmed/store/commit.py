"""Whole or absent: write beside, then take the place in one step; what was done is kept for a resume.

A node folder (a store with its image, or one label image) is written as ``NAME.partial-FINGERPRINT``
with a ledger of finished shards beside it. When all is there: manifest, fsync of every file and
folder, then one rename (or exchange with the old folder). A reader sees the old node or the new one.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import google_crc32c

from chunkmed.errors import InputError, StoreError
from chunkmed.store import files
from chunkmed.store.lock import locked
from chunkmed.store.manifest import MANIFEST, Manifest, Objects, file_checksum

__all__ = ["Staging", "check_name", "is_final", "repair", "staged", "writing"]

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_PARTIAL = ".partial-"
_OLD = ".replaced-"


class Staging:
    """A node that is being written.

    Attributes
    ----------
    folder : Path
        Where it is written.
    fingerprint : str
        Hash of everything that decides its content; a write with the same one resumes.
    objects : dict
        Length and crc32c of everything written so far.
    """

    def __init__(self, target: Path, fingerprint: str) -> None:
        self.target, self.fingerprint = target, fingerprint
        self.folder = target.with_name(f"{target.name}{_PARTIAL}{fingerprint}")
        self.ledger = target.with_name(f"{target.name}{_PARTIAL}{fingerprint}.ledger")
        self.objects: Objects = {}
        self._lines = files.Appender(self.ledger)

    def open(self) -> None:
        """Sweep what other writes left, take up what this one left."""
        _sweep(self.target, keep=self.fingerprint)
        files.make_folder(self.folder)
        for line in _lines(self.ledger):
            found: Objects = {key: (size, crc) for key, (size, crc) in json.loads(line).items()}
            # Verified, not believed: after a power loss the ledger may know more than the disk.
            self.objects |= {k: v for k, v in found.items() if file_checksum(self.folder / k) == v}

    def record(self, objects: Objects) -> None:
        """Take note of finished objects, so that a resumed write skips them."""
        line = json.dumps(objects, sort_keys=True)
        with writing(self.target):
            self._lines.append(f"{google_crc32c.value(line.encode()):08x} {line}\n".encode())
        self.objects |= objects

    def close(self) -> None:
        """Let go of the ledger."""
        self._lines.close()

    def has(self, keys: Iterable[str]) -> bool:
        """Whether all objects are there already."""
        return all(key in self.objects for key in keys)

    def commit(self) -> None:
        """Make the node what readers see."""
        Manifest(self.fingerprint, self.objects).write(self.folder)
        files.sync(self.folder, [self.folder / key for key in (*self.objects, "zarr.json", MANIFEST)])
        files.sync(self.folder, [Path(folder) for folder, _, _ in os.walk(self.folder)])
        if self.target.exists():
            self._replace()
        else:
            files.rename(self.folder, self.target)
        files.sync(self.target.parent)
        _sweep(self.target)

    def _replace(self) -> None:
        if files.exchange(self.folder, self.target):
            return
        # Two steps where the file system has no exchange: `repair` finishes what lies between.
        files.rename(self.target, self.target.with_name(f"{self.target.name}{_OLD}{self.fingerprint}"))
        files.rename(self.folder, self.target)


@contextmanager
def staged(target: Path, fingerprint: str, *, store: Path, overwrite: bool = False) -> Iterator[Staging]:
    """Give a node to write; it takes the place of ``target`` when the block ends well.

    Parameters
    ----------
    target : Path
        The node folder.
    fingerprint : str
        Hash of inputs, settings and version.
    store : Path
        The store that the node belongs to: one writer at a time.
    overwrite : bool
        Whether a node that is there is replaced.

    Raises
    ------
    StoreError
        ``exists``, ``locked``, or ``unwritable``; what is finished is kept for a resume.
    """
    with ExitStack() as stack:
        with writing(target):
            files.make_folder(target.parent)
            stack.enter_context(locked(store))
            _finish_exchange(target)
            if target.exists() and not overwrite:
                raise _exists(target)
            staging = Staging(target, fingerprint)
            stack.callback(staging.close)
            staging.open()
        # What fails in between is the reader's or the user's, unless it says so itself.
        yield staging
        with writing(target):
            staging.commit()


def repair(target: Path, store: Path) -> None:
    """Finish an exchange in two steps that was cut off between them, unless its writer still lives."""
    if target.exists() or not _siblings(target, _OLD):
        return
    try:
        with locked(store):
            _finish_exchange(target)
    except (OSError, StoreError):
        # A living writer, or a folder that may only be read: the caller reports what it finds.
        return


def _finish_exchange(target: Path) -> None:
    if target.exists():
        return
    for old in _siblings(target, _OLD):
        fingerprint = old.name.rpartition(_OLD)[2]
        new = target.with_name(f"{target.name}{_PARTIAL}{fingerprint}")
        files.rename(new if (new / MANIFEST).is_file() else old, target)
        return


def _siblings(target: Path, mark: str) -> list[Path]:
    prefix = f"{target.name}{mark}"
    try:
        return sorted(path for path in target.parent.iterdir() if path.name.startswith(prefix))
    except FileNotFoundError:
        return []


def _sweep(target: Path, keep: str | None = None) -> None:
    """Remove what unfinished and replaced writes left behind; the lock keeps living ones away."""
    kept = f"{target.name}{_PARTIAL}{keep}"
    for path in (*_siblings(target, _PARTIAL), *_siblings(target, _OLD)):
        if path.name in (kept, f"{kept}.ledger") and not _is_other_node(path, keep):
            continue
        if path.is_dir():
            files.remove_tree(path)
        else:
            files.remove_file(path)


def _is_other_node(path: Path, fingerprint: str | None) -> bool:
    """Whether a folder holds a committed node of another write: the old one, after an exchange."""
    if not (path / MANIFEST).is_file():
        return False
    try:
        return Manifest.read(path).commit != fingerprint
    except StoreError:
        return True


def _lines(ledger: Path) -> Iterator[str]:
    """Yield the whole lines of a ledger; the last one may have been cut off."""
    try:
        text = ledger.read_bytes()
    except FileNotFoundError:
        return
    for raw in text.split(b"\n"):
        crc, _, line = raw.partition(b" ")
        if line and crc == f"{google_crc32c.value(line):08x}".encode():
            yield line.decode()


def is_final(name: str) -> bool:
    """Whether a name is not one of those that unfinished and replaced nodes have."""
    return _PARTIAL not in name and _OLD not in name


def check_name(name: str) -> str:
    """Return a name that is safe as one path element, or refuse it."""
    if _NAME.fullmatch(name) is None or not is_final(name) or name.endswith(".lock"):
        raise InputError(
            f"{name!r} cannot be the name of a label image",
            kind="bad-name",
            fix="use letters, digits, '_', '-' and '.'",
        )
    return name


def _exists(target: Path) -> StoreError:
    return StoreError(
        "the output exists already",
        kind="exists",
        where=str(target),
        fix="choose another name, or pass overwrite=True (--overwrite)",
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into an error that says what was kept."""
    try:
        yield
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> StoreError:
    name = errno.errorcode.get(error.errno or 0, "OSError")
    return StoreError(
        "the output cannot be written",
        kind="unwritable",
        where=str(path),
        why=f"{os.strerror(error.errno)} ({name})" if error.errno else str(error),
        kept="what was there is unchanged; what is finished is kept, and the same call goes on from there",
        fix="check the folder's permissions and the free space",
    )
