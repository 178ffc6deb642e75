"""Which frames belong together: series, size, orientation and pixel spacing; duplicates dropped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chunkmed.dicom.geometry import SAME_DIRECTION, slice_normal
from chunkmed.dicom.headers import Frame

__all__ = ["Group", "groups_of", "same_plane"]

_SCOUT = re.compile(r"scout|survey|locali[sz]er|topogram|scanogram|\bloc\b", re.IGNORECASE)
_FEW_SLICES = 7


@dataclass(frozen=True, slots=True)
class Group:
    """Frames of one series that share size, orientation and pixel spacing."""

    frames: tuple[Frame, ...]
    name: str
    """Series UID and what sets this group apart; hashed, never shown."""
    localizer: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    """What sets a part of the group apart: to derive its key from, and for the user."""
    assumptions: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Text to derive the key from: the same in every scan of the same files."""
        return "|".join((self.name, *(exact for exact, _ in self.labels)))

    @property
    def flags(self) -> tuple[str, ...]:
        """Marks shown in the printed table."""
        return (*(("localizer",) if self.localizer else ()), *(shown for _, shown in self.labels))


def groups_of(frames: Sequence[Frame]) -> Iterator[Group]:
    """Yield the groups, in order of their first file."""
    series: dict[str, list[Frame]] = {}
    for frame in frames:
        series.setdefault(frame.file.series_uid, []).append(frame)
    for uid in list(series):
        # Let go of what is done: a scan may hold 100,000 frames.
        members = series.pop(uid)
        kept, dropped = _without_duplicates(members)
        notes = (f"{dropped} duplicate files dropped (same SOPInstanceUID)",) if dropped else ()
        parts = _alike(kept)
        planes = _three_planes(parts)
        for part in parts:
            scout = planes or _is_scout(part[0])
            yield Group(tuple(part), f"{uid}|{_traits(part[0])}", scout, (), notes)


def _without_duplicates(frames: Sequence[Frame]) -> tuple[list[Frame], int]:
    # Some anonymisers give all files one UID: position and number must agree as well.
    seen: dict[object, Frame] = {}
    for i, frame in enumerate(frames):
        uid = frame.file.instance_uid
        number = frame.keys.get("InstanceNumber")
        identity = (uid, frame.index, frame.position, number) if uid else i
        seen.setdefault(identity, frame)
    kept = list(seen.values())
    return kept, len({id(f.file) for f in frames}) - len({id(f.file) for f in kept})


def _traits(frame: Frame) -> str:
    layout = frame.file.layout
    directions = [f"{value + 0.0:.3f}" for value in frame.orientation or ()]
    spacing = [f"{value:.4f}" for value in frame.spacing or ()]
    return " ".join([f"{layout.rows}x{layout.columns}x{layout.samples}", *directions, *spacing])


def _alike(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Split by size, orientation (within 1e-4) and pixel spacing."""
    parts: list[list[Frame]] = []
    for frame in frames:
        # The last part first: neighbours in a folder mostly belong together.
        home = next((part for part in reversed(parts) if same_plane(part[0], frame)), None)
        if home is None:
            parts.append([frame])
        else:
            home.append(frame)
    return parts


def same_plane(one: Frame, other: Frame) -> bool:
    """Return whether two frames agree in size, orientation (within 1e-4) and pixel spacing."""
    a, b = one.file.layout, other.file.layout
    if (a.rows, a.columns, a.samples) != (b.rows, b.columns, b.samples):
        return False
    if (one.position is None) != (other.position is None):
        return False
    return _close(one.orientation, other.orientation) and _close(one.spacing, other.spacing)


def _close(one: tuple[float, ...] | None, other: tuple[float, ...] | None) -> bool:
    if one == other:
        return True
    if one is None or other is None:
        return False
    return all(abs(a - b) <= SAME_DIRECTION for a, b in zip(one, other, strict=True))


def _is_scout(frame: Frame) -> bool:
    words = set(frame.file.image_type.split("\\"))
    return bool(words & {"LOCALIZER", "SCOUT"}) or bool(_SCOUT.search(frame.file.description))


def _three_planes(parts: Sequence[Sequence[Frame]]) -> bool:
    """Whether a series is a few slices in perpendicular planes."""
    if not 2 <= len(parts) <= 6 or any(len(part) > _FEW_SLICES for part in parts):
        return False
    if any(part[0].orientation is None for part in parts):
        return False
    normals = np.array([slice_normal(part[0].orientation or ()) for part in parts])
    cosines = np.abs(normals @ normals.T)[np.triu_indices(len(parts), 1)]
    return bool(np.all((cosines < 0.1) | (cosines > 0.99)) and (cosines < 0.1).any())
