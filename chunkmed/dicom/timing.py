"""Time: which tag tells apart the frames that lie at one position and differ in nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmed.dicom.clocks import WALL_CLOCKS, over_midnight, with_clock
from chunkmed.dicom.headers import Frame
from chunkmed.dicom.series import Series4D

__all__ = ["NO_MOMENTS", "TIME_KEYS", "TimeKey", "nearest_phases", "order_in_time", "ranking", "tells_apart"]

Cells = Sequence[Sequence[Frame]]
_ACQUIRED = ("FrameReferenceTime", "AcquisitionTime", "ContentTime")


@dataclass(frozen=True, slots=True)
class TimeKey:
    """A tag whose rank within the position is the time point."""

    key: str
    clocks: tuple[str, ...]
    """Tags that can give the milliseconds, in order of preference."""
    needs_support: bool = False
    """Whether another tag must confirm the number of time points."""
    numbered: bool = False
    """Whether the value itself is the time point's number: the same one at every position."""


TIME_KEYS: tuple[TimeKey, ...] = (
    TimeKey("FrameTime", ("FrameTime",), numbered=True),
    TimeKey("TemporalPositionIdentifier", ("TriggerTime", *_ACQUIRED), numbered=True),
    TimeKey(
        "TemporalPositionIndex", ("NominalCardiacTriggerDelayTime", "TriggerTime", *_ACQUIRED), numbered=True
    ),
    TimeKey("TriggerTime", ("TriggerTime",)),
    TimeKey("NominalCardiacTriggerDelayTime", ("NominalCardiacTriggerDelayTime",)),
    TimeKey("NominalPercentageOfCardiacPhase", ("TriggerTime", *_ACQUIRED)),
    TimeKey("NominalPercentageOfRespiratoryPhase", ("TriggerTime", *_ACQUIRED)),
    TimeKey("AcquisitionNumber", _ACQUIRED),
    TimeKey("FrameReferenceTime", ("FrameReferenceTime",)),
    TimeKey("ImageIndex", _ACQUIRED),
    TimeKey("AcquisitionTime", ("AcquisitionTime",)),
    TimeKey("ContentTime", ("ContentTime",)),
    TimeKey("InstanceNumber", (), needs_support=True),
)
#: Keys that slices have, too.
NO_MOMENTS = frozenset(
    ["AcquisitionNumber", "ImageIndex", "AcquisitionTime", "ContentTime", "InstanceNumber"]
)
_SUPPORT = ("NumberOfTemporalPositions", "CardiacNumberOfImages")


def order_in_time(cells: Cells, *, without: frozenset[str] = frozenset()) -> Series4D | None:
    """Return the frames in time by the first tag that tells all of every position apart.

    Parameters
    ----------
    cells : sequence of sequences of Frame
        The frames of each position, equally many everywhere.
    without : frozenset of str
        Tags that may not serve as keys.
    """
    count = len(cells[0])
    for row in TIME_KEYS:
        if row.key in without or not all(tells_apart(row.key, cell) for cell in cells):
            continue
        support = support_of(cells, count) if row.needs_support else ""
        if (row.needs_support and not support) or (row.numbered and _contradict(row.key, cells)):
            continue
        ordered = [sorted(cell, key=ranking(row.key, cell)) for cell in cells]
        frames = tuple(tuple(cell[t] for cell in ordered) for t in range(count))
        return with_clock(frames, row.key, row.clocks, support)
    return None


def tells_apart(key: str, cell: Sequence[Frame]) -> bool:
    """Return whether all frames of a position have the tag, and no two the same value."""
    found = [frame.keys.get(key) for frame in cell]
    return None not in found and len(set(found)) == len(cell)


def ranking(key: str, cell: Sequence[Frame]) -> Callable[[Frame], float]:
    """Return what gives the number that sorts a frame within its position."""
    if key not in WALL_CLOCKS:
        return lambda frame: float(frame.keys[key])
    times = [float(frame.keys[key]) for frame in cell]
    low, high = min(times), max(times)
    return lambda frame: over_midnight(float(frame.keys[key]), low, high)


def _contradict(key: str, cells: Cells) -> bool:
    """Return whether positions share some numbers of time points, but not all.

    Their ranks would put different time points side by side. Numbers that run on from position to
    position have nothing in common: there the rank is right.
    """
    sets = [{float(frame.keys[key]) for frame in cell} for cell in cells]
    everywhere = set().union(*sets)
    return len(everywhere) > len(sets[0]) and len(everywhere) < sum(map(len, sets))


def support_of(cells: Cells, count: int) -> str:
    """Return what confirms that each position holds ``count`` time points; empty where nothing does."""
    for tag in _SUPPORT:
        if all(frame.keys.get(tag) == count for cell in cells for frame in cell):
            return f"corroborated by {tag} = {count}"
    if _a_volume_each(cells):
        return "each file holds every position once"
    return ""


def _a_volume_each(cells: Cells) -> bool:
    """Return whether the time points are files of many frames that hold one volume each."""
    files = {id(frame.file) for frame in cells[0]}
    if len(cells) < 2 or len(files) != len(cells[0]):
        return False
    return all({id(frame.file) for frame in cell} == files for cell in cells)


def nearest_phases(cells: Cells, count: int) -> Series4D | None:
    """Return ``count`` phases where positions hold different numbers: the nearest part of the cycle.

    A slice with fewer phases gives some of them twice, one with more leaves some out.
    """
    rows = (row for row in TIME_KEYS if all(tells_apart(row.key, cell) for cell in cells))
    row = next((row for row in rows if not row.needs_support), None)
    if row is None:
        return None
    ordered = [sorted(cell, key=ranking(row.key, cell)) for cell in cells]
    chosen: list[list[Any]] = [
        [cell[min(len(cell) - 1, int(np.rint(t * len(cell) / count)))] for cell in ordered]
        for t in range(count)
    ]
    return with_clock(tuple(tuple(volume) for volume in chosen), row.key, row.clocks, "")
