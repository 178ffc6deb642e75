"""Our own codec for zarr v3 shards: one call makes a whole shard, one call reads a box of it.

On disk it is plain ``sharding_indexed`` (bytes, blosc, crc32c; index at the end) and every zarr reader
understands it. In front of the chunks, where the format allows bytes that no index entry points to,
stands a seal of the shard's own place and commit: a shard that was swapped with another or left over
from an older write is refused, not only one whose bits were flipped.

Source: ZEP 2, sharding codec version 1.0 (zarr-specs).
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
from numcodecs import blosc

from chunkmed.errors import StoreError

__all__ = ["Codec", "ShardGrid", "decode_into", "encode", "seal"]

Array = npt.NDArray[Any]
Box = Sequence[tuple[int, int]]

_MAGIC = b"chunkmed"
SEAL_BYTES = 32
#: Offset and length of an inner chunk that holds nothing but the fill value.
_EMPTY = (1 << 64) - 1
_CRC_BYTES = 4


@dataclass(frozen=True)
class Codec:
    """How inner chunks are compressed."""

    name: str = "zstd"
    level: int = 1
    shuffle: str = "bitshuffle"

    @property
    def shuffle_number(self) -> int:
        """The shuffle as blosc counts it."""
        return {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}[self.shuffle]


@dataclass(frozen=True)
class ShardGrid:
    """Shapes of an array, of its shards and of the inner chunks."""

    shape: tuple[int, ...]
    shard: tuple[int, ...]
    inner: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of inner chunks of a shard along each axis."""
        return tuple(s // i for s, i in zip(self.shard, self.inner, strict=True))

    def shard_box(self, index: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Return the part of the array that a shard holds."""
        parts = zip(index, self.shard, self.shape, strict=True)
        return tuple((i * s, min((i + 1) * s, n)) for i, s, n in parts)

    def touched(self, box: Box) -> Iterator[tuple[int, ...]]:
        """Yield the indices of the shards that a box touches, in C order."""
        spans = [range(a // s, -(-b // s)) for (a, b), s in zip(box, self.shard, strict=True)]
        return itertools.product(*spans)


def seal(commit: str, key: str) -> bytes:
    """Return the 32 bytes that a shard at ``key`` of the write ``commit`` begins with."""
    return _MAGIC + hashlib.sha256(f"{commit}\0{key}".encode()).digest()[: SEAL_BYTES - len(_MAGIC)]


def encode(values: Array, grid: ShardGrid, codec: Codec, sealed: bytes) -> list[bytes]:
    """Return the pieces of a shard, in the order in which they are written.

    Parameters
    ----------
    values : ndarray
        What the shard holds; smaller than a shard at the end of an axis.
    grid : ShardGrid
        Layout of the array.
    codec : Codec
        Compression of the inner chunks.
    sealed : bytes
        What :func:`seal` gave.
    """
    counts = grid.counts
    index = np.full((*counts, 2), _EMPTY, dtype="<u8")
    pieces, offset = [sealed], len(sealed)
    for place in np.ndindex(*counts):
        chunk = _inner_chunk(values, place, grid.inner)
        if chunk is None:
            continue
        packed = _compress(chunk, codec)
        index[place] = offset, len(packed) + _CRC_BYTES
        pieces += [packed, _crc(packed)]
        offset += len(packed) + _CRC_BYTES
    table = index.tobytes()
    return [*pieces, table, _crc(table)]


def _inner_chunk(values: Array, place: Sequence[int], inner: Sequence[int]) -> Array | None:
    """Return one inner chunk, filled up at the end of an axis; None where it is all fill value."""
    cut = tuple(slice(p * n, (p + 1) * n) for p, n in zip(place, inner, strict=True))
    part = values[cut]
    if part.size == 0 or not part.any():
        return None
    if part.shape == tuple(inner):
        return np.ascontiguousarray(part)
    full = np.zeros(inner, dtype=values.dtype)
    full[tuple(slice(0, n) for n in part.shape)] = part
    return full


def _compress(chunk: Array, codec: Codec) -> bytes:
    little = chunk.astype(chunk.dtype.newbyteorder("<"), copy=False)
    # A view of bytes has no item size of its own: blosc must be told.
    packed: bytes = blosc.compress(
        little.reshape(-1).view(np.uint8),
        codec.name.encode(),
        codec.level,
        codec.shuffle_number,
        0,
        typesize=chunk.dtype.itemsize,
    )
    return packed


def _crc(data: bytes) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(_CRC_BYTES, "little")


def checksum(pieces: Sequence[bytes]) -> int:
    """Return the crc32c of all pieces together."""
    value = 0
    for piece in pieces:
        value = google_crc32c.extend(value, piece)
    return value


def decode_into(
    handle: int, grid: ShardGrid, index: Sequence[int], box: Box, out: Array, sealed: bytes, where: str
) -> None:
    """Read the part of a box that one shard holds.

    Parameters
    ----------
    handle : int
        Open file descriptor of the shard.
    grid : ShardGrid
        Layout of the array.
    index : sequence of int
        Which shard it is.
    box : box
        What is wanted, in indices of the array.
    out : ndarray
        Array of the box: the shard's part of it is filled in.
    sealed : bytes
        The seal that the shard must begin with.
    where : str
        Name of the shard, for messages.

    Raises
    ------
    StoreError
        If anything read is not what was written.
    """
    corner = [i * s for i, s in zip(index, grid.shard, strict=True)]
    table = _read_index(handle, grid, sealed, where)
    scratch = np.empty(grid.inner, dtype=out.dtype)
    for place in _touched_inner(grid, index, box):
        start = [c + p * n for c, p, n in zip(corner, place, grid.inner, strict=True)]
        source, target = _overlap(start, grid, box)
        offset, length = (int(value) for value in table[place])
        if offset == _EMPTY:
            out[target] = 0
        else:
            _decompress(handle, offset, length, scratch, where)
            out[target] = scratch[source]


def _read_index(handle: int, grid: ShardGrid, sealed: bytes, where: str) -> npt.NDArray[np.uint64]:
    size = os.fstat(handle).st_size
    bytes_needed = int(np.prod(grid.counts)) * 16 + _CRC_BYTES
    if size < SEAL_BYTES + bytes_needed:
        raise damaged(where, f"it is cut off at {size} bytes")
    if os.pread(handle, SEAL_BYTES, 0) != sealed:
        raise damaged(where, "it belongs to another place or an older write")
    raw = os.pread(handle, bytes_needed, size - bytes_needed)
    if len(raw) != bytes_needed or _crc(raw[:-_CRC_BYTES]) != raw[-_CRC_BYTES:]:
        raise damaged(where, "its index does not match its checksum")
    return np.frombuffer(raw[:-_CRC_BYTES], dtype="<u8").reshape((*grid.counts, 2))


def _touched_inner(grid: ShardGrid, index: Sequence[int], box: Box) -> Iterator[tuple[int, ...]]:
    spans = []
    for (a, b), i, s, n in zip(box, index, grid.shard, grid.inner, strict=True):
        low, high = max(a - i * s, 0), min(b - i * s, s)
        spans.append(range(low // n, -(-high // n)))
    return itertools.product(*spans)


def _overlap(start: Sequence[int], grid: ShardGrid, box: Box) -> tuple[Any, Any]:
    """Return the cut of an inner chunk and its place in the array of the box."""
    source, target = [], []
    for s, n, (a, b) in zip(start, grid.inner, box, strict=True):
        low, high = max(s, a), min(s + n, b)
        source.append(slice(low - s, high - s))
        target.append(slice(low - a, high - a))
    return tuple(source), tuple(target)


def _decompress(handle: int, offset: int, length: int, scratch: Array, where: str) -> None:
    raw = os.pread(handle, length, offset)
    if len(raw) != length or length <= _CRC_BYTES or _crc(raw[:-_CRC_BYTES]) != raw[-_CRC_BYTES:]:
        raise damaged(where, "a chunk does not match its checksum")
    try:
        blosc.decompress(raw[:-_CRC_BYTES], scratch.reshape(-1).view(np.uint8))
    except (RuntimeError, ValueError) as error:
        raise damaged(where, str(error)) from error


def damaged(where: str, why: str) -> StoreError:
    """Return the error for a shard that is not what was written."""
    return StoreError(
        "stored values are damaged",
        kind="damaged-shard",
        where=where,
        why=why,
        fix="convert or save again; chunkmed verify lists all damage",
    )
