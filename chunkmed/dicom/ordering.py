"""Groups -> ordered frames: along the normal, then along what is not time, then in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from chunkmed.dicom.apart import acquisitions, is_unplaced, places_of, scattered, stations, views
from chunkmed.dicom.axes import AXES, Axis, Levels, label_of, levels_of
from chunkmed.dicom.duplicates import OF_EXPORT, has_copies, without_copies
from chunkmed.dicom.geometry import Cell, cells_of
from chunkmed.dicom.grouping import Group
from chunkmed.dicom.headers import Frame
from chunkmed.dicom.ragged import order_with_holes
from chunkmed.dicom.series import Series4D
from chunkmed.dicom.timing import NO_MOMENTS, order_in_time
from chunkmed.errors import SourceError
from chunkmed.private import file_identifier

__all__ = ["Ordered", "json_value", "ordered"]

_MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class Ordered:
    """Frames of one stack in order, or as much order as could be found."""

    group: Group
    cells: tuple[Cell, ...]
    series: Series4D
    problem: SourceError | None = None
    """Why there is no order; nothing that a user could accept."""


def ordered(group: Group) -> Iterator[Ordered]:
    """Order the frames of a group; it becomes several stacks where a second axis is no time."""
    cells = tuple(cells_of(group.frames))
    if all(len(cell.frames) == 1 for cell in cells):
        yield Ordered(group, cells, Series4D((tuple(cell.frames[0] for cell in cells),)))
        return
    places = places_of(cells)
    if parts := views(group, cells) or stations(group, cells, places):
        for part in parts:
            yield from ordered(part)
        return
    if any(_ambiguous(frame) for frame in group.frames):
        # Only the user knows what these frames are: listed in the order of the file.
        yield Ordered(group, cells, _listed(cells))
        return
    if (problem := scattered(cells, places)) is not None:
        yield Ordered(group, cells, _listed(cells), problem)
        return
    planes = [cell.frames for cell in cells]
    for axis in AXES:
        levels = levels_of(axis, planes)
        if levels is not None:
            yield from _along(group, cells, axis, levels)
            return
    yield from _in_time(group, cells)


def _ambiguous(frame: Frame) -> bool:
    return frame.file.problem is not None and frame.file.problem.kind == "ambiguous-frames"


def _along(group: Group, cells: tuple[Cell, ...], axis: Axis, levels: Levels) -> Iterator[Ordered]:
    table = levels.sorted_frames(axis, [cell.frames for cell in cells])
    if axis.dim and all(len(frames) <= 1 for row in table for frames in row):
        columns = [[frames[0] if frames else None for frames in row] for row in table]
        yield Ordered(group, cells, _series_along(axis, levels, columns))
        return
    repeated = _repeats(axis, levels, table)
    if repeated is not None:
        yield Ordered(group, cells, repeated)
        return
    for number, value in enumerate(levels.values):
        frames = tuple(frame for row in table for frame in row[number])
        note = f"the series varies along {axis.key} too: one stack for each of its values"
        labels = (*group.labels, label_of(axis, value))
        part = replace(group, frames=frames, labels=labels, assumptions=(*group.assumptions, note))
        yield from ordered(part)


def _series_along(axis: Axis, levels: Levels, columns: Sequence[Sequence[Frame | None]]) -> Series4D:
    return Series4D(
        frames=tuple(tuple(column[i] for column in columns) for i in range(len(levels.values))),
        time_ms=levels.coordinates,
        time_dim=axis.dim,
        key=axis.key,
        values=tuple(json_value(value) for value in levels.values),
        assumptions=(f"{axis.dim} = {axis.key}, {len(levels.values)} values at every position",),
    )


def _repeats(axis: Axis, levels: Levels, table: Sequence[Sequence[Sequence[Frame]]]) -> Series4D | None:
    """Return one dimension b where some b-values were repeated and others not (b0 mostly)."""
    counts = [len(frames) for frames in table[0]]
    if axis.dim != "b" or len(set(counts)) < 2 or any([len(f) for f in row] != counts for row in table):
        return None
    columns: list[list[Frame | None]] = [[] for _ in table]
    for number in range(len(counts)):
        series = order_in_time([row[number] for row in table])
        if series is None:
            return None
        for z, column in enumerate(columns):
            column += [volume[z] for volume in series.frames]
    wide = Levels(
        tuple(value for value, count in zip(levels.values, counts, strict=True) for _ in range(count)),
        levels.numbers,
        tuple(value for value, count in zip(levels.coordinates, counts, strict=True) for _ in range(count)),
    )
    return _series_along(axis, wide, columns)


def _in_time(group: Group, cells: tuple[Cell, ...]) -> Iterator[Ordered]:
    planes = [cell.frames for cell in cells]
    counts = [len(plane) for plane in planes]
    alike = len(set(counts)) == 1
    # Images that nothing places may be slices: only what says that they are moments makes them that.
    vague = NO_MOMENTS if is_unplaced(cells) else frozenset()
    series = order_in_time(planes, without=OF_EXPORT | vague) if alike else None
    slimmer = None if series else _surplus(group, cells, counts)
    if series is None and slimmer is None:
        series = order_in_time(planes, without=vague) if alike else None
        series = series or (None if vague else order_with_holes(planes))
    if series is not None:
        yield Ordered(group, cells, series)
        return
    slimmer = slimmer or without_copies(group, cells)
    if slimmer is not None:
        yield from ordered(slimmer)
        return
    parts = list(acquisitions(group, cells))
    for part in parts:
        yield from ordered(part)
    if not parts:
        yield Ordered(group, cells, _listed(cells), _unexplained(cells))


def _surplus(group: Group, cells: tuple[Cell, ...], counts: Sequence[int]) -> Group | None:
    """Return the group without copies, where it may hold some: as few pixels are read as possible."""
    if len(set(counts)) > 1:
        return without_copies(group, cells, median(counts))
    # Black slices may be equal in a good series: only where all positions hold copies they are that.
    return without_copies(group, cells) if all(map(has_copies, cells)) else None


def _listed(cells: Sequence[Cell]) -> Series4D:
    """Return frames in the order in which they came: listed with their shape, never read so."""
    most = max(len(cell.frames) for cell in cells)
    frames = tuple(
        tuple(cell.frames[t] if t < len(cell.frames) else None for cell in cells) for t in range(most)
    )
    return Series4D(frames, tuple(float(t) for t in range(most)), time_known=False)


def json_value(value: object) -> object:
    """Return tuples as lists."""
    return [json_value(part) for part in value] if isinstance(value, tuple) else value


def _unexplained(cells: Sequence[Cell]) -> SourceError:
    cell = max(cells, key=lambda cell: len(cell.frames))
    names = ", ".join(f"file {file_identifier(frame.file.path)}" for frame in cell.frames[:_MOST_NAMED])
    if cell.origin_mm is None:
        return SourceError(
            "the order of these images is unknown",
            kind="no-positions",
            tag="(0020,0032), (0020,0037)",
            why=f"{len(cell.frames)} images hold no position and orientation, and no tag says what they are "
            f"to one another ({names} ...)",
            fix="convert the files one by one",
        )
    number = next(z for z, other in enumerate(cells) if other is cell)
    return SourceError(
        "several images lie at the same position",
        kind="duplicate-position",
        tag="(0020,0032)",
        why=f"{len(cell.frames)} images share slice {number} and no tag puts them in order ({names} ...)",
        fix="remove the files that do not belong to the series",
    )
