"""The image planes of a file: one, many with functional groups, or many with a frame pointer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from pydicom.dataset import Dataset

from chunkmed.dicom.headers import Frame, Header
from chunkmed.dicom.keys import Keys
from chunkmed.dicom.modality import has_modality_lut
from chunkmed.dicom.mosaic import slice_positions, tiles_of
from chunkmed.dicom.quick import recalled
from chunkmed.dicom.quirks import stand_ins
from chunkmed.dicom.tags import KEYS, number, numbers, raw_value, text, value

__all__ = ["ambiguous_frames", "frames_of"]

#: A kilometre: positions are of patients in scanners.
_FARTHEST_MM = 1e6
_PRIVATE_CLOCKS = ("TemporalPositionIdentifier", "TriggerTime", "ContentTime", "RepetitionTime")
_POINTED = {
    0x00181063: "FrameTime",
    0x00181065: "FrameTimeVector",
    0x3004000C: "GridFrameOffsetVector",
    0x00540080: "SliceVector",
}
#: Those that place frames; the others are moments.
_PLACES = ("GridFrameOffsetVector", "SliceVector")


def frames_of(dataset: Any, header: Header) -> tuple[Frame, ...]:
    """Return the image planes of one file, geometry and ordering tags resolved for each."""
    if "PerFrameFunctionalGroupsSequence" in dataset:
        groups = _functional_groups(dataset)
        return tuple(_frame(merged, header, i, {}) for i, merged in enumerate(groups))
    if header.layout.mosaic:
        positions = slice_positions(dataset, header.layout.rows, header.layout.columns)
        return tuple(_frame(dataset, header, i, {}, position) for i, position in enumerate(positions))
    if header.layout.frames == 1:
        return (_frame(dataset, header, 0, {}),)
    return tuple(_pointed_frames(dataset, header))


def ambiguous_frames(dataset: Any, count: int) -> str | None:
    """Return why the meaning of several frames in one file is unknown, or None."""
    if count == 1 or tiles_of(dataset).side or "PerFrameFunctionalGroupsSequence" in dataset:
        return None
    pointer = _pointer(dataset)
    if pointer is None:
        return f"nothing says what its {count} frames are: FrameIncrementPointer names no known element"
    if pointer == "FrameTime":
        valid = value(dataset, "FrameTime", number) is not None
    else:
        valid = len(value(dataset, pointer, numbers) or ()) == count
    if pointer == "SliceVector" and _slice_step_mm(dataset) is None:
        return "SliceVector without SpacingBetweenSlices, or without the position of the first slice"
    return None if valid else f"{pointer} does not hold what {count} frames need"


def _pointer(dataset: Any) -> str | None:
    raw = dataset.get("FrameIncrementPointer")
    if raw is None and "GridFrameOffsetVector" in dataset:
        # A dose whose pointer was left out: the vector is of its frames and of nothing else.
        return "GridFrameOffsetVector"
    tags = raw if isinstance(raw, list) or hasattr(raw, "append") else [raw]
    names = [_POINTED.get(int(tag)) for tag in tags if tag is not None]
    return names[0] if len(names) == 1 else None


def _pointed_frames(dataset: Any, header: Header) -> Iterator[Frame]:
    pointer = _pointer(dataset)
    first = _with_detector(_frame(dataset, header, 0, {}), dataset)
    steps = _frame_values(dataset, pointer, header.layout.frames)
    step_mm = _slice_step_mm(dataset) or 0.0
    for i, step in enumerate(steps):
        if pointer in _PLACES:
            offset_mm = step_mm * (step - 1) if pointer == "SliceVector" else step - steps[0]
            yield replace(first, index=i, position=_moved(first, offset_mm) or first.position)
        else:
            yield replace(first, index=i, keys=Keys({**first.keys, "FrameTime": step}))


def _with_detector(frame: Frame, dataset: Any) -> Frame:
    """Return a frame of nuclear medicine with the place that its first detector tells."""
    detectors = dataset.get("DetectorInformationSequence")
    if frame.position is not None or frame.orientation is not None or not detectors:
        return frame
    position, _ = _vector(detectors[0], "ImagePositionPatient", 3)
    orientation, _ = _vector(detectors[0], "ImageOrientationPatient", 6)
    return replace(frame, position=position, orientation=orientation)


def _slice_step_mm(dataset: Any) -> float | None:
    """Return the signed step between reconstructed slices; None where they cannot be placed."""
    step: float | None = value(dataset, "SpacingBetweenSlices", number)
    places = [dataset, *(dataset.get("DetectorInformationSequence") or [])[:1]]
    return step if step and any(_vector(place, "ImagePositionPatient", 3)[0] for place in places) else None


def _frame_values(dataset: Any, pointer: str | None, count: int) -> Sequence[float]:
    if pointer == "FrameTime":
        # A part of a concatenation goes on where the part before it ended.
        start = int(value(dataset, "ConcatenationFrameOffsetNumber", number) or 0)
        return [(start + i) * (value(dataset, "FrameTime", number) or 0.0) for i in range(count)]
    values: tuple[float, ...] | None = value(dataset, pointer, numbers) if pointer else None
    if values is None or len(values) != count:
        return [float(i) for i in range(count)]  # flagged by ambiguous_frames
    if pointer == "FrameTimeVector":  # increments: the first is 0
        return list(accumulate(values[1:], initial=0.0))
    return values


def _moved(frame: Frame, offset_mm: float) -> tuple[float, ...] | None:
    if frame.position is None or frame.orientation is None:
        return None
    a, b = frame.orientation[:3], frame.orientation[3:]
    normal = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    return tuple(p + offset_mm * n for p, n in zip(frame.position, normal, strict=True))


def _functional_groups(dataset: Any) -> Iterator[Dataset]:
    base = Dataset()
    for element in dataset:
        if "FunctionalGroupsSequence" not in element.keyword:
            base[element.tag] = element
    for group in dataset.get("SharedFunctionalGroupsSequence") or []:
        _flatten(group, base)
    for group in dataset.PerFrameFunctionalGroupsSequence:
        merged = Dataset()
        merged.update(base)
        _flatten(group, merged)
        yield merged


def _flatten(group: Any, into: Dataset, depth: int = 3) -> None:
    """Lay the elements of a group's macros flat, as a classic file has them."""
    for element in group:
        if element.VR != "SQ":
            into[element.tag] = element
        elif depth and element.value and not element.tag.is_private:
            _flatten(element.value[0], into, depth - 1)
    # Philips keeps a classic header in (2005,140F): its clocks are good, its positions are half a
    # voxel off.
    for element in group:
        if element.tag.is_private and element.VR == "SQ" and element.value:
            for keyword in _PRIVATE_CLOCKS:
                if keyword in element.value[0]:
                    into[keyword] = element.value[0][keyword]


def _frame(
    dataset: Any,
    header: Header,
    index: int,
    extra: dict[str, float],
    position: tuple[float, ...] | None = None,
) -> Frame:
    shared, unusable = _shared(dataset)
    if position is None:
        position, wrong = _vector(dataset, "ImagePositionPatient", 3)
        unusable = (*wrong, *unusable)
    return Frame(
        file=header,
        index=index,
        position=position,
        **shared,
        keys=Keys(_keys(dataset) | extra),
        unusable=unusable,
    )


@recalled
def _shared(dataset: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what the slices of a stack mostly share, and which elements of it are of no use."""
    orientation, no_orientation = _vector(dataset, "ImageOrientationPatient", 6)
    spacing, no_spacing = _vector(dataset, "PixelSpacing", 2)
    slope, intercept = _rescale(dataset)
    found = {
        "orientation": orientation,
        "spacing": spacing,
        "thickness_mm": value(dataset, "SliceThickness", number),
        "between_mm": value(dataset, "SpacingBetweenSlices", number),
        "slope": slope,
        "intercept": intercept,
    }
    return found, (*no_orientation, *no_spacing)


def _rescale(dataset: Any) -> tuple[float, float]:
    """Return slope and intercept; a table takes their place, whatever they say."""
    if has_modality_lut(dataset):
        return 1.0, 0.0
    slope = value(dataset, "RescaleSlope", float)
    if slope is None:
        slope = value(dataset, "DoseGridScaling", float)
    return 1.0 if slope is None else slope, value(dataset, "RescaleIntercept", float) or 0.0


def _vector(dataset: Any, keyword: str, size: int) -> tuple[tuple[float, ...] | None, tuple[str, ...]]:
    """Return so many numbers; where they are there and none, their keyword too."""
    try:
        raw = dataset.get(keyword)
    except Exception:
        return None, (keyword,)
    if raw is None or (hasattr(raw, "__len__") and len(raw) == 0):
        return None, ()
    values = value(dataset, keyword, numbers)
    if values is None or len(values) != size or max(map(abs, values)) > _FARTHEST_MM:
        return None, (keyword,)
    return values, ()


def _keys(dataset: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (keywords, convert) in KEYS.items():
        for keyword in keywords:
            if keyword in dataset and (read := value(dataset, keyword, convert)) is not None:
                found[name] = read
                break
    maker, modality = (value(dataset, word, text) or "" for word in ("Manufacturer", "Modality"))
    return found | stand_ins(lambda tag: value(dataset, tag, raw_value), maker, modality, found)
