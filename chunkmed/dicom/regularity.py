"""Strict geometry: what makes a stack unfit for a regular volume, and which of it can be accepted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.geometry import SAME_DIRECTION, Cell
from chunkmed.dicom.headers import Frame
from chunkmed.dicom.series import Series4D
from chunkmed.errors import SourceError
from chunkmed.grid import UNIFORM_TOLERANCE
from chunkmed.private import file_identifier

__all__ = ["ALLOW", "Irregularity", "irregularities", "listed", "refused", "unfit"]

#: Slices may lie this fraction of a pixel off the line through the first and the last.
_OFF_LINE = 0.1
_MOST_NAMED, _MOST_LISTED = 6, 256
#: From what electron microscopes resolve to what no scanner holds.
_SPACINGS_MM = (1e-5, 1e4)
#: Which option of ``convert`` and ``open`` accepts what.
ALLOW = {
    "missing-slices": "allow_missing",
    "ragged-cells": "allow_missing",
    "missing-parts": "allow_missing",
    "uneven-spacing": "allow_irregular",
    "shifted-slices": "allow_irregular",
    "contradicting-positions": "allow_irregular",
    "contradicting-spacing": "allow_irregular",
}


@dataclass(frozen=True, slots=True)
class Irregularity:
    """Something that is refused unless the user accepts it."""

    error: SourceError
    note: str
    """What is written down when it is accepted: like the error, but without file names."""

    @property
    def option(self) -> str:
        """The option that accepts it."""
        return ALLOW[self.error.kind]


def unfit(cells: Sequence[Cell]) -> SourceError | None:
    """Return why these slices make no volume at all, whatever is accepted; None where they do."""
    return _bad_numbers(cells[0].frames[0])


def irregularities(cells: Sequence[Cell], series: Series4D) -> Iterator[Irregularity]:
    """Yield what the user may accept: uneven steps, slices beside the line, holes, parts that are missing."""
    found = (
        _uneven(cells),
        _off_line(cells),
        _ragged(cells, series) if series.holes else None,
        _missing_parts(cells),
    )
    return (item for item in found if item is not None)


def _bad_numbers(frame: Frame) -> SourceError | None:
    low, high = _SPACINGS_MM
    if frame.spacing is not None and not low <= min(frame.spacing) <= max(frame.spacing) <= high:
        text = f"PixelSpacing = {frame.spacing[0]:g}, {frame.spacing[1]:g} mm"
        return refused("bad-spacing", "the pixel spacing cannot be", text, "(0028,0030)")
    if frame.orientation is None:
        return None
    row, column = np.array(frame.orientation[:3]), np.array(frame.orientation[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(length - 1) for length in lengths) > 1e-2 or abs(row @ column) > 10 * SAME_DIRECTION:
        why = "row and column directions are not two perpendicular unit vectors"
        return refused("bad-orientation", "the orientation is not valid", why, "(0020,0037)")
    return None


def _uneven(cells: Sequence[Cell]) -> Irregularity | None:
    if len(cells) < 3:
        return None
    steps: npt.NDArray[np.float64] = np.diff([cell.depth_mm for cell in cells])
    median = float(np.median(steps))
    odd = np.flatnonzero(np.abs(steps - median) > UNIFORM_TOLERANCE * median)
    if len(odd) == 0:
        return None
    runs = _runs(odd, steps)
    named = [f"{steps[i]:.4g} mm between {_named_slices(cells, i, j)}" for i, j in runs[:_MOST_NAMED]]
    noted = [f"{steps[i]:.4g} mm between slices {i} and {j}" for i, j in runs[:_MOST_LISTED]]
    head = f"steps are {median:.4g} mm, but"
    why = f"{head} {listed(named, len(runs))}"
    multiples = steps[odd] / median
    if np.all((multiples > 1.5) & (np.abs(multiples - np.round(multiples)) < 0.05)):
        missing = int(np.sum(np.round(multiples) - 1))
        what = "1 slice is missing" if missing == 1 else f"{missing} slices are missing"
        error = refused("missing-slices", what, why, "(0020,0032)")
    else:
        error = refused("uneven-spacing", "the slices lie at uneven distances", why, "(0020,0032)")
    return Irregularity(error, f"accepted: {error.what}, {head} {listed(noted, len(runs))}")


def _runs(odd: npt.NDArray[np.intp], steps: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return first and last slice of each run of equal odd steps."""
    runs: list[tuple[int, int]] = []
    for i in map(int, odd):
        if runs and runs[-1][1] == i and abs(steps[i] - steps[i - 1]) <= UNIFORM_TOLERANCE * steps[i]:
            runs[-1] = (runs[-1][0], i + 1)
        else:
            runs.append((i, i + 1))
    return runs


def _named_slices(cells: Sequence[Cell], i: int, j: int) -> str:
    here, there = (_name(cells[k].frames[0]) for k in (i, j))
    return f"{here} (slice {i}) and {there} (slice {j})"


def _name(frame: Frame) -> str:
    return f"file {file_identifier(frame.file.path)}"


def listed(parts: Sequence[str], count: int) -> str:
    """Return the first parts of ``count``, and how many more there are."""
    more = f" and {count - len(parts)} more" if count > len(parts) else ""
    return ", ".join(parts) + more


def _ragged(cells: Sequence[Cell], series: Series4D) -> Irregularity:
    holes, dim = series.holes, series.time_dim
    total = len(series.frames) * len(cells)
    what = f"{len(holes)} of {total} images are missing" if len(holes) > 1 else "an image is missing"
    named = [f"{dim} {t}, slice {z} ({_nearest(cells, series, t, z)})" for t, z in holes[:_MOST_NAMED]]
    noted = [f"({t}, {z})" for t, z in holes[:_MOST_LISTED]]
    why = f"by {series.key} there is none at {listed(named, len(holes))}"
    error = refused("ragged-cells", what, why, "")
    note = f"accepted: {what}, filled with NaN at ({dim}, z) = {listed(noted, len(holes))}"
    return Irregularity(error, note)


def _nearest(cells: Sequence[Cell], series: Series4D, t: int, z: int) -> str:
    """Return which file lies next to a hole: in time at its position."""
    there = [(abs(other - t), volume[z]) for other, volume in enumerate(series.frames) if volume[z]]
    frame = min(there, key=lambda pair: pair[0])[1] if there else cells[z].frames[0]
    return f"nearest: {_name(frame or cells[z].frames[0])}"


def _missing_parts(cells: Sequence[Cell]) -> Irregularity | None:
    """Return which files of a concatenation (one object cut into several) are not there."""
    found: dict[object, tuple[set[int], int]] = {}
    for frame in (frame for cell in cells for frame in cell.frames):
        uid, total = frame.keys.get("ConcatenationUID"), frame.keys.get("InConcatenationTotalNumber")
        if uid and total:
            parts, _ = found.setdefault(uid, (set(), int(total)))
            parts.add(int(frame.keys.get("InConcatenationNumber", 0)))
    absent = [sorted(set(range(1, min(total, 10**4) + 1)) - parts) for parts, total in found.values()]
    numbers = [number for missing in absent for number in missing]
    if not numbers:
        return None
    what = f"{len(numbers)} files of a concatenation are missing"
    why = f"no file has InConcatenationNumber {listed([str(n) for n in numbers[:_MOST_NAMED]], len(numbers))}"
    return Irregularity(refused("missing-parts", what, why, "(0020,9162)"), f"accepted: {what}, {why}")


def _off_line(cells: Sequence[Cell]) -> Irregularity | None:
    frame = cells[0].frames[0]
    if len(cells) < 3 or cells[0].origin_mm is None or frame.spacing is None:
        return None
    origins: npt.NDArray[np.float64] = np.array([cell.origin_mm for cell in cells], dtype=np.float64)
    depths = np.array([cell.depth_mm for cell in cells])
    part = ((depths - depths[0]) / (depths[-1] - depths[0]))[:, None]
    off_mm = np.linalg.norm(origins - (origins[0] + part * (origins[-1] - origins[0])), axis=1)
    worst = int(np.argmax(off_mm))
    if off_mm[worst] <= _OFF_LINE * min(frame.spacing):
        return None
    what, far = "the slices do not lie on one line", f"{off_mm[worst]:.3g} mm"
    why = f"{_name(cells[worst].frames[0])} (slice {worst}) lies {far} beside it"
    error = refused("shifted-slices", what, why, "(0020,0032)")
    return Irregularity(error, f"accepted: {what}, slice {worst} lies {far} beside it")


def refused(kind: str, what: str, why: str, tag: str) -> SourceError:
    """Return the error of a kind, with the option that accepts it where there is one."""
    fix = "look for files that are missing or do not belong to the series"
    if kind in ALLOW:
        option = ALLOW[kind]
        fix += f", or accept it with {option}=True (--{option.replace('_', '-')})"
    return SourceError(what, kind=kind, tag=tag, why=why, fix=fix)
