"""What headers say of the positions beside them, and where the two do not agree.

Positions alone place the slices. SliceLocation, SpacingBetweenSlices, image numbers and announced counts
place none: they are witnesses. One that contradicts refuses the stack, or is told where it may well
be wrong itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.geometry import Cell, Geometry
from chunkmed.dicom.headers import Frame
from chunkmed.dicom.regularity import Irregularity, listed, refused
from chunkmed.dicom.series import Series4D, Volume
from chunkmed.private import file_identifier

__all__ = ["contradictions", "doubts"]

Vector = npt.NDArray[np.float64]
#: SliceLocation may lie this far off, in steps and, for it is printed with few digits, in mm; where more
#: are printed, of thin slices in steps again.
_OFF_STEP, _OFF_MM, _OFF_THIN_STEP, _MORE_DIGITS_MM = 0.05, 0.1, 0.1, 0.01
#: With how many digits it is printed mostly.
_PRINTED_MM = (1.0, 0.1, 0.01)
#: So is SpacingBetweenSlices.
_OFF_SPACING = 0.05
#: Slices may be shifted by this fraction of a pixel each.
_SHIFT = 0.1
#: Cosine of the angle between the table and what counts as along it: 1 degree.
_ALONG_TABLE = 0.99985
_MOST_NAMED = 6


def contradictions(cells: Sequence[Cell]) -> Iterator[Irregularity]:
    """Yield what is refused: other elements place the slices elsewhere, or at other distances."""
    if len(cells) < 2 or cells[0].origin_mm is None:
        return
    found = (_of_locations(cells), _of_spacing(cells))
    yield from (item for item in found if item is not None)


def doubts(cells: Sequence[Cell], series: Series4D, geometry: Geometry) -> Iterator[str]:
    """Yield what the user must see, though the positions are taken."""
    if len(cells) > 1 and cells[0].origin_mm is not None:
        yield from _of_axis(cells)
        yield from _of_gap(cells)
        yield from _of_numbers(series)
        yield from _of_shift(cells, geometry)
        yield from _of_counts(cells)


def _of_locations(cells: Sequence[Cell]) -> Irregularity | None:
    found = _locations(cells)
    if found is None:
        return None
    off_mm, limit_mm = _off(found, _depths(cells)), _limit_mm(cells, found)
    odd = np.flatnonzero(off_mm > limit_mm)
    if len(odd) == 0 or _off(found, [_along_axis(cells)]).max() <= limit_mm:
        return None
    what = "SliceLocation contradicts the positions of the slices"
    frames = [(z, frame) for z, cell in enumerate(cells) for frame in cell.frames]
    rows = [(*frames[i], float(off_mm[i])) for i in odd]
    named = [f"{_name(frame)} (slice {z}) by {off:.3g} mm" for z, frame, off in rows[:_MOST_NAMED]]
    noted = [f"slice {z} by {off:.3g} mm" for z, _, off in rows[:_MOST_NAMED]]
    error = refused("contradicting-positions", what, listed(named, len(rows)), "(0020,1041), (0020,0032)")
    return Irregularity(error, f"accepted: {what}: {listed(noted, len(rows))}; the positions are taken")


def _of_axis(cells: Sequence[Cell]) -> Iterator[str]:
    """Say where SliceLocation counts along an axis of the patient, as some vendors do in oblique images."""
    found = _locations(cells)
    if found is None or _off(found, _depths(cells)).max() <= (limit_mm := _limit_mm(cells, found)):
        return
    if _off(found, [_along_axis(cells)]).max() <= limit_mm:
        yield "SliceLocation goes along an axis of the patient, not along the normal: positions are taken"


def _locations(cells: Sequence[Cell]) -> Vector | None:
    """Return SliceLocation of each frame; None where it says nothing."""
    told = [frame.keys.get("SliceLocation") for cell in cells for frame in cell.frames]
    if None in told:
        return None
    locations = np.array(told, dtype=np.float64)
    return locations if np.ptp(locations) > 0 else None


def _limit_mm(cells: Sequence[Cell], locations: Vector) -> float:
    step = _step_mm(cells)
    rounding = next((each / 2 for each in _PRINTED_MM if _are_multiples(locations, each)), 0.0)
    thin = max(_OFF_THIN_STEP * step, rounding + _MORE_DIGITS_MM)
    return max(_OFF_STEP * step, min(_OFF_MM, thin))


def _are_multiples(values: Vector, of: float) -> bool:
    return bool(np.abs(values / of - np.round(values / of)).max() < 1e-4)


def _depths(cells: Sequence[Cell]) -> list[Vector]:
    """Return where each frame lies: along the normal, and along the line (longer with a tilted gantry)."""
    depths = np.array([cell.depth_mm for cell in cells])
    line = np.linalg.norm(_origins(cells) - _origins(cells)[0], axis=1)
    return [_of_frames(cells, one) for one in (depths, line)]


def _along_axis(cells: Sequence[Cell]) -> Vector:
    """Return the coordinate of each frame in which the slices are farthest apart."""
    origins = _origins(cells)
    return _of_frames(cells, origins[:, int(np.argmax(np.ptp(origins, axis=0)))])


def _of_frames(cells: Sequence[Cell], values: Vector) -> Vector:
    return np.repeat(values, [len(cell.frames) for cell in cells])


def _origins(cells: Sequence[Cell]) -> Vector:
    return np.array([cell.origin_mm for cell in cells], dtype=np.float64)


def _off(locations: Vector, measures: Sequence[Vector]) -> Vector:
    """Return how far each location lies off, by the measure and sign that most of them follow."""
    found = [locations - sign * measure for measure in measures for sign in (1.0, -1.0)]
    offs = [np.abs(one - np.median(one)) for one in found]
    return min(offs, key=lambda off: (float(np.median(off)), float(off.max())))


def _of_spacing(cells: Sequence[Cell]) -> Irregularity | None:
    frames = [frame for cell in cells for frame in cell.frames]
    between = _spacing_told(frames)
    # A series of a single slice says of the distance what it likes.
    if between is None or len({frame.file.series_uid for frame in frames}) > 1:
        return None
    origins = _origins(cells)
    step = _step_mm(cells)
    # Of a tilted gantry some say it along the normal, some along the table.
    steps = (step, float(np.median(np.linalg.norm(np.diff(origins, axis=0), axis=1))))
    if any(abs(one - between) <= _OFF_SPACING * between for one in steps) or _is_gap(frames, between, step):
        return None
    why = f"SpacingBetweenSlices is {between:.4g} mm, but the slices lie {step:.4g} mm apart"
    tag, times = "(0018,0088), (0020,0032)", round(step / between)
    if times > 1 and abs(step - times * between) <= _OFF_SPACING * between:
        what = f"{(times - 1) * (len(cells) - 1)} slices are missing"
        return Irregularity(refused("missing-slices", what, why, tag), f"accepted: {what}, {why}")
    what = "SpacingBetweenSlices contradicts the positions of the slices"
    return Irregularity(refused("contradicting-spacing", what, why, tag), f"accepted: {why}")


def _step_mm(cells: Sequence[Cell]) -> float:
    return float(np.median(np.diff([cell.depth_mm for cell in cells])))


def _spacing_told(frames: Sequence[Frame]) -> float | None:
    """Return SpacingBetweenSlices without its sign, where those that have it agree."""
    told = {abs(frame.between_mm) for frame in frames if frame.between_mm}
    return told.pop() if len(told) == 1 else None


def _is_gap(frames: Sequence[Frame], between_mm: float, step_mm: float) -> bool:
    """Whether SpacingBetweenSlices holds what lies between two slices, as some vendors write it."""
    told = {frame.thickness_mm for frame in frames}
    thickness_mm = told.pop() if len(told) == 1 else None
    return bool(thickness_mm) and abs(step_mm - between_mm - (thickness_mm or 0)) <= _OFF_SPACING * step_mm


def _of_gap(cells: Sequence[Cell]) -> Iterator[str]:
    frames = [frame for cell in cells for frame in cell.frames]
    between_mm, step_mm = _spacing_told(frames) or 0.0, _step_mm(cells)
    if 0 < between_mm < (1 - _OFF_SPACING) * step_mm and _is_gap(frames, between_mm, step_mm):
        yield (
            f"SpacingBetweenSlices ({between_mm:.4g} mm) is taken for the gap between slices, which lie "
            f"{step_mm:.4g} mm apart by their positions"
        )


def _of_numbers(series: Series4D) -> Iterator[str]:
    """Say where the numbers of images do not rise or fall with the positions: slices may be exchanged."""
    lines = [line for line in map(_numbers, series.frames) if line]
    rising, falling = ([_left_out([sign * n for n in line]) for line in lines] for sign in (1, -1))
    # One of both for all time points.
    odd = min(rising, falling, key=lambda found: sum(map(len, found)))
    worst = max(odd, key=len, default=[])
    if worst:
        named = listed([str(z) for z in worst[:_MOST_NAMED]], len(worst))
        yield (
            "InstanceNumber does not follow the positions of the slices, which are taken: "
            f"out of order at slice {named}; slices may be exchanged, or were taken interleaved"
        )


def _numbers(volume: Volume) -> list[float]:
    """Return the numbers of the images of a time point; empty where they are no order."""
    found = [None if frame is None else frame.keys.get("InstanceNumber") for frame in volume]
    given = [float(number) for number in found if number is not None]
    return given if len(set(given)) == len(found) else []


def _left_out(numbers: Sequence[float]) -> list[int]:
    """Return the places to leave out so that the others only rise."""
    return sorted(set(range(len(numbers))) - set(_longest(numbers)))


def _longest(numbers: Sequence[float]) -> list[int]:
    """Return the places of a longest rising subsequence."""
    tails: list[float] = []
    places: list[int] = []
    before = [-1] * len(numbers)
    for i, number in enumerate(numbers):
        at = bisect_left(tails, number)
        tails[at:], places[at:] = [number, *tails[at + 1 :]], [i, *places[at + 1 :]]
        before[i] = places[at - 1] if at else -1
    out, i = [], places[-1] if places else -1
    while i >= 0:
        out.append(i)
        i = before[i]
    return out[::-1]


def _of_shift(cells: Sequence[Cell], geometry: Geometry) -> Iterator[str]:
    """Say where slices lie askew, and not as a tilted gantry puts them: along the table."""
    frame = cells[0].frames[0]
    first, last = cells[0], cells[-1]
    if not geometry.known or frame.spacing is None or first.origin_mm is None or last.origin_mm is None:
        return
    line = last.origin_mm - first.origin_mm
    length, depth = float(np.linalg.norm(line)), last.depth_mm - first.depth_mm
    across = float(np.sqrt(max(length**2 - depth**2, 0.0))) / (len(cells) - 1)
    if across > _SHIFT * min(frame.spacing) and abs(line[2]) < _ALONG_TABLE * length:
        yield (
            f"each slice is shifted by {across:.3g} mm across the one before, and not along the table "
            "as with a tilted gantry"
        )


def _of_counts(cells: Sequence[Cell]) -> Iterator[str]:
    """Say where the headers announce more than there is."""
    frames = [frame for cell in cells for frame in cell.frames]
    slices = max((frame.keys.get("NumberOfSlices", 0) for frame in frames), default=0)
    if slices > len(cells):
        yield f"NumberOfSlices is {slices:g}, but {len(cells)} lie here: some may be missing"
    images = {frame.keys.get("ImagesInAcquisition", 0) for frame in frames}
    acquisitions = {frame.keys.get("AcquisitionNumber") for frame in frames}
    if len(images) == len(acquisitions) == 1 and (announced := images.pop()) > len(frames):
        yield f"ImagesInAcquisition is {announced:g}, but {len(frames)} lie here: some may be missing"


def _name(frame: Frame) -> str:
    return f"file {file_identifier(frame.file.path)}"
