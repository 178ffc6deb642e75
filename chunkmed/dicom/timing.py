"""The fourth dimension: which tag tells apart the frames that lie at one position."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chunkmed.dicom.headers import Frame

__all__ = [
    "AXES",
    "TIME_KEYS",
    "Axis",
    "Series4D",
    "TimeKey",
    "axis_values",
    "order_by_axis",
    "order_in_time",
]

Cells = Sequence[Sequence[Frame]]
_DAY_MS = 86_400_000.0
#: A TR below this is one line of k-space, not one volume.
_VOLUME_TR_MS = 100.0


@dataclass(frozen=True, slots=True)
class Series4D:
    """Frames of a stack as (t, z) and the coordinate of t."""

    frames: tuple[tuple[Frame, ...], ...]
    """Frames by time point, then by position."""
    time_ms: tuple[float, ...] = (0.0,)
    time_dim: str = "t"
    time_known: bool = True
    key: str = ""
    """The tag that told the frames apart."""
    values: tuple[Any, ...] = ()
    """Its values as JSON, where they are no clock."""
    trigger_time_ms: tuple[tuple[float, ...], ...] | None = None
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


# -- axes that are not time -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Axis:
    """A tag whose values are the same at every position: a stack each, or a dimension."""

    key: str
    dim: str
    """Name of the dimension; empty when every value makes a stack of its own."""
    extract: Callable[[Frame], Any]
    coordinate: Callable[[Any], float] = field(default=float)
    unit: str = ""


def _number(key: str) -> Callable[[Frame], float]:
    # Rounded: the same echo is written as 2.05 and 2.0499999.
    return lambda frame: round(float(frame.keys.get(key, -1.0)), 3)


def _kind(frame: Frame) -> tuple[str, str]:
    return str(frame.keys.get("ImageType", "")), str(frame.keys.get("ComplexImageComponent", ""))


def _gradient(frame: Frame) -> tuple[float, tuple[float, ...]]:
    vector = frame.keys.get("DiffusionGradientOrientation", ())
    return _number("DiffusionBValue")(frame), tuple(round(part, 4) for part in vector)


AXES: tuple[Axis, ...] = (
    Axis("ImageType", "", _kind),
    Axis("DiffusionBValue", "b", _gradient, lambda pair: float(pair[0]), "s/mm2"),
    Axis("EchoTime", "echo", _number("EchoTime"), unit="ms"),
    Axis("InversionTime", "inversion", _number("InversionTime"), unit="ms"),
    Axis("FlipAngle", "flip", _number("FlipAngle"), unit="degrees"),
)


def axis_values(axis: Axis, cells: Cells) -> list[Any]:
    """Return the axis' values, in order, if every position holds the same ones; else nothing."""
    sets = [{axis.extract(frame) for frame in cell} for cell in cells]
    if len(sets[0]) < 2 or any(found != sets[0] for found in sets):
        return []
    counts = {sum(axis.extract(frame) == value for frame in cell) for cell in cells for value in sets[0]}
    if len(counts) > 1 and axis.dim:
        return []
    # b-values ascending, directions in the order in which they were acquired.
    first_seen = {axis.extract(frame): _sequence(frame) for frame in sorted(cells[0], key=_sequence)[::-1]}
    by_seen = sorted(sets[0], key=lambda value: first_seen[value])
    return sorted(by_seen, key=axis.coordinate) if axis.dim else sorted(sets[0])


def _sequence(frame: Frame) -> tuple[float, int]:
    return float(frame.keys.get("InstanceNumber", 0.0)), frame.index


def order_by_axis(axis: Axis, values: Sequence[Any], cells: Cells) -> Series4D:
    """Return the frames along an axis that tells all frames of a position apart."""
    lookup = [{axis.extract(frame): frame for frame in cell} for cell in cells]
    coordinate = tuple(axis.coordinate(value) for value in values)
    return Series4D(
        frames=tuple(tuple(found[value] for found in lookup) for value in values),
        time_ms=coordinate,
        time_dim=axis.dim,
        key=axis.key,
        values=tuple(_json(value) for value in values),
        assumptions=(f"{axis.dim} = {axis.key}, {len(values)} values at every position",),
    )


def _json(value: Any) -> Any:
    return [_json(part) for part in value] if isinstance(value, tuple) else value


# -- time ---------------------------------------------------------------------------------------

_ACQUIRED = ("FrameReferenceTime", "AcquisitionTime", "ContentTime")
_WALL_CLOCKS = frozenset({"AcquisitionTime", "ContentTime"})


@dataclass(frozen=True, slots=True)
class TimeKey:
    """A tag whose rank within the position is the time point."""

    key: str
    clocks: tuple[str, ...]
    """Tags that can give the milliseconds, in order of preference."""
    needs_support: bool = False
    """Whether another tag must confirm the number of time points."""


TIME_KEYS: tuple[TimeKey, ...] = (
    TimeKey("FrameTime", ("FrameTime",)),
    TimeKey("TemporalPositionIdentifier", ("TriggerTime", *_ACQUIRED)),
    TimeKey("TemporalPositionIndex", ("NominalCardiacTriggerDelayTime", "TriggerTime", *_ACQUIRED)),
    TimeKey("TriggerTime", ("TriggerTime",)),
    TimeKey("NominalCardiacTriggerDelayTime", ("NominalCardiacTriggerDelayTime",)),
    TimeKey("NominalPercentageOfCardiacPhase", ("TriggerTime", *_ACQUIRED)),
    TimeKey("AcquisitionNumber", _ACQUIRED),
    TimeKey("FrameReferenceTime", ("FrameReferenceTime",)),
    TimeKey("ImageIndex", _ACQUIRED),
    TimeKey("AcquisitionTime", ("AcquisitionTime",)),
    TimeKey("ContentTime", ("ContentTime",)),
    TimeKey("InstanceNumber", (), needs_support=True),
)
_TRIGGERED = frozenset({"TriggerTime", "NominalCardiacTriggerDelayTime"})
_SUPPORT = ("NumberOfTemporalPositions", "CardiacNumberOfImages")


def order_in_time(cells: Cells) -> Series4D | None:
    """Return the frames in time by the first tag that tells all of every position apart."""
    count = len(cells[0])
    for row in TIME_KEYS:
        if not all(_tells_apart(row.key, cell) for cell in cells):
            continue
        support = _support(cells, count) if row.needs_support else ""
        if row.needs_support and not support:
            continue
        ordered = [sorted(cell, key=lambda frame: _ranking(frame, row.key, cell)) for cell in cells]
        frames = tuple(tuple(cell[t] for cell in ordered) for t in range(count))
        return _with_clock(frames, row, support)
    return None


def _tells_apart(key: str, cell: Sequence[Frame]) -> bool:
    found = [frame.keys.get(key) for frame in cell]
    return None not in found and len(set(found)) == len(cell)


def _ranking(frame: Frame, key: str, cell: Sequence[Frame]) -> float:
    value = float(frame.keys[key])
    if key not in _WALL_CLOCKS:
        return value
    others = [float(other.keys[key]) for other in cell]
    return _over_midnight(value, min(others), max(others))


def _over_midnight(value: float, low: float, high: float) -> float:
    return value + _DAY_MS if high - low > _DAY_MS / 2 and value < _DAY_MS / 2 else value


def _support(cells: Cells, count: int) -> str:
    for tag in _SUPPORT:
        if all(frame.keys.get(tag) == count for cell in cells for frame in cell):
            return f"corroborated by {tag} = {count}"
    return ""


def _with_clock(frames: tuple[tuple[Frame, ...], ...], row: TimeKey, support: str) -> Series4D:
    values = tuple(_median(row.key, volume) for volume in frames)
    shown = () if row.key in _WALL_CLOCKS else values
    diffusion = "DIFFUSION" in str(frames[0][0].keys.get("ImageType", ""))
    if diffusion:
        note = f"b = rank of {row.key}: the headers of this diffusion series hold no b-values"
        ranks = tuple(float(t) for t in range(len(frames)))
        return Series4D(frames, ranks, "b", False, row.key, shown, None, (note,), (note,))
    for clock in row.clocks:
        per_slice = clock_table(frames, clock)
        if per_slice is None:
            continue
        time_ms = tuple(round(float(value), 6) for value in np.median(per_slice, axis=1))
        triggered = clock in _TRIGGERED and bool((per_slice != per_slice[:, :1]).any())
        table = tuple(tuple(float(v) for v in volume) for volume in per_slice) if triggered else None
        notes: tuple[str, ...] = (f"time points = {row.key} within each position, milliseconds = {clock}",)
        if triggered:
            notes += (f"{clock} differs from slice to slice: time is its median over slices",)
        return Series4D(frames, time_ms, "t", True, row.key, shown, table, notes)
    return _with_rank(frames, row, shown, support)


def clock_table(frames: Sequence[Sequence[Frame]], clock: str) -> Any:
    """Return the times (t, z) in ms by one tag, None unless their medians increase strictly."""
    if any(frame.keys.get(clock) is None for volume in frames for frame in volume):
        return None
    table = np.array([[float(frame.keys[clock]) for frame in volume] for volume in frames])
    if clock in _WALL_CLOCKS:
        low, high = float(table.min()), float(table.max())
        table = np.vectorize(_over_midnight)(table, low, high)
        # The time of day stays in the input: only what has passed since the first time point is kept.
        table = table - np.median(table[0])
    return table if (np.diff(np.median(table, axis=1)) > 0).all() else None


def _with_rank(
    frames: tuple[tuple[Frame, ...], ...], row: TimeKey, values: tuple[Any, ...], support: str
) -> Series4D:
    step_ms, reason = volume_interval_ms(frames[0][0].keys, len(frames))
    tail = f", {support}" if support else ""
    if row.needs_support and step_ms is not None:
        time_ms = tuple(round(t * step_ms, 6) for t in range(len(frames)))
        note = f"time = rank of {row.key} within each position x {reason}{tail}"
        return Series4D(frames, time_ms, key=row.key, values=(), assumptions=(note,))
    note = f"time points = rank of {row.key} within each position{tail}; no tag gives their milliseconds"
    ranks = tuple(float(t) for t in range(len(frames)))
    shown = () if row.needs_support else values
    return Series4D(frames, ranks, "t", False, row.key, shown, None, (note,), (note,))


def volume_interval_ms(keys: Mapping[str, Any], count: int) -> tuple[float | None, str]:
    """Return the time between volumes that no clock gives, and how it was found."""
    interval, repetition = keys.get("NominalInterval"), keys.get("RepetitionTime")
    if keys.get("CardiacNumberOfImages", 0) > 1:
        step = interval / count if interval else None
        return step, f"NominalInterval {interval} ms / {count} phases"
    # In 3D sequences TR is one line of k-space, whatever its length.
    if repetition and repetition >= _VOLUME_TR_MS and keys.get("MRAcquisitionType") != "3D":
        return repetition, f"RepetitionTime {repetition:g} ms"
    return None, ""


def _median(key: str, volume: Sequence[Frame]) -> float:
    return round(float(np.median([float(frame.keys[key]) for frame in volume])), 6)
