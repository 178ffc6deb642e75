"""Groups that hold several images of one plane: views, clips, stations, acquisitions; a stack each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.geometry import Cell
from chunkmed.dicom.grouping import Group
from chunkmed.dicom.headers import Frame
from chunkmed.errors import SourceError
from chunkmed.private import file_identifier

__all__ = ["acquisitions", "is_unplaced", "places_of", "scattered", "stations", "views"]

#: For each depth the number of the place of each image in its plane.
Places = Sequence[npt.NDArray[np.int64]]

#: Each image of these is a view of its own.
_PROJECTIONS = frozenset(["CR", "DX", "IO", "MG", "PX", "RG"])
#: Places in the plane are one place within this part of a pixel, or of a millimetre.
_SAME_PLACE = 0.5


def is_unplaced(cells: Sequence[Cell]) -> bool:
    """Whether images of several files have no place: nothing says that they lie at one."""
    return cells[0].origin_mm is None and len({id(frame.file) for frame in cells[0].frames}) > 1


def views(group: Group, cells: Sequence[Cell]) -> list[Group]:
    """Return a group per file where each is a view or a clip without a place; else none."""
    frames = cells[0].frames
    if not is_unplaced(cells) or not (all(map(_is_view, frames)) or all(map(_is_clip, frames))):
        return []
    files: dict[int, list[Frame]] = {}
    for frame in frames:
        files.setdefault(id(frame.file), []).append(frame)
    note = "images without positions: one stack for each file"
    out = []
    for number, own in enumerate(files.values(), 1):
        file = own[0].file
        label = (file.instance_uid or file.path, f"image {number} of {len(files)}")
        out.append(_part(group, own, label, note))
    return out


def _is_view(frame: Frame) -> bool:
    file = frame.file
    is_projection = file.modality in _PROJECTIONS or "imager_pixel_spacing_mm" in file.technical
    return file.layout.frames == 1 and is_projection


def _is_clip(frame: Frame) -> bool:
    keys = frame.keys
    return frame.file.layout.frames > 1 and "FrameTime" in keys and "ConcatenationUID" not in keys


def _part(group: Group, frames: Sequence[Frame], label: tuple[str, str], note: str) -> Group:
    return replace(
        group,
        frames=tuple(frames),
        labels=(*group.labels, label),
        assumptions=(*group.assumptions, note),
    )


def stations(group: Group, cells: Sequence[Cell], places: Places) -> list[Group]:
    """Return a group per place where images of one depth lie at several in their plane; else none.

    Every depth must have them all: otherwise see :func:`scattered`.
    """
    counts = {1 + int(found.max()) for found in places}
    if len(counts) > 1 or (count := counts.pop()) == 1:
        return []
    note = "slices of one depth lie at several places in their plane: one stack for each"
    parts: list[list[Frame]] = [[] for _ in range(count)]
    for cell, found in zip(cells, places, strict=True):
        for frame, place in zip(cell.frames, found.tolist(), strict=True):
            parts[place].append(frame)
    names = (f"place {number} of {count}" for number in range(1, count + 1))
    return [_part(group, part, (name, name), note) for part, name in zip(parts, names, strict=True)]


def scattered(cells: Sequence[Cell], places: Places) -> SourceError | None:
    """Return which images lie at one depth and not at one place in their plane."""
    for number, (cell, found) in enumerate(zip(cells, places, strict=True)):
        if found.max() > 0:
            other = int(np.argmax(found != found[0]))
            one, two = (cell.frames[i] for i in (0, other))
            gap_mm = float(np.linalg.norm(np.subtract(one.position or (), two.position or ())))
            names = " and ".join(f"file {file_identifier(frame.file.path)}" for frame in (one, two))
            return SourceError(
                "slices of one depth lie at different places in their plane",
                kind="shifted-slices",
                tag="(0020,0032)",
                why=f"{names} (slice {number}) lie {gap_mm:.4g} mm apart",
                fix="convert what belongs together by itself",
            )
    return None


def places_of(cells: Sequence[Cell]) -> Places:
    """Return the number of the place of each image of each depth, counted in their order in the plane."""
    first = cells[0].frames[0]
    if first.orientation is None or any(cell.origin_mm is None for cell in cells):
        return [np.zeros(len(cell.frames), np.int64) for cell in cells]
    plane = np.reshape(first.orientation, (2, 3))
    limit_mm = _SAME_PLACE * min([1.0, *(step for step in first.spacing or () if step > 0)])
    return [_clusters(np.array([f.position for f in cell.frames]) @ plane.T, limit_mm) for cell in cells]


def _clusters(points: npt.NDArray[Any], limit_mm: float) -> npt.NDArray[np.int64]:
    if np.ptp(points, axis=0).max() <= limit_mm:
        # As nearly always.
        return np.zeros(len(points), np.int64)
    centres: list[npt.NDArray[Any]] = []
    numbers = np.zeros(len(points), np.int64)
    for i, point in enumerate(points):
        near = (n for n, centre in enumerate(centres) if np.abs(point - centre).max() <= limit_mm)
        numbers[i] = next(near, len(centres))
        if numbers[i] == len(centres):
            centres.append(point)
    order = sorted(range(len(centres)), key=lambda n: tuple(np.round(centres[n] / limit_mm)))
    rank = np.empty(len(centres), np.int64)
    rank[order] = np.arange(len(centres))
    return rank[numbers]


def acquisitions(group: Group, cells: Sequence[Cell]) -> Iterator[Group]:
    """Yield a group per AcquisitionNumber where that leaves no position twice."""
    numbers = {frame.keys.get("AcquisitionNumber") for frame in group.frames}
    if len(numbers) < 2 or None in numbers:
        return
    found = [[frame.keys.get("AcquisitionNumber") for frame in cell.frames] for cell in cells]
    if any(len(set(each)) < len(each) for each in found):
        return
    note = "acquisitions share positions: one stack for each of them"
    for number in sorted(float(n) for n in numbers if n is not None):
        own = [frame for frame in group.frames if frame.keys["AcquisitionNumber"] == number]
        name = f"AcquisitionNumber {number:g}"
        yield _part(group, own, (name, name), note)
