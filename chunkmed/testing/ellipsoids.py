"""Which part of each voxel of a slice lies inside an ellipsoid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chunkmed.grid import Grid

__all__ = ["Ellipsoid", "Voxels"]

_ROWS_PER_PIXEL = 4
_PLANES_PER_SLICE = 5


@dataclass(frozen=True)
class Voxels:
    """The voxels of one slice, in the upright frame of the body.

    Slices of a tilted gantry slide along y: a point of the slice at height z lies at
    ``y + shear * (z - pivot_z_mm)``, x and z as they are.
    """

    grid: Grid
    """Positions of the voxel centres."""
    z: int
    """Index of the slice."""
    thickness_mm: float
    """Depth the slice averages over, mm."""
    shear: float
    """Tangent of the gantry tilt."""
    pivot_z_mm: float
    """Height at which the slices have not moved, mm."""

    @property
    def planes_mm(self) -> npt.NDArray[np.float64]:
        """Heights of the planes that stand for the slice's thickness, mm."""
        return self.grid.z_mm[self.z] + self.thickness_mm * _midpoints(_PLANES_PER_SLICE)

    @property
    def rows_mm(self) -> npt.NDArray[np.float64]:
        """(y, rows per pixel) positions of the scan lines, mm."""
        lean = self.shear * (self.grid.z_mm[self.z] - self.pivot_z_mm)
        step = self.grid.spacing_mm[1]
        return np.asarray(self.grid.y_mm)[:, None] + step * _midpoints(_ROWS_PER_PIXEL) + lean


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid with axes along z, y, x."""

    center_mm: tuple[float, float, float]
    """Centre z, y, x, mm."""
    semi_axes_mm: tuple[float, float, float]
    """Semi-axes along z, y, x, mm."""

    def coverage(self, voxels: Voxels) -> npt.NDArray[np.float64]:
        """Return the part of each voxel inside the ellipsoid: (y, x), 0 to 1.

        Exact along x (chords clipped to the pixels), sampled along y and through the slice.
        """
        out = np.zeros(voxels.grid.shape[2:])
        rows, columns = self._box(voxels)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return out
        edges = self._pixel_edges(voxels, columns)
        for plane in voxels.planes_mm:
            chords = self._half_chords(plane, voxels.rows_mm[rows])
            inside = np.clip(edges, -chords[..., None], chords[..., None])
            out[rows, columns] += np.diff(inside).mean(axis=1)
        return out / (_PLANES_PER_SLICE * abs(voxels.grid.spacing_mm[2]))

    def _half_chords(self, plane_mm: float, rows_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return half the length along x inside the ellipsoid, for each scan line."""
        (cz, cy, _), (az, ay, ax) = self.center_mm, self.semi_axes_mm
        left = 1 - ((plane_mm - cz) / az) ** 2 - ((rows_mm - cy) / ay) ** 2
        return np.asarray(ax * np.sqrt(np.maximum(left, 0)))

    def _box(self, voxels: Voxels) -> tuple[slice, slice]:
        """Return the rows and columns that the ellipsoid can touch."""
        (_, cy, cx), (_, ay, ax) = self.center_mm, self.semi_axes_mm
        rows = np.flatnonzero(np.abs(voxels.rows_mm - cy).min(axis=1) <= ay)
        step = abs(voxels.grid.spacing_mm[2])
        columns = np.flatnonzero(np.abs(np.asarray(voxels.grid.x_mm) - cx) <= ax + step)
        return _span(rows), _span(columns)

    def _pixel_edges(self, voxels: Voxels, columns: slice) -> npt.NDArray[np.float64]:
        step = voxels.grid.spacing_mm[2]
        x = np.asarray(voxels.grid.x_mm)[columns] - self.center_mm[2]
        return np.append(x - step / 2, x[-1] + step / 2)


def _midpoints(count: int) -> npt.NDArray[np.float64]:
    return (np.arange(count) + 0.5) / count - 0.5


def _span(indices: npt.NDArray[np.intp]) -> slice:
    return slice(int(indices[0]), int(indices[-1]) + 1) if len(indices) else slice(0, 0)
