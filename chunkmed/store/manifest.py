"""What a committed node consists of: key, length and crc32c of every object."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from chunkmed.errors import StoreError
from chunkmed.store.place import ObjectPath, Place
from chunkmed.store.sealed import damaged_metadata, read_sealed, write_sealed

__all__ = ["MANIFEST", "Damage", "Manifest", "Objects", "file_checksum"]

MANIFEST = "manifest.json"
#: Length and crc32c of each object, by its path below the node folder.
Objects = dict[str, tuple[int, int]]
_PIECE = 1 << 20
#: Objects that are fetched at a time; each is as large as a shard.
_READING_THREADS = 4


@dataclass(frozen=True)
class Damage:
    """One object that is not what was committed."""

    key: str
    why: str


@dataclass(frozen=True)
class Manifest:
    """The objects of one committed node."""

    commit: str
    objects: Objects

    def write(self, folder: Place) -> None:
        """Write the manifest into the node folder; the commit waits until it is on disk."""
        objects = {key: list(value) for key, value in sorted(self.objects.items())}
        write_sealed(folder / MANIFEST, {"commit": self.commit, "objects": objects}, sync=False)

    @classmethod
    def read(cls, folder: Place) -> Manifest:
        """Read the manifest of a node.

        Raises
        ------
        StoreError
            ``uncommitted`` where there is none, ``damaged-metadata`` where it changed.
        """
        try:
            content = read_sealed(folder / MANIFEST)
        except OSError as error:
            raise StoreError(
                "the store was never finished",
                kind="uncommitted",
                where=str(folder),
                why=f"it has no {MANIFEST}",
                fix="run the conversion or save again: what is done already is kept",
            ) from error
        try:
            objects = {str(key): (int(size), int(crc)) for key, (size, crc) in content["objects"].items()}
            return cls(str(content["commit"]), objects)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # Intact in itself, but another file's content.
            raise damaged_metadata(folder / MANIFEST, "it is no manifest") from error

    def missing(self, folder: Place) -> Iterator[Damage]:
        """Yield the objects that are absent or of another length: no object is read."""
        size_of = _sizes(folder)
        for key, (size, _) in self.objects.items():
            found = size_of(key)
            if found is None:
                yield Damage(key, "missing")
            elif found != size:
                yield Damage(key, f"{found} bytes instead of {size}")

    def damaged(self, folder: Place) -> Iterator[Damage]:
        """Yield the objects that are not byte for byte what was written."""
        for (key, (size, crc)), found in zip(
            self.objects.items(), _checksums(folder, self.objects), strict=True
        ):
            if found is None:
                yield Damage(key, "missing")
            elif found != (size, crc):
                why = f"{found[0]} bytes instead of {size}" if found[0] != size else "its checksum differs"
                yield Damage(key, why)

    def load(self, folder: Place, key: str) -> bytes:
        """Return a small object, checked."""
        try:
            raw = (folder / key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raw = b""
        if self.objects.get(key) != (len(raw), google_crc32c.value(raw)):
            raise damaged_metadata(folder / key, "it does not match the manifest")
        return raw


def _sizes(folder: Place) -> Callable[[str], int | None]:
    """Return what tells the length of an object by its key, None where there is none."""
    if isinstance(folder, ObjectPath):
        # One request for a thousand of them.
        return folder.sizes().get
    # Strings: of very many objects, paths would cost more than looking at the files.
    root = f"{folder}/"
    return lambda key: _size(root + key)


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return None


def file_checksum(path: str | Path) -> tuple[int, int] | None:
    """Return length and crc32c of a file, None where there is none."""
    size, crc = 0, 0
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            while piece := file.read(_PIECE):
                size, crc = size + len(piece), google_crc32c.extend(crc, piece)
    except OSError:
        return None
    return size, crc


def _checksums(folder: Place, keys: Iterable[str]) -> Iterator[tuple[int, int] | None]:
    """Yield length and crc32c of each object."""
    if not isinstance(folder, ObjectPath):
        yield from (file_checksum(f"{folder}/{key}") for key in keys)
        return
    with ThreadPoolExecutor(_READING_THREADS) as pool:
        yield from pool.map(_object_checksum, [folder / key for key in keys])


def _object_checksum(place: ObjectPath) -> tuple[int, int] | None:
    try:
        raw = place.read_bytes()
    except FileNotFoundError:
        return None
    return len(raw), int(google_crc32c.value(raw))


def checksums(pieces: Mapping[str, bytes]) -> Objects:
    """Return length and crc32c of small objects."""
    return {key: (len(raw), int(google_crc32c.value(raw))) for key, raw in pieces.items()}
