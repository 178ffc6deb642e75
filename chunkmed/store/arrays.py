"""One sharded array: read a box, write a block of whole shards."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.errors import StoreError
from chunkmed.provenance import content_hash
from chunkmed.reused import empty
from chunkmed.store import files
from chunkmed.store.commit import writing
from chunkmed.store.layout import Layout, layout_of
from chunkmed.store.manifest import Objects
from chunkmed.store.metadata import sharded_array, sharding_of
from chunkmed.store.place import ObjectPath, Place
from chunkmed.store.sealed import dumps
from chunkmed.store.shards import (
    Codec,
    ShardGrid,
    checksum,
    decode_into,
    encode,
    index_bytes,
    needs_most,
    seal,
)
from chunkmed.store.spans import opened

__all__ = ["ArrayWriter", "StoredArray", "create_array", "open_array"]

Array = npt.NDArray[Any]
Box = Sequence[tuple[int, int]]

#: Twice the speed of zstd 1 on CT at nine tenths of its ratio (benchmarks/shards.py).
IMAGE_CODEC = Codec("lz4")


def _key(index: Sequence[int]) -> str:
    return "/".join(["c", *(str(i) for i in index)])


class StoredArray:
    """An array in a store as something to read boxes from; cheap to send to a worker.

    Parameters
    ----------
    path : path
        Folder of the zarr array.
    commit : str or None
        Identifier of the write that made it: the content token, and part of every shard's seal.
        None for a sharded array that others wrote: it has no seals.
    fill_missing : bool, default False
        Whether a shard that is not there holds the fill value, as zarr says, or is an error.
    """

    #: What is read is made for who asks alone, in memory that is used again.
    fresh = reuses = True

    def __init__(self, path: str | Place, commit: str | None, *, fill_missing: bool = False) -> None:
        # Absolute: a worker may run in another folder.
        self.path, self.commit, self.fill_missing = _absolute(path), commit, fill_missing
        self.grid, self._stored, self.packing = sharding_of(_read_metadata(self.path), str(self.path))
        self.dtype = self._stored.newbyteorder("=")
        self.shape, self.chunks = self.grid.shape, self.grid.shard
        #: What is decoded at once.
        self.granule = self.grid.inner
        # What others write may change under one name: it never has the token of another opening.
        self.token = content_hash("stored", str(self.path), commit or uuid.uuid4().hex)

    def read(self, box: Box, out: Array | None = None) -> Array:
        """Return the values of a box.

        Parameters
        ----------
        box : box
            Ranges of indices, one per axis.
        out : ndarray, optional
            Where the values go, of the shape of the box; a view of a larger array will do.

        Raises
        ------
        StoreError
            ``missing-shard`` or ``damaged-shard``: nothing is ever filled in for what is not there.
        """
        shape = tuple(stop - start for start, stop in box)
        given = out is not None and out.dtype == self._stored
        if out is not None and out.shape != shape:
            raise ValueError(f"out has shape {out.shape}, the box {shape}")
        values = out if out is not None and given else empty(shape, self._stored)
        for index in self.grid.touched(box):
            self._read_shard(index, box, values)
        if out is None:
            return values.astype(self.dtype, copy=False)
        if not given:
            out[...] = values
        return out

    def _read_shard(self, index: tuple[int, ...], box: Box, out: Array) -> None:
        key = _key(index)
        path = self.path / key
        sealed = None if self.commit is None else seal(self.commit, key)
        # A file is read by its parts as it is.
        most = not isinstance(path, Path) and needs_most(self.grid, index, box)
        try:
            with opened(path, tail=index_bytes(self.grid, self.packing), most=most) as source:
                decode_into(source, self.grid, self.packing, index, box, out, sealed, str(path))
        except OSError as error:
            if not self.fill_missing or not isinstance(error, FileNotFoundError):
                raise _missing(path, error) from error
            out[self.grid.part(index, box)] = self.packing.fill


def _absolute(path: str | Place) -> Place:
    return path if isinstance(path, ObjectPath) else Path(path).absolute()


def _missing(path: Place, error: OSError) -> StoreError:
    absent = isinstance(error, FileNotFoundError)
    return StoreError(
        "stored values are missing" if absent else "stored values cannot be read",
        kind="missing-shard" if absent else "unreadable-shard",
        where=str(path),
        why=error.strerror or str(error),
        fix="convert or save again; chunkmed verify lists all damage",
    )


def _read_metadata(path: Place) -> dict[str, Any]:
    try:
        meta: dict[str, Any] = json.loads((path / "zarr.json").read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(
            "an array of a store cannot be opened",
            kind="unreadable-array",
            where=str(path),
            why=str(error),
            fix="convert or save again",
        ) from error
    return meta


class ArrayWriter:
    """An array that blocks are written into; a block is made of whole shards."""

    def __init__(self, path: str | Place, grid: ShardGrid, dtype: Any, codec: Codec, commit: str) -> None:
        self.path = _absolute(path)
        self.grid, self.dtype, self.codec, self.commit = grid, np.dtype(dtype), codec, commit

    @property
    def layout(self) -> Layout:
        """Shapes of inner chunks and shards."""
        return Layout(self.grid.inner, self.grid.shard)

    def keys(self, box: Box) -> Iterator[str]:
        """Yield the keys of the shards of a block, below the array's folder."""
        return (_key(index) for index in self.grid.touched(box))

    def write(self, box: Box, values: Array) -> Objects:
        """Write a block; each shard appears whole or not at all.

        Returns
        -------
        dict
            Length and crc32c of every shard by its key.
        """
        for (start, stop), side, n in zip(box, self.grid.shard, self.grid.shape, strict=True):
            # Two writers in one shard would lose each other's data.
            if start % side or (stop % side and stop != n):
                raise StoreError("a block does not own whole shards", kind="torn-shard", where=str(box))
        block = values.astype(self.dtype, copy=False)
        with writing(self.path):
            return {_key(index): self._write(index, block, box) for index in self.grid.touched(box)}

    def _write(self, index: Sequence[int], block: Array, box: Box) -> tuple[int, int]:
        key = _key(index)
        spans = zip(self.grid.shard_box(index), box, strict=True)
        part = block[tuple(slice(a - c, b - c) for (a, b), (c, _) in spans)]
        pieces = encode(part, self.grid, self.codec, seal(self.commit, key))
        path = self.path / key
        if path.parent not in self._folders:
            files.make_folder(path.parent, below=self.path)
            self._folders.add(path.parent)
        files.write(path, pieces, shared=True)
        return sum(map(len, pieces)), checksum(pieces)

    @cached_property
    def _folders(self) -> set[Place]:
        """Folders that are known to exist."""
        return set()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_folders"}


def create_array(
    path: str | Place,
    shape: Sequence[int],
    dtype: Any,
    *,
    commit: str,
    dims: Sequence[str] | None = None,
    attributes: Mapping[str, Any] | None = None,
    layout: Layout | None = None,
) -> tuple[ArrayWriter, bytes]:
    """Create an empty array in the layout of the store; return its writer and its metadata."""
    layout, kind = layout or layout_of(shape), np.dtype(dtype).newbyteorder("=")
    if kind.kind not in "biuf" or kind.itemsize > 8:
        raise StoreError(f"values of dtype {kind} cannot be stored", kind="bad-dtype", fix="astype first")
    meta = dumps(sharded_array(shape, kind, layout, IMAGE_CODEC, dims, attributes or {}))
    path = _absolute(path)
    files.make_folder(path)
    files.write(path / "zarr.json", [meta])
    grid = ShardGrid(tuple(int(n) for n in shape), layout.shard, layout.inner)
    return ArrayWriter(path, grid, kind, IMAGE_CODEC, commit), meta


def open_array(path: str | Place, commit: str | None, *, fill_missing: bool = False) -> StoredArray:
    """Return a stored array to read from; ``commit`` is None where others wrote it."""
    return StoredArray(path, commit, fill_missing=fill_missing)
