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
_CACHE: dict[tuple[object, ...], list[list[Fragment]]] = {}


class DamagedError(Exception):
    """The encapsulation is broken; the message says how."""


def compressed_frame(
    descriptor: int, identity: tuple[str, int, int], offset: int, count: int, frame: int
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

    Raises
    ------
    DamagedError
        If the items do not hold that many frames.
    """
    size = identity[1]
    if count == 1:
        body = os.pread(descriptor, size - offset, offset)
        _, found = _fragments(lambda at, n: body[at - offset : at - offset + n], offset, size)
        return b"".join(body[start - offset : start - offset + n] for start, n in found)
    key = (*identity, offset, count)
    frames = _CACHE.get(key)
    if frames is None:
        frames = _frames(lambda at, n: os.pread(descriptor, n, at), offset, size, count)
        if len(_CACHE) >= _CACHED_FILES:
            _CACHE.clear()
        _CACHE[key] = frames
    return b"".join(os.pread(descriptor, n, start) for start, n in frames[frame])


def _fragments(read: Read, offset: int, size: int) -> tuple[bytes, list[Fragment]]:
    """Return the basic offset table and the fragments after it."""
    found: list[Fragment] = []
    at = offset
    while at + 8 <= size:
        group, element, length = _HEAD.unpack(read(at, 8))
        tag = group << 16 | element
        if tag == SEQUENCE_END and found:
            break
        if tag != ITEM or length > size - at - 8:
            raise DamagedError("its compressed fragments are damaged, or it ends within them")
        found.append((at + 8, length))
        at += 8 + length
    if len(found) < 2:
        raise DamagedError("it holds no compressed frame")
    return read(*found[0]), found[1:]


def _frames(read: Read, offset: int, size: int, count: int) -> list[list[Fragment]]:
    table, found = _fragments(read, offset, size)
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
