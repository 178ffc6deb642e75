"""Positions of slices: from ImagePositionPatient along the slice normal, never from numbers or names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.headers import Frame
from chunkmed.grid import IDENTITY, UNIFORM_TOLERANCE, Grid, Matrix

__all__ = ["Cell", "Geometry", "cells_of", "geometry_of", "plane_name", "slice_normal"]

Vector = npt.NDArray[np.floating[Any]]
#: Positions closer than this are one position: headers print 2 to 6 digits.
SAME_POSITION_MM = 0.01
#: Directions closer than this are one direction.
SAME_DIRECTION = 1e-4
_DIGITS = 6
#: Steps that differ by less are printed the same.
_SAME_STEP = 1e-3


@dataclass(frozen=True, slots=True)
class Cell:
    """All frames at one slice position."""

    depth_mm: float
    """Position along the normal."""
    origin_mm: Vector | None
    """LPS of the first voxel."""
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Positions of a stack's voxels and what was assumed about them."""

    z_mm: tuple[float, ...]
    y_mm: tuple[float, ...]
    x_mm: tuple[float, ...]
    direction: Matrix = IDENTITY
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    known: bool = True
    thickness_mm: float | None = None
    plane: str = ""
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def grid(self, time_ms: Sequence[float], time_dim: str, time_known: bool, frame_key: str) -> Grid:
        """Return the grid of a stack with these positions."""
        return Grid(
            z_mm=self.z_mm,
            y_mm=self.y_mm,
            x_mm=self.x_mm,
            time_ms=tuple(time_ms),
            direction=self.direction,
            origin_mm=self.origin_mm,
            time_dim=time_dim,
            known=self.known,
            time_known=time_known,
            thickness_mm=self.thickness_mm,
            frame_key=frame_key,
        )


def slice_normal(orientation: Sequence[float]) -> Vector:
    """Return the unit normal of a plane: row direction x column direction."""
    normal = np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(normal))
    return np.asarray(normal / length) if length > 0 else np.zeros(3)


def cells_of(frames: Sequence[Frame]) -> list[Cell]:
    """Group frames by position along the normal, ascending."""
    orientation = frames[0].orientation
    placed = [(frame.position, frame) for frame in frames if frame.position is not None]
    if orientation is None or len(placed) < len(frames):
        return [Cell(0.0, None, tuple(frames))]
    normal = slice_normal(orientation)
    origins = np.array([position for position, _ in placed], dtype=np.float64)
    depths = origins @ normal
    order = np.argsort(depths, kind="stable")
    cuts = np.flatnonzero(np.diff(depths[order]) > _same_position_mm(frames[0])) + 1
    return [
        Cell(float(depths[group[0]]), origins[group[0]], tuple(frames[i] for i in group))
        for group in np.split(order, cuts)
    ]


def _same_position_mm(frame: Frame) -> float:
    # Microscopes and micro-CT have steps below 0.01 mm.
    return min([SAME_POSITION_MM, *(0.05 * step for step in frame.spacing or () if step > 0)])


def geometry_of(cells: Sequence[Cell]) -> Geometry:
    """Return the positions of a stack's voxels from its slice positions."""
    frame = cells[0].frames[0]
    layout = frame.file.layout
    if frame.spacing is None or min(frame.spacing) <= 0:
        return _indices(len(cells), layout.rows, layout.columns)
    y = np.arange(layout.rows) * frame.spacing[0]
    x = np.arange(layout.columns) * frame.spacing[1]
    thickness, warnings = _thickness(frame) if len(cells) == 1 else (None, ())
    if frame.orientation is None or cells[0].origin_mm is None:
        return _unplaced(len(cells), y, x, thickness, warnings)
    direction = _direction(cells, frame.orientation)
    origin = cells[0].origin_mm
    z = np.array([cell.depth_mm for cell in cells])
    order = ("slices are ordered by their position along the slice normal",) if len(cells) > 1 else ()
    notes = (*order, *_deviation(z))
    if np.abs(direction - np.eye(3)).max() <= SAME_DIRECTION:
        offset, direction = origin, np.eye(3)
        z, y, x = z - z[0] + offset[2], y + offset[1], x + offset[0]
        origin = np.zeros(3)
    else:
        z = z - z[0]
    return Geometry(
        z_mm=_rounded(z),
        y_mm=_rounded(y),
        x_mm=_rounded(x),
        direction=_matrix(direction),
        origin_mm=_triple(origin),
        thickness_mm=thickness,
        plane=plane_name(frame.orientation),
        assumptions=notes,
        warnings=warnings,
    )


def _deviation(z: Vector) -> tuple[str, ...]:
    """Say where steps differ though they count as even."""
    steps = np.diff(z)
    if len(steps) < 2 or steps.max() - steps.min() <= _SAME_STEP * np.median(steps):
        return ()
    low, high = float(steps.min()), float(steps.max())
    if max(high - np.median(steps), np.median(steps) - low) > UNIFORM_TOLERANCE * np.median(steps):
        return ()
    return (f"slices deviate from even distances: steps are {low:.4g} to {high:.4g} mm, taken as uniform",)


def _direction(cells: Sequence[Cell], orientation: Sequence[float]) -> Vector:
    """Columns: LPS step per mm along x, y, and along z with the shear of a tilted gantry."""
    row, column = (np.asarray(part) / np.linalg.norm(part) for part in (orientation[:3], orientation[3:]))
    step = slice_normal(orientation)
    first, last = cells[0], cells[-1]
    if len(cells) > 1 and first.origin_mm is not None and last.origin_mm is not None:
        step = (last.origin_mm - first.origin_mm) / (last.depth_mm - first.depth_mm)
    return np.stack([row, column, step], axis=1)


def _indices(slices: int, rows: int, columns: int) -> Geometry:
    note = "no geometry in the headers: positions are voxel indices"
    z, y, x = (tuple(float(i) for i in range(n)) for n in (slices, rows, columns))
    return Geometry(z, y, x, known=False, assumptions=(note,), warnings=(note,))


def _unplaced(
    slices: int, y: Vector, x: Vector, thickness: float | None, warnings: tuple[str, ...]
) -> Geometry:
    note = "no position in the headers: the origin is the first voxel and the orientation is unknown"
    z = tuple(float(i) for i in range(slices))
    return Geometry(
        z, _rounded(y), _rounded(x), thickness_mm=thickness, assumptions=(note,), warnings=(note, *warnings)
    )


def _thickness(frame: Frame) -> tuple[float | None, tuple[str, ...]]:
    for depth in (frame.between_mm, frame.thickness_mm):
        if depth is not None and depth > 0:
            return depth, ()
    return None, ("a single slice, and no tag says how thick it is: volumes count 1 mm",)


def plane_name(orientation: Sequence[float]) -> str:
    """Return the plane whose normal is within 1 degree of an axis, else ``oblique``."""
    normal = np.abs(slice_normal(orientation))
    axis = int(np.argmax(normal))
    return ("sagittal", "coronal", "axial")[axis] if normal[axis] > np.cos(np.deg2rad(1.0)) else "oblique"


def _rounded(values: Vector) -> tuple[float, ...]:
    return tuple(float(value) for value in np.round(values, _DIGITS) + 0.0)


def _triple(values: Any) -> tuple[float, float, float]:
    a, b, c = _rounded(np.asarray(values, dtype=np.float64))
    return a, b, c


def _matrix(direction: Vector) -> Matrix:
    # Not rounded to 6 digits: over 500 mm that would move a voxel by half a micrometre.
    a, b, c = ((float(u) + 0.0, float(v) + 0.0, float(w) + 0.0) for u, v, w in direction)
    return a, b, c
