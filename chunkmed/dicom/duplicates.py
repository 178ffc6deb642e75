"""Copies of images: the same object twice, or the same pixels at one position and moment."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from chunkmed.dicom.geometry import Cell
from chunkmed.dicom.grouping import Group
from chunkmed.dicom.headers import Frame
from chunkmed.dicom.timing import TIME_KEYS

__all__ = ["OF_EXPORT", "has_copies", "without_copies"]

#: Written anew when an image is exported again: copies may differ in them.
OF_EXPORT = frozenset({"InstanceNumber", "ContentTime"})


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
    length = -1 if layout.compressed else layout.frame_bytes
    try:
        with open(header.path, "rb") as file:  # noqa: PTH123 - the name may not be UTF-8
            file.seek(header.pixel_offset)
            digest = hashlib.sha256(file.read(length))
    except OSError:
        return unique
    return f"{digest.hexdigest()} {frame.slope} {frame.intercept} {layout.transfer_syntax}"
