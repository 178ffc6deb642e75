"""Affines of other formats <-> our grid: which matrices say where voxels lie, and which do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.errors import SourceError
from chunkmed.grid import Grid

__all__ = ["LONGEST_SIDE", "LPS_FROM_RAS", "placed_grid"]

#: Voxels along an axis: positions are kept one by one.
LONGEST_SIDE = 10_000_000

Matrix = npt.NDArray[np.float64]

#: NIfTI counts to the right, the front and the head of the patient, we to the left, the back and the head.
LPS_FROM_RAS: Matrix = np.diag([-1.0, -1.0, 1.0, 1.0])
#: Cosine between rows and columns of a slice that rounding of headers makes of a right angle.
_RIGHT_ANGLE = 1e-3
#: Directions closer than this to the patient's axes are those: positions are then the patient's.
_STRAIGHT = 1e-4


def placed_grid(
    affine_lps: npt.ArrayLike,
    shape: Sequence[int],
    where: str,
    *,
    time_ms: Sequence[float] = (0.0,),
    time_known: bool = True,
) -> Grid:
    """Return the grid of an affine from voxel indices to the patient.

    Parameters
    ----------
    affine_lps : array_like
        4 x 4, from index (x, y, z, 1) to LPS mm. The step from slice to slice may lean, as with a
        tilted gantry; rows and columns must be at right angles.
    shape : sequence of int
        Sizes of z, y, x.
    where : str
        What errors name.
    time_ms : sequence of float
        One per time point.
    time_known : bool
        Whether these are times, or only count.

    Raises
    ------
    SourceError
        ``bad-affine`` where it is no affine (NaN, a step of zero); ``sheared`` where the rows are not
        at right angles to the columns.

    Examples
    --------
    >>> grid = placed_grid(np.diag([2.0, 2.0, 5.0, 1.0]), (3, 2, 2), "a.nii")
    >>> grid.z_mm, grid.spacing_mm
    ((0.0, 5.0, 10.0), (5.0, 2.0, 2.0))
    """
    affine = np.asarray(affine_lps, dtype=np.float64)
    _check(affine, where)
    if max(*shape, len(time_ms)) > LONGEST_SIDE:
        raise SourceError("no image is this long", kind="bad-shape", where=where, why=f"shape {tuple(shape)}")
    steps, origin = affine[:3, :3], affine[:3, 3]
    dx, dy = np.linalg.norm(steps[:, :2], axis=0)
    row, column = steps[:, 0] / dx, steps[:, 1] / dy
    if abs(float(row @ column)) > _RIGHT_ANGLE:
        raise SourceError(
            "the axes of a slice are not at right angles",
            kind="sheared",
            where=where,
            why=f"rows and columns meet at {np.rad2deg(np.arccos(row @ column)):.2f} degrees",
            fix="resample the image to a grid with right angles",
        )
    normal = np.cross(row, column)
    dz = abs(float(steps[:, 2] @ normal)) / float(np.linalg.norm(normal))
    direction = np.stack([row, column, steps[:, 2] / dz], axis=1)
    z, y, x = (np.arange(n) * step for n, step in zip(shape, (dz, dy, dx), strict=True))
    if np.abs(direction - np.eye(3)).max() <= _STRAIGHT:
        x, y, z = x + origin[0], y + origin[1], z + origin[2]
        direction, origin = np.eye(3), np.zeros(3)
    a, b, c = ((float(u), float(v), float(w)) for u, v, w in direction + 0.0)
    return Grid(
        z_mm=_rounded(z),
        y_mm=_rounded(y),
        x_mm=_rounded(x),
        time_ms=tuple(float(t) for t in time_ms),
        direction=(a, b, c),
        origin_mm=_triple(_rounded(origin)),
        time_known=time_known,
        thickness_mm=dz if shape[0] == 1 else None,
    )


def _check(affine: Matrix, where: str) -> None:
    why = ""
    if not np.all(np.isfinite(affine)):
        why = "it holds values that are no numbers"
    elif np.linalg.norm(affine[:3, :3], axis=0).min() <= 0:
        why = "a step between voxels is 0"
    elif abs(np.linalg.det(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))) < _RIGHT_ANGLE:
        why = "its axes do not span a volume"
    if why:
        raise SourceError(
            "the affine does not say where voxels lie",
            kind="bad-affine",
            where=where,
            why=why,
            fix="correct the header, or open the values as an array with spacing_mm=",
        )


def _rounded(values: Any) -> tuple[float, ...]:
    return tuple((np.round(np.asarray(values, np.float64), 6) + 0.0).tolist())


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    a, b, c = values
    return a, b, c
