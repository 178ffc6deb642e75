"""Frames -> stacks: group, drop duplicates, order along the normal, then along the fourth dimension."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chunkmed.dicom.attributes import stack_attributes
from chunkmed.dicom.decode import missing_decoder
from chunkmed.dicom.geometry import Cell, cells_of, geometry_of
from chunkmed.dicom.grouping import Group, groups_of
from chunkmed.dicom.headers import Frame
from chunkmed.dicom.pixels import pixels_of
from chunkmed.dicom.regularity import irregularities
from chunkmed.dicom.study import Skipped, Stack
from chunkmed.dicom.timing import AXES, Axis, Series4D, axis_values, order_by_axis, order_in_time
from chunkmed.dicom.values import bad_rescale, output_dtype, padding_limit_of, padding_of
from chunkmed.dicom.walk import printable
from chunkmed.errors import SourceError
from chunkmed.provenance import keyed_identifier

__all__ = ["stacks_of"]

_MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class _Ordered:
    """Frames of one stack in order, or as much order as could be found."""

    group: Group
    cells: tuple[Cell, ...]
    series: Series4D
    problem: SourceError | None = None


def stacks_of(frames: Sequence[Frame]) -> tuple[tuple[Stack, ...], tuple[Skipped, ...]]:
    """Return the stacks that these frames make, in order of their first file, and what makes none."""
    stacks: list[Stack] = []
    skipped: list[Skipped] = []
    for group in groups_of(frames):
        try:
            stacks += [_stack(part) for part in _ordered(group)]
        except Exception as error:
            # One strange series must not cost the others.
            reason = f"its series cannot be put together ({type(error).__name__})"
            paths = sorted({frame.file.path for frame in group.frames})
            skipped += [Skipped(printable(path), reason) for path in paths]
    return tuple(stacks), tuple(skipped)


def _ordered(group: Group) -> Iterator[_Ordered]:
    """Order the frames of a group; it becomes several stacks where a second axis is no time."""
    cells = tuple(cells_of(group.frames))
    counts = {len(cell.frames) for cell in cells}
    if counts == {1}:
        yield _Ordered(group, cells, Series4D((tuple(cell.frames[0] for cell in cells),)))
        return
    planes = [cell.frames for cell in cells]
    for axis in AXES:
        values = axis_values(axis, planes)
        if not values:
            continue
        if axis.dim and counts == {len(values)}:
            yield _Ordered(group, cells, order_by_axis(axis, values, planes))
        else:
            for value in values:
                yield from _ordered(_part(group, axis, value))
        return
    yield from _in_time(group, cells, counts)


def _in_time(group: Group, cells: tuple[Cell, ...], counts: set[int]) -> Iterator[_Ordered]:
    planes = [cell.frames for cell in cells]
    series = order_in_time(planes) if len(counts) == 1 else None
    if series is not None:
        yield _Ordered(group, cells, series)
        return
    slimmer = _without_copies(group, cells)
    if slimmer is not None:
        yield from _ordered(slimmer)
        return
    most = max(counts)
    # Listed with the shape that it would have; never read.
    padded = tuple(tuple(plane[min(t, len(plane) - 1)] for plane in planes) for t in range(most))
    rank = tuple(float(t) for t in range(most))
    listed = Series4D(padded, rank, time_known=False)
    yield _Ordered(group, cells, listed, _ragged(cells) if len(counts) > 1 else _unexplained(cells))


def _part(group: Group, axis: Axis, value: object) -> Group:
    chosen = tuple(frame for frame in group.frames if axis.extract(frame) == value)
    label = _label(axis, value)
    note = f"the series varies along {axis.key} too: one stack for each of its values"
    return replace(
        group, frames=chosen, labels=(*group.labels, label), assumptions=(*group.assumptions, note)
    )


def _label(axis: Axis, value: object) -> str:
    if axis.dim:
        number = axis.coordinate(value)
        return f"{axis.key} {number:g} {axis.unit}".strip()
    parts = value if isinstance(value, tuple) else (value,)
    return " ".join(str(part) for part in parts if part)


def _without_copies(group: Group, cells: Sequence[Cell]) -> Group | None:
    """Drop frames with the same position and the same pixels; None where there are none."""
    kept: list[Frame] = []
    for cell in cells:
        if len(cell.frames) == 1:
            kept += cell.frames
            continue
        distinct = {_pixel_hash(frame): frame for frame in reversed(cell.frames)}
        kept += distinct.values()
    dropped = len(group.frames) - len(kept)
    if dropped == 0:
        return None
    note = f"{dropped} files with the position and the pixels of another one dropped"
    return replace(group, frames=tuple(kept), assumptions=(*group.assumptions, note))


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


def _ragged(cells: Sequence[Cell]) -> SourceError:
    most = max(len(cell.frames) for cell in cells)
    short = [(z, len(cell.frames)) for z, cell in enumerate(cells) if len(cell.frames) < most]
    named = ", ".join(f"slice {z} has {count}" for z, count in short[:_MOST_NAMED])
    more = f" and {len(short) - _MOST_NAMED} more slices" if len(short) > _MOST_NAMED else ""
    return SourceError(
        "images are missing at some positions",
        kind="ragged-cells",
        why=f"most positions hold {most} images, but {named}{more}",
        fix="look for files that are missing or do not belong to the series",
    )


def _unexplained(cells: Sequence[Cell]) -> SourceError:
    frames = cells[0].frames
    names = ", ".join(Path(frame.file.path).name for frame in frames[:_MOST_NAMED])
    if cells[0].origin_mm is None:
        return SourceError(
            "the order of these images is unknown",
            kind="no-positions",
            where="tags (0020,0032), (0020,0037)",
            why=f"{len(frames)} images hold no position and no tag tells them apart ({names} ...)",
            fix="convert the files one by one",
        )
    return SourceError(
        "several images lie at the same position",
        kind="duplicate-position",
        where="tag (0020,0032)",
        why=f"{len(frames)} images share slice 0 and no tag tells them apart ({names} ...)",
        fix="remove the files that do not belong to the series",
    )


def _stack(part: _Ordered) -> Stack:
    group, cells, series = part.group, part.cells, part.series
    frames = [frame for volume in series.frames for frame in volume]
    geometry = geometry_of(cells)
    dtype = output_dtype(frames)
    padding, padding_note = padding_of(frames, dtype)
    key = keyed_identifier(group.identity)
    problems = tuple(_located(problem, key) for problem in _problems(part, frames))
    attributes = stack_attributes(frames)
    if padding is not None and (limit := padding_limit_of(frames, dtype)) is not None:
        attributes["padding_limit"] = limit
    if series.key:
        attributes |= {"time_key": series.key, "time_values": list(series.values)}
    if len(labels := sorted({str(frame.file.frame_uid) for frame in frames})) > 1:
        note = f"{len(labels)} frames of reference in one series: taken as one"
        group = replace(group, assumptions=(*group.assumptions, note))
    warnings = (*geometry.warnings, *series.warnings, *_warnings(frames, padding_note))
    return Stack(
        key=key,
        grid=geometry.grid(
            series.time_ms, series.time_dim, series.time_known, keyed_identifier(frames[0].file.frame_uid)
        ),
        dtype=dtype,
        pixels=pixels_of(series.frames),
        modality=frames[0].file.modality,
        description=frames[0].file.description,
        plane=geometry.plane,
        attributes=attributes if padding is None else attributes | {"padding_value": padding},
        assumptions=tuple(
            dict.fromkeys((*group.assumptions, *geometry.assumptions, *series.assumptions, *warnings))
        ),
        warnings=warnings,
        padding=padding,
        trigger_time_ms=series.trigger_time_ms,
        problems=problems,
        flags=group.flags,
    )


def _problems(part: _Ordered, frames: Sequence[Frame]) -> Iterator[SourceError]:
    of_files = next((frame.file.problem for frame in frames if frame.file.problem is not None), None)
    yield from filter(None, (of_files, part.problem, *irregularities(part.cells), bad_rescale(frames)))


def _located(problem: SourceError, key: str) -> SourceError:
    parts = problem.as_dict()
    parts["where"] = ", ".join(filter(None, (f"series {key}", parts["where"])))
    return SourceError(parts.pop("what"), **parts)


def _warnings(frames: Sequence[Frame], padding_note: str) -> Iterator[str]:
    if padding_note:
        yield padding_note
    if any(frame.file.technical.get("burned_in_annotation") == "YES" for frame in frames):
        yield "the headers say that text is burned into the pixels: it may name the patient"
    for syntax in sorted({f.file.layout.transfer_syntax for f in frames if f.file.layout.compressed}):
        if missing := missing_decoder(syntax):
            yield missing
    if any(frame.file.layout.photometric == "PALETTE COLOR" for frame in frames):
        yield "PALETTE COLOR: the values are numbers of colours, not intensities"
    if any("imager_pixel_spacing_mm" in frame.file.technical for frame in frames):
        yield "a projection image: ImagerPixelSpacing is the size at the detector, not in the patient"
