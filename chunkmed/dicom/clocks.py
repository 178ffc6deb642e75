"""Milliseconds of time points: which tag gives them once the frames are in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.series import Series4D, Volume

__all__ = ["WALL_CLOCKS", "clock_table", "over_midnight", "volume_interval_ms", "with_clock"]

WALL_CLOCKS = frozenset({"AcquisitionTime", "ContentTime"})
_TRIGGERED = frozenset({"TriggerTime", "NominalCardiacTriggerDelayTime"})
_DAY_MS = 86_400_000.0
#: A TR below this is one line of k-space, not one volume.
_VOLUME_TR_MS = 100.0
#: Heart beats of neighbouring slices differ by less.
_MOST_JUMP = 2.5
_CHECKS = ("NumberOfTemporalPositions", "CardiacNumberOfImages")


def over_midnight(value: float, low: float, high: float) -> float:
    """Return a time of day so that times after midnight follow those before it."""
    return value + _DAY_MS if high - low > _DAY_MS / 2 and value < _DAY_MS / 2 else value


def with_clock(frames: tuple[Volume, ...], key: str, clocks: Sequence[str], support: str) -> Series4D:
    """Return ordered frames with the coordinate of their first dimension.

    Parameters
    ----------
    frames : tuple of volumes
        In order, by time point and position.
    key : str
        The tag that gave the order.
    clocks : sequence of str
        Tags that can give the milliseconds, in order of preference.
    support : str
        What confirmed a key that orders but does not count; empty where none was needed.
    """
    values = () if key in WALL_CLOCKS or support else tuple(_median(key, volume) for volume in frames)
    first = next(frame for volume in frames for frame in volume if frame is not None)
    if "DIFFUSION" in str(first.keys.get("ImageType", "")):
        return _diffusion(frames, key, values)
    for clock in clocks:
        table = clock_table(frames, clock)
        if table is not None:
            return _checked(_timed(frames, table, key, clock, values), first.keys)
    return _checked(_with_rank(frames, key, values, support, first.keys), first.keys)


def _diffusion(frames: tuple[Volume, ...], key: str, values: tuple[Any, ...]) -> Series4D:
    note = f"b = rank of {key}: the headers of this diffusion series hold no b-values"
    ranks = tuple(float(t) for t in range(len(frames)))
    return Series4D(frames, ranks, "b", False, key, values, None, (note,), (note,))


def _timed(
    frames: tuple[Volume, ...],
    table: npt.NDArray[np.float64],
    key: str,
    clock: str,
    values: tuple[Any, ...],
) -> Series4D:
    medians = np.nanmedian(table, axis=1)
    triggered = clock in _TRIGGERED and bool(np.nanmax(np.abs(table - medians[:, None])) > 0)
    notes: tuple[str, ...] = (f"time points = {key} within each position, milliseconds = {clock}",)
    if triggered:
        notes += (f"{clock} differs from slice to slice: time is its median over slices",)
    elif clock == "TriggerTime" and _counts_repetitions(frames, medians):
        notes += ("TriggerTime is a multiple of RepetitionTime: time since the start, no trigger",)
    return Series4D(
        frames,
        tuple(round(float(value), 6) for value in medians),
        key=key,
        values=values,
        trigger_time_ms=tuple(tuple(float(v) for v in row) for row in table) if triggered else None,
        assumptions=notes,
        warnings=tuple(_jumps(table, clock)),
    )


def _jumps(table: npt.NDArray[np.float64], clock: str) -> Iterator[str]:
    """Say where time goes on at some slices far faster or slower than at most: images may be exchanged."""
    steps = np.diff(table, axis=0)
    usual = np.nanmedian(steps, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        odd = np.argwhere((steps > _MOST_JUMP * usual) | (steps * _MOST_JUMP < usual))
    if len(odd):
        t, z = odd[0].tolist()
        yield (
            f"{clock} goes on by {steps[t, z]:.4g} ms from time point {t} to {t + 1} at slice {z}, at most "
            f"slices by {usual[t, 0]:.4g} ms (so at {len(odd)} places): images may be exchanged"
        )


def _counts_repetitions(frames: tuple[Volume, ...], times_ms: npt.NDArray[np.float64]) -> bool:
    """Return whether Philips wrote t x TR where others write the delay after the R wave."""
    repetition = next(frame for frame in frames[0] if frame is not None).keys.get("RepetitionTime")
    if not repetition:
        return False
    steps = np.diff(times_ms) / float(repetition)
    return bool(np.all(np.abs(steps - 1.0) < 0.01))


def clock_table(frames: Sequence[Volume], clock: str) -> npt.NDArray[np.float64] | None:
    """Return the times (t, z) in ms by one tag, None unless their medians increase strictly."""
    if any(frame is not None and frame.keys.get(clock) is None for volume in frames for frame in volume):
        return None
    table = np.array(
        [[np.nan if frame is None else float(frame.keys[clock]) for frame in volume] for volume in frames]
    )
    if clock in WALL_CLOCKS:
        low, high = float(np.nanmin(table)), float(np.nanmax(table))
        table = np.vectorize(over_midnight)(table, low, high)
        # The time of day stays in the input: only what has passed since the first time point is kept.
        table = table - np.nanmedian(table[0])
    return table if (np.diff(np.nanmedian(table, axis=1)) > 0).all() else None


def _with_rank(
    frames: tuple[Volume, ...], key: str, values: tuple[Any, ...], support: str, keys: Mapping[str, Any]
) -> Series4D:
    step_ms, reason = volume_interval_ms(keys, len(frames))
    tail = f", {support}" if support else ""
    if support and step_ms is not None:
        time_ms = tuple(round(t * step_ms, 6) for t in range(len(frames)))
        note = f"time = rank of {key} within each position x {reason}{tail}"
        return Series4D(frames, time_ms, key=key, assumptions=(note,))
    note = f"time points = rank of {key} within each position{tail}; no tag gives their milliseconds"
    ranks = tuple(float(t) for t in range(len(frames)))
    return Series4D(frames, ranks, "t", False, key, values, None, (note,), (note,))


def volume_interval_ms(keys: Mapping[str, Any], count: int) -> tuple[float | None, str]:
    """Return the time between volumes that no clock gives, and how it was found."""
    interval, repetition = keys.get("NominalInterval"), keys.get("RepetitionTime")
    if keys.get("CardiacNumberOfImages", 0) > 1:
        # The TR of a cine is one line of k-space: 3.7 ms where phases are 48 ms apart.
        step = interval / count if interval else None
        return step, f"NominalInterval {interval} ms / {count} phases"
    # In 3D sequences TR is one line of k-space, whatever its length.
    if repetition and repetition >= _VOLUME_TR_MS and keys.get("MRAcquisitionType") != "3D":
        return repetition, f"RepetitionTime {repetition:g} ms"
    return None, ""


def _checked(series: Series4D, keys: Mapping[str, Any]) -> Series4D:
    """Return the series, with a warning where the headers announce another number of time points."""
    warnings = tuple(_differences(keys, len(series.frames)))
    return replace(series, warnings=(*series.warnings, *warnings)) if warnings else series


def _differences(keys: Mapping[str, Any], count: int) -> Iterator[str]:
    for tag in _CHECKS:
        announced = keys.get(tag)
        if announced is not None and announced > 1 and announced != count:
            yield f"{tag} is {announced:g}, but {count} time points lie here: some may be missing"


def _median(key: str, volume: Volume) -> float:
    found = [float(frame.keys[key]) for frame in volume if frame is not None]
    return round(float(np.median(found)), 6)
