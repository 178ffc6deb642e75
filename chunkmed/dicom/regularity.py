"""Strict geometry: what makes a stack's slice positions unfit for a regular volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chunkmed.dicom.geometry import SAME_DIRECTION, Cell
from chunkmed.dicom.headers import Frame
from chunkmed.errors import SourceError
from chunkmed.grid import UNIFORM_TOLERANCE

__all__ = ["irregularities"]

#: Slices may lie this fraction of a pixel off the line through the first and the last.
_OFF_LINE = 0.1
_MOST_NAMED = 6


def irregularities(cells: Sequence[Cell]) -> tuple[SourceError | None, ...]:
    """Return why these slices do not make a regular volume, naming them; None where they do."""
    return _bad_numbers(cells[0].frames[0]), _uneven(cells), _off_line(cells)


def _bad_numbers(frame: Frame) -> SourceError | None:
    if frame.spacing is not None and min(frame.spacing) <= 0:
        text = f"PixelSpacing = {frame.spacing[0]:g}, {frame.spacing[1]:g} mm"
        return _refuse("bad-spacing", "the pixel spacing is not positive", text, "(0028,0030)")
    if frame.orientation is None:
        return None
    row, column = np.array(frame.orientation[:3]), np.array(frame.orientation[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(length - 1) for length in lengths) > 1e-2 or abs(row @ column) > 10 * SAME_DIRECTION:
        why = "row and column directions are not two perpendicular unit vectors"
        return _refuse("bad-orientation", "the orientation is not valid", why, "(0020,0037)")
    return None


def _uneven(cells: Sequence[Cell]) -> SourceError | None:
    if len(cells) < 3:
        return None
    depths = np.array([cell.depth_mm for cell in cells])
    steps = np.diff(depths)
    median = float(np.median(steps))
    odd = np.flatnonzero(np.abs(steps - median) > UNIFORM_TOLERANCE * median)
    if len(odd) == 0:
        return None
    multiples = steps[odd] / median
    gaps = bool(np.all((multiples > 1.5) & (np.abs(multiples - np.round(multiples)) < 0.05)))
    named = [_step_text(cells, int(i), float(steps[i])) for i in odd[:_MOST_NAMED]]
    more = f" and {len(odd) - _MOST_NAMED} more" if len(odd) > _MOST_NAMED else ""
    why = f"steps are {median:.4g} mm, but " + ", ".join(named) + more
    if gaps:
        missing = int(np.sum(np.round(multiples) - 1))
        what = f"{missing} slice(s) are missing"
        return _refuse("missing-slices", what, why, "(0020,0032)", "allow_missing")
    what = "the slices lie at uneven distances"
    return _refuse("uneven-spacing", what, why, "(0020,0032)", "allow_irregular")


def _step_text(cells: Sequence[Cell], i: int, step_mm: float) -> str:
    here, there = (Path(cells[j].frames[0].file.path).name for j in (i, i + 1))
    return f"{step_mm:.4g} mm between {here} (slice {i}) and {there} (slice {i + 1})"


def _off_line(cells: Sequence[Cell]) -> SourceError | None:
    frame = cells[0].frames[0]
    if len(cells) < 3 or cells[0].origin_mm is None or frame.spacing is None:
        return None
    origins = np.array([cell.origin_mm for cell in cells])
    depths = np.array([cell.depth_mm for cell in cells])
    part = ((depths - depths[0]) / (depths[-1] - depths[0]))[:, None]
    off_mm = np.linalg.norm(origins - (origins[0] + part * (origins[-1] - origins[0])), axis=1)
    worst = int(np.argmax(off_mm))
    if off_mm[worst] <= _OFF_LINE * min(frame.spacing):
        return None
    name = Path(cells[worst].frames[0].file.path).name
    why = f"{name} (slice {worst}) lies {off_mm[worst]:.3g} mm beside it"
    what = "the slices do not lie on one line"
    return _refuse("shifted-slices", what, why, "(0020,0032)", "allow_irregular")


def _refuse(kind: str, what: str, why: str, tag: str, option: str = "") -> SourceError:
    fix = "look for files that are missing or do not belong to the series"
    if option:
        fix += f", or accept it: {option}=True (--{option.replace('_', '-')})"
    return SourceError(what, kind=kind, where=f"tag {tag}", why=why, fix=fix)
