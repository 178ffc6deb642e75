"""A slice as it lies on the page: its values and the patient's millimetres at its edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from chunkmed.coords import grid_of, has_grid
from chunkmed.graph.nodes import Array
from chunkmed.grid import Grid
from chunkmed.slices.choice import matched
from chunkmed.slices.cuts import Cut
from chunkmed.slices.planes import Plane

__all__ = ["Slice", "extent_of", "grid_if_known", "positions_of", "slice_of"]

#: Slices at uneven distances are drawn as so many rows at most.
_MOST_ROWS = 2048
#: Steps that differ by less than this part are even.
_EVEN = 1e-3


@dataclass(frozen=True)
class Slice:
    """Values on the page."""

    values: Array
    """Vertical axis first, in the order of its positions; channels last."""
    plane: Plane
    extent: tuple[float, float, float, float]
    """Positions of the outer edges: first and last column, first and last row. In mm, or in voxels."""

    @property
    def is_colour(self) -> bool:
        """Whether there are channels."""
        return self.values.ndim == 3

    def recoloured(self, other: Slice) -> Slice:
        """Return labels with the numbers of those of another slice that they overlap most."""
        if other is self or other.values.shape != self.values.shape:
            return self
        return replace(self, values=matched(self.values, other.values))

    def as_seen(self) -> Array:
        """Return the values in the order in which they are seen: from the upper left, to the right."""
        left, right, first, last = self.extent
        rows = slice(None, None, 1 if (last > first) == self.plane.down else -1)
        columns = slice(None, None, 1 if (right > left) == self.plane.right else -1)
        return self.values[rows, columns]


def grid_if_known(image: xr.DataArray) -> Grid | None:
    """Return the grid of an image, None where it has no millimetres."""
    if not has_grid(image):
        return None
    grid = grid_of(image)
    return grid if grid.known else None


def positions_of(image: xr.DataArray, axis: str) -> tuple[Array, float]:
    """Return where the voxels of an image lie along an axis, in mm or in voxels, and the mean step."""
    if axis not in image.coords or not has_grid(image):
        return np.arange(float(image.sizes.get(axis, 1))), 1.0
    positions = np.atleast_1d(np.asarray(image.coords[axis].values, np.float64))
    if len(positions) > 1:
        return positions, float(positions[-1] - positions[0]) / (len(positions) - 1)
    return positions, dict(zip("zyx", grid_of(image).spacing_mm, strict=True))[axis]


def extent_of(image: xr.DataArray, plane: Plane) -> tuple[float, float, float, float]:
    """Return the positions of the outer edges of a slice: first and last column, first and last row."""
    left, right = _edges(*positions_of(image, plane.horizontal))[[0, -1]].tolist()
    first, last = _edges(*positions_of(image, plane.vertical))[[0, -1]].tolist()
    return left, right, first, last


def slice_of(image: xr.DataArray, cut: Cut, values: Array) -> Slice:
    """Return what was read of a cut as it lies on the page; rows at uneven distances become even ones."""
    for place, axis in enumerate((cut.plane.vertical, cut.plane.horizontal)):
        rows = _even_rows(_edges(*positions_of(image, axis)))
        values = values if rows is None else np.take(values, rows, axis=place)
    return Slice(values, cut.plane, extent_of(image, cut.plane))


def _edges(positions: Array, step: float) -> Array:
    """Return the edges of voxels: half-way to each neighbour, as far out at both ends.

    Examples
    --------
    >>> _edges(np.array([0.0, 1.0, 3.0]), 1.5).tolist(), _edges(np.array([2.0]), 4.0).tolist()
    ([-0.5, 0.5, 2.0, 4.0], [0.0, 4.0])
    """
    inner = (positions[1:] + positions[:-1]) / 2
    steps = np.diff(positions) if len(positions) > 1 else np.array([step])
    return np.concatenate([[positions[0] - steps[0] / 2], inner, [positions[-1] + steps[-1] / 2]])


def _even_rows(edges: Array) -> Sequence[int] | None:
    """Return which voxel each of evenly spaced rows shows, None where voxels are even themselves."""
    sides = np.abs(np.diff(edges))
    if np.ptp(sides) <= _EVEN * sides.mean():
        return None
    total = float(abs(edges[-1] - edges[0]))
    count = min(_MOST_ROWS, round(total / float(sides.min())))
    centres = edges[0] + (np.arange(count) + 0.5) * ((edges[-1] - edges[0]) / count)
    sign = 1.0 if edges[-1] > edges[0] else -1.0
    found: list[int] = (np.searchsorted(sign * edges[1:-1], sign * centres, side="right")).tolist()
    return found
