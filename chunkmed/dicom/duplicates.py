"""Copies of images: the same object twice, or the same pixels at one position and moment."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace

from chunkmed.dicom.geometry import Cell
from chunkmed.dicom.grouping import Group
from chunkmed.dicom.headers import Frame
from chunkmed.dicom.timing import TIME_KEYS
from chunkmed.dicom.walk import open_regular

__all__ = ["OF_EXPORT", "has_copies", "without_copies"]

#: Written anew when an image is exported again: copies may differ in them.
OF_EXPORT = frozenset({"InstanceNumber", "ContentTime"})
_AT_ONCE = 2**20
#: Compressed pixels are not longer than so many uncompressed frames.
_LONGEST = 4


def has_copies(cell: Cell) -> bool:
    """Return whether frames of a position are the same image; reads their pixels."""
    return len(_distinct(cell.frames)) < len(cell.frames)


def without_copies(group: Group, cells: Sequence[Cell], more_than: float = 1) -> Group | None:
    """Drop frames with the same position, moment and pixels; None where there are none.

    Parameters
    ----------
    group : Group
        What the cells are made of.
    cells : sequence of Cell
        The frames by position.
    more_than : float
        Only positions that hold more frames than this are looked at: pixels are read for it.
    """
    kept: list[Frame] = []
    for cell in cells:
        kept += _distinct(cell.frames) if len(cell.frames) > more_than else cell.frames
    dropped = len(group.frames) - len(kept)
    if dropped == 0:
        return None
    note = f"{dropped} files with the position and the pixels of another one dropped"
    return replace(group, frames=tuple(kept), assumptions=(*group.assumptions, note))


def _distinct(frames: Sequence[Frame]) -> list[Frame]:
    found: dict[object, Frame] = {}
    for frame in frames:
        found.setdefault((_moment(frame), _pixel_hash(frame)), frame)
    return list(found.values())


def _moment(frame: Frame) -> tuple[object, ...]:
    return tuple(frame.keys.get(row.key) for row in TIME_KEYS if row.key not in OF_EXPORT)


def _pixel_hash(frame: Frame) -> str:
    header, layout = frame.file, frame.file.layout
    unique = f"{header.path}:{frame.index}"
    if layout.frames > 1 or layout.deflated:
        return unique
    left = header.size - header.pixel_offset
    length = left if layout.compressed else layout.frame_bytes
    if layout.compressed and length > _LONGEST * layout.frame_bytes + _AT_ONCE:
        return unique
    try:
        digest = _hash_of(header.path, header.pixel_offset, length)
    except OSError:
        return unique
    return f"{digest} {frame.slope} {frame.intercept} {layout.transfer_syntax}"


def _hash_of(path: str, start: int, length: int) -> str:
    descriptor, digest = open_regular(path), hashlib.sha256()
    try:
        for at in range(start, start + length, _AT_ONCE):
            digest.update(os.pread(descriptor, min(_AT_ONCE, start + length - at), at))
    finally:
        os.close(descriptor)
    return digest.hexdigest()
