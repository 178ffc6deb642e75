"""What a committed node consists of: key, length and crc32c of every object."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from chunkmed.errors import StoreError
from chunkmed.store.sealed import damaged_metadata, read_sealed, write_sealed

__all__ = ["MANIFEST", "Damage", "Manifest", "Objects", "file_checksum"]

MANIFEST = "manifest.json"
#: Length and crc32c of each object, by its path below the node folder.
Objects = dict[str, tuple[int, int]]
_PIECE = 1 << 20


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

    def write(self, folder: Path) -> None:
        """Write the manifest into the node folder; the commit waits until it is on disk."""
        objects = {key: list(value) for key, value in sorted(self.objects.items())}
        write_sealed(folder / MANIFEST, {"commit": self.commit, "objects": objects}, sync=False)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
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

    def missing(self, folder: Path) -> Iterator[Damage]:
        """Yield the objects that are absent or of another length: no object is read."""
        # Strings: of very many objects, paths would cost more than looking at the files.
        root = f"{folder}/"
        for key, (size, _) in self.objects.items():
            found = _size(root + key)
            if found is None:
                yield Damage(key, "missing")
            elif found != size:
                yield Damage(key, f"{found} bytes instead of {size}")

    def damaged(self, folder: Path) -> Iterator[Damage]:
        """Yield the objects that are not byte for byte what was written."""
        root = f"{folder}/"
        for key, (size, crc) in self.objects.items():
            found = file_checksum(root + key)
            if found is None:
                yield Damage(key, "missing")
            elif found != (size, crc):
                why = f"{found[0]} bytes instead of {size}" if found[0] != size else "its checksum differs"
                yield Damage(key, why)

    def load(self, folder: Path, key: str) -> bytes:
        """Return a small object, checked."""
        raw = (folder / key).read_bytes() if _size(folder / key) is not None else b""
        if self.objects.get(key) != (len(raw), google_crc32c.value(raw)):
            raise damaged_metadata(folder / key, "it does not match the manifest")
        return raw


def _size(path: str | Path) -> int | None:
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


def checksums(pieces: Mapping[str, bytes]) -> Objects:
    """Return length and crc32c of small objects."""
    return {key: (len(raw), int(google_crc32c.value(raw))) for key, raw in pieces.items()}
