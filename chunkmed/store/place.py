"""Where things lie: a local path, or a prefix of an object store that answers to the same names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from chunkmed.errors import InputError
from chunkmed.store.bucket import Bucket, bucket_of
from chunkmed.store.naming import resolved
from chunkmed.store.operations import operation
from chunkmed.store.options import storage_options

__all__ = ["ObjectPath", "Place", "is_url", "locate"]

_SCHEMES = ("s3", "s3a", "gs", "az", "abfs", "abfss", "memory")
_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):/(.*)", re.DOTALL)
#: The most keys that one request removes.
_MOST_KEYS = 1000


@dataclass(frozen=True)
class ObjectPath:
    """A key or prefix of an object store: the part of :class:`pathlib.Path` that the store room uses.

    Examples
    --------
    >>> place = ObjectPath("s3://bucket", "study/heart.zarr")
    >>> str(place / "0/image"), place.name, str(place.parent)
    ('s3://bucket/study/heart.zarr/0/image', 'heart.zarr', 's3://bucket/study')
    """

    root: str
    """Scheme and bucket."""
    key: str
    """Path below the bucket, without slashes at its ends."""
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False, compare=False)
    """How the store is reached; it travels to workers, and shows nowhere."""

    def __str__(self) -> str:
        return f"{self.root}/{self.key}"

    def __truediv__(self, key: str) -> ObjectPath:
        return ObjectPath(self.root, f"{self.key}/{key}" if self.key else key, self.options)

    @property
    def bucket(self) -> Bucket:
        """The connection."""
        return bucket_of(self.root, self.options)

    @property
    def name(self) -> str:
        """The last part."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> ObjectPath:
        """The prefix that it lies in."""
        return ObjectPath(self.root, self.key.rpartition("/")[0], self.options)

    def with_name(self, name: str) -> ObjectPath:
        """Return a sibling."""
        return self.parent / name

    def absolute(self) -> ObjectPath:
        """Return itself: there is no other folder to be relative to."""
        return self

    def read_bytes(self) -> bytes:
        """Return the object."""
        return self.bucket.get(self.key)

    def exists(self) -> bool:
        """Whether an object lies here or below."""
        return self.is_dir() or self.is_file()

    def is_dir(self) -> bool:
        """Whether objects lie below."""
        return not self.bucket.is_empty(self.key)

    def is_file(self) -> bool:
        """Whether there is an object of this very name."""
        try:
            self.bucket.tail(self.key, 1)
        except FileNotFoundError:
            return False
        return True

    def entries(self) -> tuple[list[str], list[str]]:
        """Return the names of the prefixes and of the objects right below."""
        return self.bucket.entries(self.key)

    def sizes(self) -> dict[str, int]:
        """Return the size of every object below, by its key from here."""
        return {key: size for key, size, _ in self._objects()}

    def last_written(self) -> datetime | None:
        """Return when the newest object below was written."""
        return max((when for _, _, when in self._objects()), default=None)

    def _objects(self) -> Iterator[tuple[str, int, datetime]]:
        front = len(self.key) + 1 if self.key else 0
        return ((key[front:], size, when) for key, size, when in self.bucket.objects(self.key))

    def write(self, raw: bytes) -> None:
        """Write the object whole."""
        with operation("put", self):
            self.bucket.put(self.key, raw)

    def write_if(self, raw: bytes, tag: str | None) -> bool:
        """Write the object if it still is what it was; say if it was so."""
        with operation("put if", self):
            return self.bucket.put_if(self.key, raw, tag)

    def remove(self) -> None:
        """Remove everything below."""
        keys = [f"{self.key}/{key}" for key in self.sizes()]
        for first in range(0, len(keys), _MOST_KEYS):
            with operation("remove", self):
                self.bucket.delete(keys[first : first + _MOST_KEYS])

    def remove_object(self) -> None:
        """Remove the object itself."""
        with operation("remove", self):
            self.bucket.delete([self.key])


#: What the store room takes for a folder or file.
Place: TypeAlias = Path | ObjectPath


def is_url(path: object) -> bool:
    """Whether a text is a URL of a place."""
    found = _URL.match(str(path))
    return found is not None and found[1].lower() in (*_SCHEMES, "file")


def locate(path: str | os.PathLike[str] | ObjectPath) -> Place:
    """Return where a path or URL leads: links followed, through a link a store would have a second lock.

    Raises
    ------
    InputError
        ``bad-url`` for schemes that are not known, and URLs without a bucket; ``bad-path``.
    """
    if isinstance(path, ObjectPath):
        return path
    found = _URL.match(os.fspath(path))
    if found is None or Path(path).exists():
        return resolved(path)
    scheme, rest = found[1].lower(), found[2]
    if scheme == "file":
        return resolved("/" + rest.lstrip("/"))
    if scheme not in _SCHEMES:
        raise _bad_url(path, f"schemes are {', '.join(_SCHEMES)}")
    if not rest.startswith("/"):
        # pathlib makes one slash of two.
        raise _bad_url(path, "give URLs as text, not as pathlib.Path")
    host, *parts = rest[1:].split("/")
    parts = [part for part in parts if part]
    if not host or any(part in (".", "..") for part in parts):
        raise _bad_url(path, f"write {scheme}://bucket/prefix/name.zarr")
    return ObjectPath(f"{scheme}://{host}", "/".join(parts), tuple(sorted(storage_options().items())))


def _bad_url(path: object, fix: str) -> InputError:
    return InputError("this URL is not understood", kind="bad-url", where=str(path), fix=fix)
