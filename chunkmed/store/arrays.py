"""One stored array: read a box, write a block of whole shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from chunkmed.errors import StoreError
from chunkmed.provenance import content_hash
from chunkmed.store.layout import Layout, compressors, layout_of

__all__ = ["ArrayWriter", "StoredArray", "create_array", "open_array"]

Array = npt.NDArray[Any]
Box = Sequence[tuple[int, int]]


class StoredArray:
    """An array in a store as something to read boxes from; cheap to send to a worker.

    Parameters
    ----------
    path : path
        Folder of the zarr array.
    commit : str
        Identifier of the write that made it: the content token.
    """

    def __init__(self, path: str | Path, commit: str) -> None:
        # Absolute: a worker may run in another folder.
        self.path, self.commit = str(Path(path).absolute()), commit
        array = self._array
        self.shape = tuple(int(n) for n in array.shape)
        self.dtype = np.dtype(array.dtype)
        self.chunks = tuple(array.shards or array.chunks)
        self.token = content_hash("stored", Path(self.path).name, commit)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_array"}

    @cached_property
    def _array(self) -> Any:
        try:
            return zarr.open_array(self.path, mode="r", zarr_format=3)
        except (OSError, KeyError, ValueError) as error:
            raise StoreError(
                "an array of a store cannot be opened",
                kind="unreadable-array",
                where=self.path,
                why=str(error).splitlines()[0] if str(error) else type(error).__name__,
                fix="convert or save again",
            ) from error

    def read(self, box: Box) -> Array:
        """Return the values of a box."""
        cut = tuple(slice(a, b) for a, b in box)
        try:
            return np.asarray(self._array[cut])
        except (OSError, RuntimeError, ValueError) as error:
            raise StoreError(
                "stored values cannot be read",
                kind="unreadable-chunk",
                where=f"{self.path} {list(box)}",
                why=str(error).splitlines()[0] if str(error) else type(error).__name__,
                fix="the store is damaged: convert or save again",
            ) from error


class ArrayWriter:
    """An array that blocks are written into; a block is made of whole shards."""

    def __init__(self, path: str | Path, layout: Layout) -> None:
        self.path, self.layout = str(Path(path).absolute()), layout

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "layout": self.layout}

    @cached_property
    def _array(self) -> Any:
        return zarr.open_array(self.path, mode="r+", zarr_format=3)

    def write(self, box: Box, values: Array) -> int:
        """Write a block and return its size in bytes."""
        shape = self._array.shape
        for (start, stop), side, n in zip(box, self.layout.shard, shape, strict=True):
            # Two writers in one shard lose data silently.
            if start % side or (stop % side and stop != n):
                raise StoreError("a block does not own whole shards", kind="torn-shard", where=str(box))
        self._array[tuple(slice(a, b) for a, b in box)] = values
        return int(values.nbytes)


def create_array(
    path: str | Path,
    shape: Sequence[int],
    dtype: Any,
    *,
    dims: Sequence[str] | None = None,
    attributes: Mapping[str, Any] | None = None,
    scratch: bool = False,
    layout: Layout | None = None,
) -> ArrayWriter:
    """Create an empty array in the layout of the store and return its writer."""
    layout = layout or layout_of(shape)
    zarr.create_array(
        str(path),
        shape=tuple(shape),
        dtype=np.dtype(dtype),
        chunks=layout.inner,
        shards=layout.shard,
        compressors=compressors(fast=scratch),
        fill_value=np.zeros((), dtype).item(),
        dimension_names=list(dims) if dims is not None else None,
        attributes=dict(attributes or {}),
        zarr_format=3,
        overwrite=False,
    )
    return ArrayWriter(path, layout)


def open_array(path: str | Path, commit: str) -> StoredArray:
    """Return a stored array to read from."""
    return StoredArray(path, commit)
