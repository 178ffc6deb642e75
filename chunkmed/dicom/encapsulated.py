"""Where the compressed frames of a file lie: walked once per file, kept in a small cache."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

from chunkmed.dicom.elements import ITEM, SEQUENCE_END

__all__ = ["DamagedError", "compressed_frame"]

Fragment = tuple[int, int]
Read = Callable[[int, int], bytes]
_HEAD = struct.Struct("<HHI")
#: A JPEG or JPEG-LS stream, a JPEG 2000 codestream.
_STARTS = (b"\xff\xd8", b"\xff\x4f")
_CACHED_FILES = 32
_MOST_FRAGMENTS, _FRAGMENTS_PER_FRAME = 4096, 64
#: Of a file of one frame: mostly all of it.
_AT_ONCE = 4 * 2**20
_CACHE: dict[tuple[object, ...], list[list[Fragment]]] = {}


class DamagedError(Exception):
    """The encapsulation is broken; the message says how."""


def compressed_frame(
    descriptor: int, identity: tuple[str, int, int], offset: int, count: int, frame: int, most: int = 2**31
) -> bytes:
    """Return the compressed stream of one frame.

    Parameters
    ----------
    descriptor : int
        The open file.
    identity : tuple
        Path, size in bytes and mtime in ns: what the cache goes by.
    offset : int
        Start of the pixel data's value in bytes.
    count, frame : int
        Frames in the file, and the one that is wanted.
    most : int
        Bytes that a stream may have.

    Raises
    ------
    DamagedError
        If the items do not hold that many frames, or more of one than it may have.
    """
    size = identity[1]
    if count == 1:
        window = _Window(descriptor, offset, min(size - offset, most))
        _, found = _fragments(window.read, offset, size, 1)
        return b"".join(window.read(*part) for part in _bounded(found, most))
    key = (*identity, offset, count)
    frames = _CACHE.get(key)
    if frames is None:
        frames = _frames(lambda at, n: os.pread(descriptor, n, at), offset, size, count)
        if len(_CACHE) >= _CACHED_FILES:
            _CACHE.clear()
        _CACHE[key] = frames
    return b"".join(os.pread(descriptor, n, start) for start, n in _bounded(frames[frame], most))


class _Window:
    """The fragments of one frame, read at once: more of the file is read where it is asked for."""

    def __init__(self, descriptor: int, offset: int, size: int) -> None:
        self.descriptor, self.offset = descriptor, offset
        self.body = os.pread(descriptor, min(size, _AT_ONCE), offset)

    def read(self, at: int, count: int) -> bytes:
        start = at - self.offset
        if start + count <= len(self.body):
            return self.body[start : start + count]
        return os.pread(self.descriptor, count, at)


def _bounded(fragments: list[Fragment], most: int) -> list[Fragment]:
    if (total := sum(n for _, n in fragments)) > most:
        raise DamagedError(f"{total} bytes are said to hold a frame that takes less uncompressed")
    return fragments


def _fragments(read: Read, offset: int, size: int, count: int) -> tuple[bytes, list[Fragment]]:
    """Return the basic offset table and the fragments after it."""
    found: list[Fragment] = []
    at, most = offset, _MOST_FRAGMENTS + _FRAGMENTS_PER_FRAME * count
    while at + 8 <= size:
        group, element, length = _HEAD.unpack(read(at, 8))
        tag = group << 16 | element
        if tag == SEQUENCE_END and found:
            break
        if tag != ITEM or length > size - at - 8:
            raise DamagedError("its compressed fragments are damaged, or it ends within them")
        found.append((at + 8, length))
        if len(found) > most:
            raise DamagedError(f"more than {most} compressed fragments")
        at += 8 + length
    if len(found) < 2:
        raise DamagedError("it holds no compressed frame")
    # Longer tables than the fragments need are of no use.
    return read(found[0][0], min(found[0][1], 4 * len(found))), found[1:]


def _frames(read: Read, offset: int, size: int, count: int) -> list[list[Fragment]]:
    table, found = _fragments(read, offset, size, count)
    if len(found) == count:
        return [[fragment] for fragment in found]
    if len(table) == 4 * count:
        # Offsets count from the first item after the table.
        base = found[0][0] - 8
        starts = [base + place for (place,) in struct.iter_unpack("<I", table)]
    else:
        starts = [start - 8 for start, _ in found if read(start, 2) in _STARTS]
    if len(starts) != count or starts[0] != found[0][0] - 8:
        raise DamagedError(f"{len(found)} fragments do not tell where {count} frames begin")
    ends = [*starts[1:], size]
    return [[f for f in found if a <= f[0] - 8 < b] for a, b in zip(starts, ends, strict=True)]
