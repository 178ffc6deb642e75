"""Which frames belong together: series, size, orientation and pixel spacing; duplicates dropped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chunkmed.dicom.geometry import SAME_DIRECTION, slice_normal
from chunkmed.dicom.headers import Frame
from chunkmed.errors import SourceError
from chunkmed.private import file_identifier

__all__ = ["Group", "groups_of", "same_plane"]

_SCOUT = re.compile(r"scout|survey|locali[sz]er|topogram|scanogram|\bloc\b", re.IGNORECASE)
_FEW_SLICES = 7
_MOST_NAMED = 4
_GEOMETRY = {
    "ImagePositionPatient": ("bad-position", "(0020,0032)", "the position of a slice is not three numbers"),
    "ImageOrientationPatient": ("bad-orientation", "(0020,0037)", "an orientation is not six numbers"),
    "PixelSpacing": ("bad-spacing", "(0028,0030)", "a pixel spacing is not two numbers"),
}
#: Parts that a frame is compared with: a file may hold thousands of planes, each its own.
_LOOKED_AT = 64


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
    warnings: tuple[str, ...] = ()
    problem: SourceError | None = None
    """Why no image of its series is read, whatever is accepted."""

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
        problem = _unusable(kept)
        for part in parts:
            scout = planes or _is_scout(part[0])
            apart = () if scout else tuple(_apart(part, parts, len(kept)))
            yield Group(tuple(part), f"{uid}|{_traits(part[0])}", scout, (), notes, apart, problem)


def _unusable(frames: Sequence[Frame]) -> SourceError | None:
    """Return which images hold a geometry that is none: they belong somewhere, and nobody knows where."""
    found = [frame for frame in frames if frame.unusable]
    if not found:
        return None
    keyword = found[0].unusable[0]
    kind, tag, what = _GEOMETRY[keyword]
    names = list(dict.fromkeys(f"file {file_identifier(frame.file.path)}" for frame in found[:_MOST_NAMED]))
    return SourceError(
        what,
        kind=kind,
        tag=tag,
        why=f"{keyword} of {len(found)} of {len(frames)} images is not what it should be: {', '.join(names)}",
        fix="correct these files, or leave them out",
    )


def _apart(part: Sequence[Frame], parts: Sequence[Sequence[Frame]], total: int) -> Iterator[str]:
    """Say that images of the same series became a stack of their own, and why."""
    # Of thousands of parts some tell what differs.
    others = [other for other in parts[: _LOOKED_AT + 1] if other is not part]
    if not others:
        return
    differ = [name for name, same in _TRAITS.items() if not all(same(part[0], other[0]) for other in others)]
    count = total - len(part)
    named = ""
    if count <= _MOST_NAMED:
        few = [f"file {file_identifier(frame.file.path)}" for other in others for frame in other]
        named = f": {', '.join(few)}"
    yield f"{count} more images of this series are apart, they differ in {', '.join(differ)}{named}"


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
    known: dict[object, list[Frame]] = {}
    for frame in frames:
        exact = _exact(frame)
        home = known.get(exact)
        if home is None:
            # The last part first: neighbours in a folder mostly belong together.
            home = next((part for part in parts[: -_LOOKED_AT - 1 : -1] if same_plane(part[0], frame)), None)
        if home is None:
            parts.append(home := [])
        home.append(frame)
        known.setdefault(exact, home)
    return parts


def _exact(frame: Frame) -> object:
    layout = frame.file.layout
    sizes = layout.rows, layout.columns, layout.samples
    return sizes, frame.position is None, frame.orientation, frame.spacing


def same_plane(one: Frame, other: Frame) -> bool:
    """Return whether two frames agree in size, orientation (within 1e-4) and pixel spacing."""
    return all(same(one, other) for same in _TRAITS.values())


def _same_size(one: Frame, other: Frame) -> bool:
    a, b = one.file.layout, other.file.layout
    return (a.rows, a.columns, a.samples) == (b.rows, b.columns, b.samples)


_TRAITS: dict[str, Callable[[Frame, Frame], bool]] = {
    "size": _same_size,
    "having a position": lambda one, other: (one.position is None) == (other.position is None),
    "orientation": lambda one, other: _close(one.orientation, other.orientation),
    "pixel spacing": lambda one, other: _close(one.spacing, other.spacing),
}


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
    if not np.all(np.linalg.norm(normals, axis=1) > 0):
        return False
    cosines = np.abs(normals @ normals.T)[np.triu_indices(len(parts), 1)]
    return bool(np.all((cosines < 0.1) | (cosines > 0.99)) and (cosines < 0.1).any())
