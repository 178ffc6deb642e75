"""Whole or absent on an object store: a new prefix, its manifest, then the pointer, conditionally.

No lock: of two writers the first to commit wins and the other is told. What a write has finished is
recorded beside its prefix; a write with the same fingerprint takes it up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from chunkmed.errors import StoreError
from chunkmed.provenance import content_hash
from chunkmed.store.answers import NO_ANSWER
from chunkmed.store.listing import is_unlisted, is_whole, list_attempt
from chunkmed.store.manifest import Manifest, Objects
from chunkmed.store.place import ObjectPath
from chunkmed.store.pointer import ATTEMPT, POINTER, Pointer, attempt_name, overtaken
from chunkmed.store.refused import Overwrite, exists_already, not_replaceable
from chunkmed.store.sealed import open_sealed, sealed_bytes

__all__ = ["Attempt", "attempted"]

_DONE = ".done"
#: Records are small: several are under way at a time.
_THREADS = 8


class Attempt:
    """A node that is being written below a prefix of its own.

    Attributes
    ----------
    target : ObjectPath
        The store, or ``labels/NAME`` below it.
    folder : ObjectPath
        Where it is written.
    fingerprint : str
        Hash of everything that decides its content; a write with the same one resumes.
    objects : dict
        Length and crc32c of everything written so far.
    """

    def __init__(self, target: ObjectPath, fingerprint: str, pointer: Pointer, label: str | None) -> None:
        self.target, self.fingerprint = target, fingerprint
        self.pointer, self.label = pointer, label
        self.objects: Objects = {}
        self._place = pointer.folder(label)
        self._use(attempt_name(fingerprint, label))

    def _use(self, name: str) -> None:
        self.folder, self._done = self._place / name, self._place / f"{name}{_DONE}"

    def open(self, name: str | None = None) -> None:
        """Take up what a write with the same fingerprint left, if one did; ``name`` says which."""
        if name is not None:
            self._take_up(name)
            return
        done = [name for name in self._attempts(self.fingerprint) if name.endswith(_DONE)]
        # What is committed is never written again; its records are there where the sweep was cut off.
        left = {name.removesuffix(_DONE) for name in done} - {self.pointer.name(self.label)}
        if left:
            self._take_up(max(sorted(left), key=lambda name: len((self._place / f"{name}{_DONE}").sizes())))

    def _take_up(self, name: str) -> None:
        self._use(name)
        sizes = self.folder.sizes()
        for found in self._records():
            # An object is there whole or not at all: its length tells that nobody swept it.
            self.objects |= {key: value for key, value in found.items() if sizes.get(key) == value[0]}

    def _records(self) -> Iterator[Objects]:
        places = [self._done / name for name in self._done.sizes()]
        with ThreadPoolExecutor(_THREADS) as pool:
            for place, raw in zip(places, pool.map(_read, places), strict=True):
                # Gone: another writer's commit swept it.
                content = {} if raw is None else open_sealed(raw, place)["objects"]
                yield {key: (size, crc) for key, (size, crc) in content.items()}

    def _attempts(self, fingerprint: str | None = None) -> list[str]:
        """Return the names of all attempts at this node, with their records."""
        found = [(name, ATTEMPT.fullmatch(name)) for name in self._place.entries()[0]]
        stem = self.label or ""
        return [
            name
            for name, match in found
            if match and match["stem"] == stem and fingerprint in (None, match["commit"])
        ]

    def record(self, objects: Objects) -> None:
        """Take note of finished objects, so that a resumed write skips them."""
        content = {"objects": {key: list(value) for key, value in objects.items()}}
        (self._done / f"{content_hash(sorted(objects))}.json").write(sealed_bytes(content))
        self.objects |= objects

    def has(self, keys: Iterable[str]) -> bool:
        """Whether all objects are there already."""
        return all(key in self.objects for key in keys)

    def close(self) -> None:
        """Let go of nothing: no connection is of this write alone."""

    def commit(self) -> None:
        """Make the node what readers see; sweep what other writes left.

        Raises
        ------
        StoreError
            ``overtaken`` if another writer's commit came first.
        """
        manifest = Manifest(self.fingerprint, self.objects)
        if any(manifest.missing(self.folder)):
            # Only who commits sweeps.
            raise overtaken(self.target)
        manifest.write(self.folder)
        new = self.pointer.commit(self.label, self.folder.name)
        with suppress(StoreError):
            # Committed is committed: what is left now goes with the next write.
            self.sweep(new)

    def is_overtaken(self) -> bool:
        """Whether another writer committed this node, or the image it belongs to, meanwhile."""
        now, name = Pointer.read(self.pointer.store), self.pointer.name(self.label)
        return (now.image, now.name(self.label)) != (self.pointer.image, name)

    def sweep(self, pointer: Pointer) -> None:
        """Remove all attempts at this node but the committed one."""
        for name in self._attempts():
            if name != pointer.name(self.label):
                (self._place / name).remove()

    def discard(self) -> None:
        """Remove what was written in vain: another writer of the same fingerprint may have committed it."""
        now = Pointer.read(self.pointer.store)
        if now.name(self.label) != self.folder.name:
            self.folder.remove()
            self._done.remove()


def _read(place: ObjectPath) -> bytes | None:
    try:
        return place.read_bytes()
    except FileNotFoundError:
        return None


@contextmanager
def attempted(
    target: ObjectPath, fingerprint: str, listing: Mapping[str, Any] | None, overwrite: Overwrite
) -> Iterator[Attempt | None]:
    """Give a node to write on an object store; see :func:`chunkmed.store.staged`."""
    label = None if listing is None else target.name
    store = target if listing is None else target.parent.parent
    pointer = Pointer.read(store, replacing=bool(overwrite) and label is None)
    committed = pointer.node(label)
    if overwrite == "changed" and committed and is_whole(committed, fingerprint, label=label is not None):
        yield None
        return
    if label is not None and committed is not None and is_unlisted(committed, fingerprint):
        # The commit was made, and cut off before it was listed.
        Attempt(target, fingerprint, pointer, label).sweep(pointer)
        yield None
    else:
        _check_replaceable(target, pointer, label, overwrite)
        attempt = Attempt(target, fingerprint, pointer, label)
        attempt.open()
        with _told(attempt):
            yield attempt
            attempt.commit()
    if listing is not None:
        list_attempt(store, listing)


@contextmanager
def _told(attempt: Attempt) -> Iterator[None]:
    """Say of a write that another writer came first: its commit may have swept what this one reads."""
    try:
        yield
    except StoreError as error:
        if error.kind in NO_ANSWER or not attempt.is_overtaken():
            raise
        attempt.discard()
        raise overtaken(attempt.target) from error


def _check_replaceable(target: ObjectPath, pointer: Pointer, label: str | None, overwrite: Overwrite) -> None:
    if pointer.name(label) is not None and not overwrite:
        raise exists_already(target)
    if label is None and pointer.tag is None:
        folders, files = target.entries()
        others = [name for name in folders if not ATTEMPT.fullmatch(name)] + files
        if others and others != [POINTER]:
            raise not_replaceable(target) if overwrite else exists_already(target)
