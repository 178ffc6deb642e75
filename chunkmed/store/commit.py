"""Whole or absent: write beside, then take the place in one step; what was done is kept for a resume.

A node folder (a store with its image, or one label image) is written as ``NAME.partial-FINGERPRINT``
with a ledger of finished shards beside it. When all is there: manifest, fsync of every file and
folder, then one rename (or exchange with the old folder). A reader sees the old node or the new one.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import google_crc32c

from chunkmed.errors import StoreError
from chunkmed.store import files
from chunkmed.store.attempts import Attempt, attempted
from chunkmed.store.listing import is_our_node, is_unlisted, is_whole, list_label
from chunkmed.store.lock import locked
from chunkmed.store.manifest import MANIFEST, Manifest, Objects, file_checksum
from chunkmed.store.naming import LEFT, OLD, PARTIAL
from chunkmed.store.place import ObjectPath, Place
from chunkmed.store.refused import Overwrite, exists_already, not_replaceable

__all__ = ["Staging", "repair", "staged", "writing"]


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
        self.folder = target.with_name(f"{target.name}{PARTIAL}{fingerprint}")
        self.ledger = target.with_name(f"{target.name}{PARTIAL}{fingerprint}.ledger")
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
        files.sync(self.folder, self._folders())
        if self.target.exists():
            self._replace()
        else:
            files.rename(self.folder, self.target)
        files.sync(self.target.parent)
        _sweep(self.target)

    def _folders(self) -> list[Path]:
        """Return all folders; drafts of writers that were killed, or given up for lost, go."""
        found = []
        for folder, _, names in os.walk(self.folder):
            found.append(Path(folder))
            for name in names:
                if name.endswith(".draft"):
                    files.remove_file(found[-1] / name)
        return found

    def _replace(self) -> None:
        if files.exchange(self.folder, self.target):
            return
        # Two steps where the file system has no exchange: `repair` finishes what lies between.
        files.rename(self.target, self.target.with_name(f"{self.target.name}{OLD}{self.fingerprint}"))
        files.rename(self.folder, self.target)


@contextmanager
def staged(
    target: Place,
    fingerprint: str,
    *,
    listing: Mapping[str, Any] | None = None,
    overwrite: Overwrite = False,
) -> Iterator[Staging | Attempt | None]:
    """Give a node to write; it takes the place of ``target`` when the block ends well.

    None is given where the same write was committed before: cut off before it was listed, or, where only
    what is ``"changed"`` is overwritten, whole.

    Parameters
    ----------
    target : path
        The node folder: ``labels/NAME`` below its store for a label image.
    fingerprint : str
        Hash of inputs, settings and version.
    listing : mapping, optional
        For a label image: the record of the history under which it is listed in its store, two
        folders up, before the lock of the store is let go.
    overwrite : bool or "changed"
        Whether a node that is there is replaced; of another fingerprint only.

    Raises
    ------
    StoreError
        ``exists``, ``not-a-store``, ``locked`` (on object stores ``overtaken``), or ``unwritable``;
        what is finished is kept for a resume.
    """
    if isinstance(target, ObjectPath):
        with attempted(target, fingerprint, listing, overwrite) as attempt:
            yield attempt
        return
    store = target if listing is None else target.parents[1]
    with ExitStack() as stack:
        with writing(target):
            # Folders that are new must reach the disk as names in theirs.
            fresh = [path.parent for path in target.parents if not path.exists()]
            files.make_folder(target.parent)
            _check_below(target, store)
            stack.enter_context(locked(store))
            _finish_exchange(target)
            if overwrite == "changed" and is_whole(target, fingerprint, label=listing is not None):
                yield None
                return
            unlisted = listing is not None and is_unlisted(target, fingerprint)
            if not unlisted and os.path.lexists(target):
                _check_replaceable(target, overwrite)
            staging = Staging(target, fingerprint)
            stack.callback(staging.close)
            if unlisted:
                _sweep(target)
            else:
                staging.open()
        # What fails in between is the reader's or the user's, unless it says so itself.
        yield None if unlisted else staging
        with writing(target):
            if not unlisted:
                staging.commit()
            for folder in fresh:
                files.sync(folder)
            if listing is not None:
                list_label(store, listing)


def _check_below(target: Path, store: Path) -> None:
    """Refuse a store in which a link leads elsewhere: what is written must lie below it."""
    if target != store and not target.parent.resolve().is_relative_to(store.resolve()):
        raise StoreError(
            "a link in the store leads out of it",
            kind="not-a-store",
            where=str(target.parent),
            kept="nothing was touched",
            fix="remove the link, or convert the series again",
        )


def _check_replaceable(target: Path, overwrite: Overwrite) -> None:
    if not overwrite:
        raise exists_already(target)
    if not is_our_node(target) and not _is_empty(target):
        raise not_replaceable(target)


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def repair(target: Path, store: Path) -> None:
    """Finish an exchange in two steps that was cut off between them, unless its writer still lives."""
    if target.exists() or not _siblings(target, OLD):
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
    for old in _siblings(target, OLD):
        fingerprint = old.name.rpartition(OLD)[2]
        new = target.with_name(f"{target.name}{PARTIAL}{fingerprint}")
        files.rename(new if (new / MANIFEST).is_file() else old, target)
        return


def _siblings(target: Path, mark: str) -> list[Path]:
    prefix = f"{target.name}{mark}"
    try:
        found = [path for path in target.parent.iterdir() if path.name.startswith(prefix)]
    except OSError:
        # No folder, or not one that may be read: whoever opens the target says so.
        return []
    return sorted(path for path in found if LEFT.fullmatch(path.name[len(target.name) :]))


def _sweep(target: Path, keep: str | None = None) -> None:
    """Remove what unfinished and replaced writes left behind; the lock keeps living ones away."""
    kept = f"{target.name}{PARTIAL}{keep}"
    for path in (*_siblings(target, PARTIAL), *_siblings(target, OLD)):
        if path.name in (kept, f"{kept}.ledger") and not _is_other_node(path, keep):
            continue
        if path.is_dir() and not path.is_symlink():
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


@contextmanager
def writing(path: Place) -> Iterator[None]:
    """Turn what the file system refuses into an error that says what was kept."""
    try:
        yield
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Place, error: OSError) -> StoreError:
    name = errno.errorcode.get(error.errno or 0, "OSError")
    return StoreError(
        "the output cannot be written",
        kind="unwritable",
        where=str(path),
        why=f"{os.strerror(error.errno)} ({name})" if error.errno else str(error),
        kept="what was there is unchanged; what is finished is kept, and the same call goes on from there",
        fix="check the folder's permissions and the free space",
    )
