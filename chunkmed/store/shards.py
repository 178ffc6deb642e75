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
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
from numcodecs import blosc, zstd
from numcodecs.gzip import GZip

from chunkmed.errors import StoreError
from chunkmed.store.spans import Bytes

__all__ = ["Codec", "Packing", "ShardGrid", "decode_into", "encode", "index_bytes", "needs_most", "seal"]

Array = npt.NDArray[Any]
Box = Sequence[tuple[int, int]]

_MAGIC = b"chunkmed"
SEAL_BYTES = 32
#: Offset and length of an inner chunk that holds nothing but the fill value.
_EMPTY = (1 << 64) - 1
_CRC_BYTES = 4
_BLOSC_HEADER = 16


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
class Packing:
    """What an inner chunk goes through and where a shard's index lies: as we write it, by default."""

    compressor: str = "blosc"
    """``blosc``, ``zstd``, ``gzip``, or empty for none."""
    checked: bool = True
    """Whether a crc32c follows each chunk."""
    index_first: bool = False
    """Whether the index stands at the start of a shard."""
    index_checked: bool = True
    """Whether a crc32c follows the index."""
    fill: Any = 0
    """Value of chunks that are not there."""


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

    def part(self, index: Sequence[int], box: Box) -> tuple[slice, ...]:
        """Return the place of a shard's part of a box in an array of the box."""
        pairs = zip(self.shard_box(index), box, strict=True)
        return tuple(slice(max(a, c) - c, min(b, d) - c) for (a, b), (c, d) in pairs)

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
    # One contiguous chunk for all: blosc reads it, and it stays in the processor's cache.
    chunk = np.zeros(grid.inner, values.dtype.newbyteorder("<"))
    for place in np.ndindex(*counts):
        if not _fill(chunk, values, place):
            continue
        packed = _compress(chunk, codec)
        index[place] = offset, len(packed) + _CRC_BYTES
        pieces += [packed, _crc(packed)]
        offset += len(packed) + _CRC_BYTES
    table = index.tobytes()
    return [*pieces, table, _crc(table)]


def _fill(chunk: Array, values: Array, place: Sequence[int]) -> bool:
    """Copy one inner chunk, zeros beyond the end of an axis; False where it is all fill value."""
    cut = tuple(slice(p * n, (p + 1) * n) for p, n in zip(place, chunk.shape, strict=True))
    part = values[cut]
    if not part.size:
        return False
    if part.shape != chunk.shape:
        chunk.fill(0)
    chunk[tuple(slice(0, n) for n in part.shape)] = part
    raw = chunk.reshape(-1).view(np.uint8)
    # By bytes: -0.0 is not the fill value. Most chunks tell by their first few.
    return bool(raw[:64].any() or raw.any())


def _compress(chunk: Array, codec: Codec) -> bytes:
    # A view of bytes has no item size of its own: blosc must be told.
    packed: bytes = blosc.compress(
        chunk.reshape(-1).view(np.uint8),
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
    source: Bytes,
    grid: ShardGrid,
    packing: Packing,
    index: Sequence[int],
    box: Box,
    out: Array,
    sealed: bytes | None,
    where: str,
) -> None:
    """Read the part of a box that one shard holds.

    Parameters
    ----------
    source : Bytes
        The shard.
    grid : ShardGrid
        Layout of the array.
    packing : Packing
        Form of the shard.
    index : sequence of int
        Which shard it is.
    box : box
        What is wanted, in indices of the array.
    out : ndarray
        Array of the box: the shard's part of it is filled in.
    sealed : bytes or None
        The seal that the shard must begin with; None for shards that others wrote.
    where : str
        Name of the shard, for messages.

    Raises
    ------
    StoreError
        If anything read is not what was written.
    """
    corner = [i * s for i, s in zip(index, grid.shard, strict=True)]
    table = _read_index(source, grid, packing, sealed, where)
    if source.asks:
        places = _touched_inner(grid, index, box)
        chunks = [(int(table[place][0]), int(table[place][1])) for place in places]
        source.announce([(0, len(sealed or b"")), *(c for c in chunks if sum(c) <= source.size)])
    if sealed and source.read(0, len(sealed)) != sealed:
        raise damaged(where, "it belongs to another place or an older write")
    scratch = np.empty(grid.inner, dtype=out.dtype)
    for place in _touched_inner(grid, index, box):
        start = [c + p * n for c, p, n in zip(corner, place, grid.inner, strict=True)]
        part, target = _overlap(start, grid, box)
        offset, length = (int(value) for value in table[place])
        if offset == _EMPTY:
            out[target] = packing.fill
        elif offset + length > source.size:
            raise damaged(where, "its index points outside it")
        else:
            _unpack(source, offset, length, packing, scratch, where)
            out[target] = scratch[part]


def _read_index(
    source: Bytes, grid: ShardGrid, packing: Packing, sealed: bytes | None, where: str
) -> npt.NDArray[np.uint64]:
    needed = index_bytes(grid, packing)
    if source.size < len(sealed or b"") + needed:
        raise damaged(where, f"it is cut off at {source.size} bytes")
    start = 0 if packing.index_first else source.size - needed
    raw = _read(source, start, needed, packing.index_checked, where, "its index")
    return np.frombuffer(raw, dtype="<u8").reshape((*grid.counts, 2))


def index_bytes(grid: ShardGrid, packing: Packing) -> int:
    """Return the size of the index of a shard."""
    return math.prod(grid.counts) * 16 + _CRC_BYTES * packing.index_checked


def _read(source: Bytes, start: int, length: int, checked: bool, where: str, what: str) -> bytes:
    """Return bytes of a file, compared with the checksum that follows them."""
    wanted = length - _CRC_BYTES * checked
    # Read apart: google_crc32c takes bytes only, and a slice of them would be a copy.
    raw = source.read(start, wanted) if wanted > 0 else b""
    if len(raw) != wanted:
        raise damaged(where, f"{what} is cut off")
    if checked and _crc(raw) != source.read(start + wanted, _CRC_BYTES):
        raise damaged(where, f"{what} does not match its checksum")
    return raw


def needs_most(grid: ShardGrid, index: Sequence[int], box: Box) -> bool:
    """Whether a box touches at least half of the inner chunks of a shard."""
    return 2 * sum(1 for _ in _touched_inner(grid, index, box)) >= math.prod(grid.counts)


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


def _unpack(source: Bytes, offset: int, length: int, packing: Packing, out: Array, where: str) -> None:
    packed = _read(source, offset, length, packing.checked, where, "a chunk")
    target = out.reshape(-1).view(np.uint8)
    try:
        if packing.compressor == "blosc":
            _decompress_blosc(packed, target)
        else:
            # What is too short or too long for the chunk does not fit, and numpy says so.
            target[:] = np.frombuffer(_DECOMPRESS[packing.compressor](packed), np.uint8)
    except (RuntimeError, ValueError, OSError, EOFError, zlib.error) as error:
        raise damaged(where, str(error)) from error


def _decompress_blosc(packed: bytes, target: Array) -> None:
    # Straight into its place; the header says how long it will be.
    length = int.from_bytes(packed[4:8], "little")
    if len(packed) < _BLOSC_HEADER or length != target.nbytes:
        raise ValueError(f"a chunk of {length} bytes instead of {target.nbytes}")
    blosc.decompress(packed, target)


#: How the bytes of a chunk become values, by the name of the codec.
_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {"zstd": zstd.decompress, "gzip": GZip().decode, "": bytes}


def damaged(where: str, why: str) -> StoreError:
    """Return the error for a shard that is not what was written."""
    return StoreError(
        "stored values are damaged",
        kind="damaged-shard",
        where=where,
        why=why,
        fix="convert or save again; chunkmed verify lists all damage",
    )
