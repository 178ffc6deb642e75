"""Positions that hold different numbers of frames: which time points are missing where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.clocks import with_clock
from chunkmed.dicom.headers import Frame
from chunkmed.dicom.series import Series4D
from chunkmed.dicom.timing import TIME_KEYS, TimeKey, ranking, tells_apart

__all__ = ["order_with_holes"]

Cells = Sequence[Sequence[Frame]]
#: A time may lie this fraction of a step off the time point that it is taken for.
_OFF_STEP = 0.5
#: More holes than this, and the positions that hold several frames are the odd ones: overlapping stations.
_MOST_HOLES = 0.4


def order_with_holes(cells: Cells) -> Series4D | None:
    """Return the frames in time with None where one is missing; None where no tag tells.

    Numbers of time points say themselves where a frame belongs. Times say it by what the complete
    positions hold: each goes to the time point that it is nearest to.
    """
    for row in TIME_KEYS:
        if row.needs_support or not all(tells_apart(row.key, cell) for cell in cells):
            continue
        columns = _by_number(row.key, cells) if row.numbered else _by_time(row, cells)
        if columns is None:
            continue
        frames = tuple(tuple(column[t] for column in columns) for t in range(len(columns[0])))
        if sum(volume.count(None) for volume in frames) > _MOST_HOLES * len(frames) * len(columns):
            return None
        found = with_clock(frames, row.key, row.clocks, "")
        # A sequence that is short everywhere is told by the holes already.
        return replace(found, warnings=tuple(text for text in found.warnings if "may be missing" not in text))
    return None


def _by_number(key: str, cells: Cells) -> list[list[Frame | None]] | None:
    lookup = [{float(frame.keys[key]): frame for frame in cell} for cell in cells]
    numbers = sorted(set().union(*lookup))
    # Time points that each lie at one position only are no numbers of time points.
    if len(numbers) > 2 * max(map(len, lookup)):
        return None
    return [[found.get(number) for number in numbers] for found in lookup]


def _by_time(row: TimeKey, cells: Cells) -> list[list[Frame | None]] | None:
    times = [_times_of(row.key, cell) for cell in cells]
    count = max(map(len, cells))
    complete = np.array([[value for value, _ in found] for found in times if len(found) == count])
    nominal = np.median(complete, axis=0)
    limit = _OFF_STEP * float(np.diff(nominal).min()) if count > 1 else np.inf
    columns = []
    for found in times:
        values = np.array([value for value, _ in found])
        places = list(range(count)) if len(found) == count else _nearest(values, nominal, limit)
        if places is None:
            return None
        column: list[Frame | None] = [None] * count
        for t, (_, frame) in zip(places, found, strict=True):
            column[t] = frame
        columns.append(column)
    return columns


def _times_of(key: str, cell: Sequence[Frame]) -> list[tuple[float, Frame]]:
    """Return the frames of a position in order, with times as parts of the heart beat where that is known."""
    time_of = ranking(key, cell)
    beat = 1.0
    if key == "TriggerTime" and all(frame.keys.get("NominalInterval", 0) > 0 for frame in cell):
        beat = float(cell[0].keys["NominalInterval"])
    return [(time_of(frame) / beat, frame) for frame in sorted(cell, key=time_of)]


def _nearest(
    values: npt.NDArray[np.float64], nominal: npt.NDArray[np.float64], limit: float
) -> list[int] | None:
    """Return ascending places for ascending values, nearest in sum; None where one is too far off."""
    far = np.abs(values[:, None] - nominal[None, :])
    best = np.zeros(len(nominal) + 1)
    taken: list[Any] = []
    for row in far:
        # best[j]: cost of the values so far within the first j places; row i uses place j - 1.
        with_last = best[:-1] + row
        now = np.minimum.accumulate(np.concatenate([[np.inf], with_last]))
        taken.append(with_last)
        best = now
    places, stop = [], len(nominal)
    for with_last in reversed(taken):
        stop = int(np.argmin(with_last[:stop]))
        places.append(stop)
    places.reverse()
    return places if (far[np.arange(len(values)), places] <= limit).all() else None
