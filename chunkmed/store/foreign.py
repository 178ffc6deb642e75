"""Zarr arrays and OME-Zarr images that others wrote, versions 2 and 3: read by zarr itself.

What is not there holds the fill value, as zarr says: only stores that chunkmed wrote have a manifest that
could tell otherwise.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.errors import StoreError
from chunkmed.grid import IDENTITY, Matrix
from chunkmed.provenance import content_hash
from chunkmed.store import foreign_ngff
from chunkmed.store.manifest import MANIFEST
from chunkmed.store.naming import check_name
from chunkmed.store.place import ObjectPath, Place

__all__ = [
    "ForeignArray",
    "ForeignImage",
    "foreign_array",
    "is_ours",
    "is_zarr",
    "is_zarr_array",
    "open_foreign",
]

Array = npt.NDArray[Any]
Box = Sequence[tuple[int, int]]
_MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")


class ForeignArray:
    """A zarr array as something to read boxes from; opened again where it is sent to."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._array: Any = None
        self._lock = threading.Lock()
        self._set(self._opened())
        # What others write may change under one name: it never has the token of another opening.
        self.token = content_hash("foreign zarr", str(self.path), uuid.uuid4().hex)

    def _set(self, array: Any) -> None:
        self.shape, stored = tuple(int(n) for n in array.shape), np.dtype(array.dtype)
        self.dtype = stored.newbyteorder("=")
        shards = getattr(array, "shards", None)
        self.chunks = tuple(int(n) for n in (shards or array.chunks))
        #: What is decoded at once.
        self.granule = tuple(int(n) for n in array.chunks)

    def read(self, box: Box) -> Array:
        """Return the values of a box.

        Raises
        ------
        StoreError
            ``unreadable-chunk`` where a chunk is damaged or cannot be read.
        """
        try:
            found = np.asarray(self._opened()[tuple(slice(a, b) for a, b in box)])
        except StoreError:
            raise
        except Exception as error:  # codecs raise whatever they like
            raise StoreError(
                "a zarr array cannot be read",
                kind="unreadable-chunk",
                where=str(self.path),
                why=f"{type(error).__name__}: {error}",
                fix="get a whole copy of it",
            ) from error
        return found.astype(self.dtype, copy=False)

    def _opened(self) -> Any:
        with self._lock:
            if self._array is None:
                self._array = _zarr_opened(self.path)
            return self._array

    @property
    def label(self) -> str:
        """What ``explain`` calls it."""
        return "read zarr"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_array": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


class _OpenedArray(ForeignArray):
    """A zarr array that the user opened."""

    def __init__(self, array: Any) -> None:
        self.path, self._array, self._lock = Path(str(array.store)), array, threading.Lock()
        self._set(array)
        self.token = content_hash("opened zarr", uuid.uuid4().hex)

    def __getstate__(self) -> dict[str, Any]:
        # zarr's own arrays travel, where their store can.
        return self.__dict__ | {"_lock": None}


@dataclass(frozen=True)
class ForeignImage:
    """One level of an image that others wrote; what it does not say is None."""

    array: ForeignArray
    dims: tuple[str, ...] | None
    spacing_mm: dict[str, float] | None = None
    origin_mm: dict[str, float] | None = None
    time_ms: Any = None
    direction: Matrix = IDENTITY
    channels: dict[str, int] = field(default_factory=dict)
    """Number of each channel by its name."""


def is_zarr(path: Path) -> bool:
    """Whether a folder looks like zarr, of any version and whoever wrote it."""
    return any((path / name).is_file() for name in (*_MARKS, MANIFEST))


def is_ours(path: Place) -> bool:
    """Whether a store is, or was, one that chunkmed wrote: what is missing of it is damage."""
    if isinstance(path, ObjectPath):
        # Of others none are read from there.
        return True
    if (path / MANIFEST).is_file():
        return True
    try:
        attributes = json.loads((path / "zarr.json").read_bytes())["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return isinstance(attributes, dict) and "chunkmed" in attributes


def is_zarr_array(value: Any) -> bool:
    """Whether something is an array that zarr opened."""
    return type(value).__module__.partition(".")[0] == "zarr" and hasattr(value, "chunks")


def foreign_array(array: Any) -> ForeignArray:
    """Return a zarr array that the user opened as something to read from."""
    return _OpenedArray(array)


def open_foreign(path: Path, label: str | None = None, level: int = 0) -> ForeignImage:
    """Return an image of an OME-Zarr store (0.1 to 0.5), or a zarr array; metadata are read only.

    Raises
    ------
    StoreError
        ``unreadable-metadata``, ``not-an-image``, ``no-label``, ``bad-metadata``, ``inside-a-store``.
    InputError
        ``no-level``.
    """
    _refuse_inside(path)
    folder = path if label is None else path / "labels" / check_name(label)
    if label is not None and not is_zarr(folder):
        raise StoreError(f"no label image {label!r}", kind="no-label", where=str(path))
    node = _zarr_opened(folder, group=True)
    if hasattr(node, "shape"):
        return ForeignImage(ForeignArray(folder), _dimension_names(node))
    found = foreign_ngff.multiscale(_attributes(node), str(folder), level, inside=_members(folder))
    array = ForeignArray(_below(folder, found.path))
    return _described(array, found, str(folder))


def _refuse_inside(path: Path) -> None:
    """Refuse a part of a store that chunkmed wrote: by itself what is missing of it would be fill value."""
    owner = next((above for above in path.parents[:4] if is_ours(above)), None)
    if owner is not None:
        raise StoreError(
            "this is a part of a store that chunkmed wrote",
            kind="inside-a-store",
            where=str(path),
            fix=f"open the store, {owner.name}, with level= or label=",
        )


def _described(array: ForeignArray, found: foreign_ngff.Multiscale, where: str) -> ForeignImage:
    if len(array.shape) != len(found.axes):
        raise StoreError(
            "axes and array do not fit together",
            kind="bad-metadata",
            where=where,
            why=f"{len(found.axes)} axes, shape {array.shape}",
        )
    times = found.times_ms(array.shape)
    return ForeignImage(
        array, found.dims, found.spacing_mm, found.origin_mm, times, found.direction, found.channels
    )


def _below(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise StoreError("an array lies outside the store", kind="bad-metadata", where=str(folder), why=name)
    return path


def _attributes(node: Any) -> Mapping[str, Any]:
    return dict(node.attrs)


def _members(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if is_zarr(Path(entry.path)))
    except OSError:
        return []


def _dimension_names(array: Any) -> tuple[str, ...] | None:
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    known = {"t": "t", "time": "t", "z": "z", "y": "y", "x": "x", "c": "c", "channel": "c"}
    if not names or not all(str(name).lower() in known for name in names):
        return None
    return tuple(known[str(name).lower()] for name in names)


def _zarr_opened(path: Path, *, group: bool = False) -> Any:
    import zarr

    try:
        return zarr.open(str(path), mode="r") if group else zarr.open_array(str(path), mode="r")
    except Exception as error:  # zarr raises whatever its parsers do
        raise StoreError(
            "this zarr store cannot be opened",
            kind="unreadable-metadata",
            where=str(path),
            why=f"{type(error).__name__}: {error}",
            fix="check the path, or get a whole copy of it",
        ) from error
