"""Frames -> stacks: group, drop duplicates, order along the normal, then along the fourth dimension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chunkmed.dicom.attributes import stack_attributes
from chunkmed.dicom.contradictions import contradictions, doubts
from chunkmed.dicom.decode import missing_decoder
from chunkmed.dicom.geometry import geometry_of
from chunkmed.dicom.grouping import groups_of
from chunkmed.dicom.headers import Frame
from chunkmed.dicom.ordering import Ordered, ordered
from chunkmed.dicom.pixels import Pixels, pixels_of
from chunkmed.dicom.regularity import irregularities, unfit
from chunkmed.dicom.study import Skipped, Stack
from chunkmed.dicom.values import bad_rescale, output_dtype, padding_limit_of, padding_of
from chunkmed.dicom.walk import printable
from chunkmed.errors import SourceError
from chunkmed.provenance import keyed_identifier

__all__ = ["stack_of", "stacks_of"]


def stacks_of(frames: Sequence[Frame]) -> tuple[tuple[Stack, ...], tuple[Skipped, ...]]:
    """Return the stacks that these frames make, in order of their first file, and what makes none."""
    stacks: list[Stack] = []
    skipped: list[Skipped] = []
    for group in groups_of(frames):
        try:
            stacks += [stack_of(part) for part in ordered(group)]
        except Exception as error:
            # One strange series must not cost the others.
            reason = f"its series cannot be put together ({type(error).__name__})"
            paths = sorted({frame.file.path for frame in group.frames})
            skipped += [Skipped(printable(path), reason) for path in paths]
    return tuple(stacks), tuple(skipped)


def stack_of(part: Ordered) -> Stack:
    """Return the stack that ordered frames make, its problems told and not raised."""
    group, cells, series = part.group, part.cells, part.series
    frames = list(series.present)
    geometry = geometry_of(cells)
    # A hole is NaN.
    dtype = np.dtype(np.float32) if series.holes else output_dtype(frames)
    padding, padding_note = padding_of(frames, dtype)
    attributes = stack_attributes(frames)
    if padding is not None and (limit := padding_limit_of(frames, dtype)) is not None:
        attributes["padding_limit"] = limit
    if series.key:
        attributes |= {"time_key": series.key, "time_values": list(series.values)}
    pixels = pixels_of(series.frames)
    if series.holes:
        attributes["missing_cells"] = [list(hole) for hole in series.holes]
        attributes |= _rescale_with_holes(attributes, pixels)
    if len(labels := sorted({str(frame.file.frame_uid) for frame in frames})) > 1:
        note = f"{len(labels)} frames of reference in one series: taken as one"
        group = replace(group, assumptions=(*group.assumptions, note))
    key = keyed_identifier(group.identity)
    warnings = (
        *group.warnings,
        *geometry.warnings,
        *series.warnings,
        *doubts(cells, series, geometry),
        *_warnings(frames, padding_note),
    )
    # Of frames in no order there is nothing to say.
    found = () if part.problem else (*irregularities(cells, series), *contradictions(cells))
    return Stack(
        key=key,
        grid=geometry.grid(
            series.time_ms, series.time_dim, series.time_known, keyed_identifier(frames[0].file.frame_uid)
        ),
        dtype=dtype,
        pixels=pixels,
        modality=printable(frames[0].file.modality),
        description=frames[0].file.description,
        plane=geometry.plane,
        attributes=attributes if padding is None else attributes | {"padding_value": padding},
        assumptions=tuple(
            dict.fromkeys((*group.assumptions, *geometry.assumptions, *series.assumptions, *warnings))
        ),
        warnings=warnings,
        padding=padding,
        trigger_time_ms=series.trigger_time_ms,
        faults=tuple(_located(fault, key) for fault in _faults(part, frames)),
        flags=group.flags,
        irregularities=tuple(replace(item, error=_located(item.error, key)) for item in found),
    )


def _faults(part: Ordered, frames: Sequence[Frame]) -> Iterator[SourceError]:
    of_files = next((frame.file.problem for frame in frames if frame.file.problem is not None), None)
    found = (of_files, part.group.problem, part.problem, unfit(part.cells), bad_rescale(frames))
    return (fault for fault in found if fault is not None)


def _rescale_with_holes(attributes: Mapping[str, Any], pixels: Pixels) -> dict[str, list[float]]:
    """Return the slopes and intercepts in the order t, z where they differ, one for each hole too."""
    names = ("rescale_slopes", "rescale_intercepts")
    return {
        name: pixels.rescale[..., i].ravel().tolist() for i, name in enumerate(names) if name in attributes
    }


def _located(problem: SourceError, key: str) -> SourceError:
    parts = problem.as_dict()
    return SourceError(parts.pop("what"), **parts | {"series": key})


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
