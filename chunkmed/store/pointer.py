"""Which nodes of a store on an object store are committed: one small object, written last.

::

    heart.zarr/
      committed.json                      names what is committed; replaced by conditional puts only
      FINGERPRINT-ATTEMPT/                an image with its levels: a zarr group like any other
        zarr.json  manifest.json  0/ ...
        labels/body.FINGERPRINT-ATTEMPT/  a label image, its commit is in committed.json too
      FINGERPRINT-ATTEMPT.done/           what an unfinished write has finished

A prefix is never written twice: whoever reads the pointer sees the old nodes or the new ones.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field, replace

from chunkmed.errors import StoreError
from chunkmed.store.place import ObjectPath
from chunkmed.store.sealed import damaged_metadata, open_sealed, sealed_bytes

__all__ = ["ATTEMPT", "POINTER", "Pointer", "attempt_name", "has_leftovers", "store_of"]

POINTER = "committed.json"
#: What prefixes of attempts, and of their records, end with: nothing else is ever swept.
ATTEMPT = re.compile(r"(?P<stem>.*?)\.?(?P<commit>[0-9a-f]{16})-[0-9a-f]{8}(?P<done>\.done)?")
#: How often a conditional put is repeated that other writers of other nodes came before.
_TRIES = 50


def attempt_name(fingerprint: str, label: str | None) -> str:
    """Return a new name below the store, or below its label images."""
    front = "" if label is None else f"{label}."
    return f"{front}{fingerprint}-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class Pointer:
    """What is committed in a store."""

    store: ObjectPath
    image: str | None = None
    """Name of the committed prefix; None where there is none."""
    labels: dict[str, str] = field(default_factory=dict)
    """Names of the committed prefixes of label images, below ``labels`` of the image's."""
    tag: str | None = None
    """Entity tag of the object that said so."""

    @classmethod
    def read(cls, store: ObjectPath, *, replacing: bool = False) -> Pointer:
        """Return what is committed, an empty pointer where nothing is.

        Parameters
        ----------
        store : ObjectPath
            The store.
        replacing : bool
            Whether a damaged pointer names nothing: it is to be replaced.

        Raises
        ------
        StoreError
            ``damaged-metadata``, ``no-access``, ``no-answer``.
        """
        place = store / POINTER
        try:
            raw, tag = place.bucket.get_tagged(place.key)
        except FileNotFoundError:
            return cls(store)
        try:
            content = open_sealed(raw, place)
            labels = {str(name): str(prefix) for name, prefix in content["labels"].items()}
            return cls(store, str(content["image"]), labels, tag)
        except StoreError:
            if replacing:
                return cls(store, tag=tag)
            raise
        except (KeyError, AttributeError) as error:
            raise damaged_metadata(place, "it names no image") from error

    def name(self, label: str | None) -> str | None:
        """Return the name of the prefix of the image, or of a label image."""
        return self.image if label is None else self.labels.get(label)

    def node(self, label: str | None = None) -> ObjectPath | None:
        """Return the committed prefix of the image, or of a label image."""
        name = self.name(label)
        return None if name is None or self.image is None else self.folder(label) / name

    def folder(self, label: str | None) -> ObjectPath:
        """Return where prefixes of the image, or of label images, lie."""
        return self.store if label is None else self.store / str(self.image) / "labels"

    def _with(self, label: str | None, name: str) -> Pointer:
        if label is None:
            return replace(self, image=name, labels={})
        return replace(self, labels={**self.labels, label: name})

    def commit(self, label: str | None, name: str) -> Pointer:
        """Let the pointer name a new prefix, unless another writer replaced the node since it was read.

        Raises
        ------
        StoreError
            ``overtaken``.
        """
        place, now = self.store / POINTER, self
        for _ in range(_TRIES):
            new = now._with(label, name)
            content = {"image": new.image, "labels": new.labels}
            if place.write_if(sealed_bytes(content), now.tag):
                return new
            now = Pointer.read(self.store)
            if now.name(label) == name:
                # Ours after all: the answer was lost on its way.
                return now
            if (now.image, now.name(label)) != (self.image, self.name(label)):
                break
        raise overtaken(self.store if label is None else self.store / "labels" / label)


def overtaken(place: ObjectPath) -> StoreError:
    """Return the error for the writer that came second."""
    return StoreError(
        "another writer came first",
        kind="overtaken",
        where=str(place),
        why="what is committed there changed while this write ran",
        kept="what the other wrote is whole; nothing of this write shows",
        fix="open what is there, or write again with overwrite=True (--overwrite)",
    )


def store_of(prefix: ObjectPath) -> tuple[ObjectPath, str | None] | None:
    """Return the store that a prefix of an image or label image lies in, and the label image's name."""
    found = ATTEMPT.fullmatch(prefix.name)
    if found is None:
        return None
    return (prefix.parent.parent.parent, found["stem"]) if found["stem"] else (prefix.parent, None)


def has_leftovers(store: ObjectPath) -> bool:
    """Whether there are writes that were never committed."""
    return any(ATTEMPT.fullmatch(name) for name in store.entries()[0])
