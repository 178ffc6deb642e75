"""Where voxels lie and which way a view looks, as neuroglancer wants to know it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chunkmed.grid import Grid, mean_step
from chunkmed.slices.planes import Plane

__all__ = ["quaternion_of", "steps_of", "to_patient"]

Array = npt.NDArray[np.float64]


def steps_of(grid: Grid) -> list[float]:
    """Return the steps along time, z, y and x that a store's metadata give: time in its units, mm."""
    time = mean_step(grid.time_ms, 1.0)
    return [time if time > 0 else 1.0, *grid.spacing_mm]


def to_patient(grid: Grid) -> list[list[float]]:
    """Return the matrix from time and positions (t, z, y, x, 1) to time and the patient's x, y, z in mm.

    Examples
    --------
    >>> to_patient(Grid((0.0,), (0.0,), (0.0,), origin_mm=(1.0, 2.0, 3.0)))[1:]
    [[0.0, 0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0, 2.0], [0.0, 1.0, 0.0, 0.0, 3.0]]
    """
    out = np.zeros((4, 5))
    out[0, 0] = 1.0
    out[1:, 1:4] = np.asarray(grid.direction)[:, ::-1]
    out[1:, 4] = grid.origin_mm
    rows: list[list[float]] = out.tolist()
    return rows


def quaternion_of(plane: Plane, grid: Grid) -> list[float]:
    """Return the rotation (x, y, z, w) of a view that shows a plane as it is drawn on a page.

    Right and down on the page, and into it, are what the axes of the patient turn into. Slices of a
    tilted gantry, whose axes are not at right angles, keep the direction of their rows.
    """
    columns = dict(zip("xyz", np.asarray(grid.direction, np.float64).T, strict=True))
    right = columns[plane.horizontal] * (1 if plane.right else -1)
    down = columns[plane.vertical] * (1 if plane.down else -1)
    right = right / np.linalg.norm(right)
    down = down - right * (down @ right)
    down = down / np.linalg.norm(down)
    return _quaternion(np.stack([right, down, np.cross(right, down)], axis=1))


def _quaternion(rotation: Array) -> list[float]:
    """Return the quaternion of a rotation, its real part last and not negative.

    Source: Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985; of its four forms the one
    with the largest divisor, by the eigenvector of Bar-Itzhack, J. Guidance 23 (2000) 1085.

    Examples
    --------
    >>> [round(part, 3) for part in _quaternion(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]))]
    [0.0, 0.0, 0.707, 0.707]
    """
    (a, b, c), (d, e, f), (g, h, i) = rotation
    symmetric = np.array(
        [
            [a - e - i, b + d, c + g, h - f],
            [b + d, e - a - i, f + h, c - g],
            [c + g, f + h, i - a - e, d - b],
            [h - f, c - g, d - b, a + e + i],
        ]
    )
    found = np.linalg.eigh(symmetric)[1][:, -1]
    out: list[float] = (found * (1 if found[3] >= 0 else -1)).tolist()
    return out
