"""Where the frames of a segmentation lie: in the slices of an image, or on a grid of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.errors import SourceError
from chunkmed.formats.affine import placed_grid
from chunkmed.formats.dicom_seg import Segmentation
from chunkmed.grid import Grid

__all__ = ["Placed", "own_grid", "placed_in"]

Matrix = npt.NDArray[np.float64]

#: Frames may lie this part of a voxel beside the voxels of an image: headers print 2 to 6 digits.
_SAME = 0.02


@dataclass(frozen=True)
class Placed:
    """Frames as planes of an image."""

    planes: tuple[int, ...]
    """For each frame the number of its plane."""
    count: int
    """How many planes there are."""
    axes: tuple[int, int, int]
    """For z, y, x of the image which axis of (planes, rows, columns) it is."""
    reversed: tuple[bool, bool, bool]
    """Whether it runs the other way."""


def placed_in(found: Segmentation, grid: Grid) -> Placed | str:
    """Return where the frames lie in an image; a text that says why they do not.

    Parameters
    ----------
    found : Segmentation
        Frames that are left out of it count as background.
    grid : Grid
        Of the image.
    """
    if found.frame_key and grid.frame_key and found.frame_key != grid.frame_key:
        return "another frame of reference"
    steps = _plane_steps(found)
    # Along x, y, z of the image, mm; a leaning z (tilted gantry) is told by positions alone.
    inside = np.linalg.solve(np.asarray(grid.direction), steps)
    spacing = np.array(grid.spacing_mm[::-1])
    near = np.round(inside / spacing[:, None])
    sides = np.array([found.layout.columns, found.layout.rows])
    good = np.all(np.abs(near).sum(axis=0) == 1) and np.all(np.abs(near).sum(axis=1) <= 1)
    if not good or np.any(np.abs(inside / spacing[:, None] - near) @ sides > 1.0):
        return _other_steps(found, grid)
    along = [int(np.abs(near[:, i]).argmax()) for i in range(2)]
    normal = ({0, 1, 2} - set(along)).pop()
    lengths = np.array(grid.shape[:0:-1])
    if lengths[along[0]] != sides[0] or lengths[along[1]] != sides[1]:
        return f"frames of {sides[1]} x {sides[0]}, the slices of the image are {grid.shape[2:]}"
    forward = [near[axis, i] > 0 for i, axis in enumerate(along)]
    axes_mm = (grid.x_mm, grid.y_mm, grid.z_mm)
    first = [axes_mm[axis][0 if up else -1] for axis, up in zip(along, forward, strict=True)]
    at = grid.from_lps([frame.position_lps for frame in found.frames])
    apart = np.abs(at[:, along] - first) / spacing[along]
    if apart.max() > _SAME:
        return f"shifted by {apart.max():.3g} voxels"
    positions = np.asarray(axes_mm[normal])
    planes = np.abs(positions[None] - at[:, normal, None]).argmin(axis=1)
    if (beside := np.abs(positions[planes] - at[:, normal]).max() / spacing[normal]) > _SAME:
        return f"frames lie {beside:.3g} slices beside those of the image"
    # Axes x, y, z of the image in order z, y, x; of the frames: 2 columns, 1 rows, 0 planes.
    source = {along[0]: 2, along[1]: 1, normal: 0}
    flips = {along[0]: not forward[0], along[1]: not forward[1], normal: False}
    z, y, x = ((source[axis], bool(flips[axis])) for axis in (2, 1, 0))
    return Placed(tuple(int(p) for p in planes), len(positions), (z[0], y[0], x[0]), (z[1], y[1], x[1]))


def _plane_steps(found: Segmentation) -> Matrix:
    """Return the LPS steps along a row and down a column, as columns, mm."""
    row = np.asarray(found.row) / np.linalg.norm(found.row) * found.spacing_mm[1]
    column = np.asarray(found.column) / np.linalg.norm(found.column) * found.spacing_mm[0]
    return np.stack([row, column], axis=1)


def _other_steps(found: Segmentation, grid: Grid) -> str:
    y, x = found.spacing_mm
    return f"pixels of {y:.4g} x {x:.4g} mm in their directions, the image has {grid.spacing_mm} mm (z, y, x)"


def own_grid(found: Segmentation) -> tuple[tuple[int, ...], int, Grid]:
    """Return the plane of each frame, how many there are, and the grid of a segmentation by itself.

    Raises
    ------
    SourceError
        ``uneven-spacing`` where frames do not lie on planes at even distances.
    """
    steps = _plane_steps(found)
    normal: Any = np.cross(steps[:, 0], steps[:, 1])
    normal = normal / np.linalg.norm(normal)
    origins = np.array([frame.position_lps for frame in found.frames])
    depths = origins @ normal
    gaps = np.diff(np.unique(np.round(depths, 3)))
    step = float(gaps.min()) if len(gaps) else found.depth_mm or 1.0
    if (
        len(gaps)
        and found.depth_mm
        and np.all(np.abs(gaps / found.depth_mm - np.round(gaps / found.depth_mm)) < _SAME)
    ):
        step = found.depth_mm
    planes = np.round((depths - depths.min()) / step).astype(int)
    if np.abs((depths - depths.min()) / step - planes).max() > _SAME * 5:
        raise SourceError(
            "the frames of a segmentation lie at uneven distances",
            kind="uneven-spacing",
            where=found.where,
            fix="give the image it belongs to: like=image",
        )
    affine = np.eye(4)
    affine[:3, :2], affine[:3, 2], affine[:3, 3] = steps, normal * step, origins[depths.argmin()]
    count = int(planes.max()) + 1
    grid = placed_grid(affine, (count, found.layout.rows, found.layout.columns), found.where)
    return tuple(planes.tolist()), count, replace(grid, frame_key=found.frame_key)
