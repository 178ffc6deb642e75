"""What turns sums over voxels into quantities, and what refuses where there are none."""

from __future__ import annotations

from dataclasses import dataclass

from chunkmed.errors import InputError
from chunkmed.graph.nodes import Array
from chunkmed.graph.reduce import Axes
from chunkmed.grid import Grid

__all__ = ["About"]


@dataclass(frozen=True)
class About:
    """The grid of what is measured, and which axes it has."""

    grid: Grid | None
    axes: Axes
    whole_slices: bool
    """Whether the last two axes are y and x."""

    @property
    def in_plane_mm2(self) -> float:
        """Area of one voxel in its slice."""
        self.check_slices()
        _, dy, dx = self.known_grid.spacing_mm
        return dy * dx

    def check_slices(self) -> None:
        """Refuse images without rows or columns: a single one has no step that is known."""
        if self.axes.volume[1] < 2 or self.axes.volume[2] < 2 or not self.whole_slices:
            raise InputError(
                "sizes in mm need slices with rows and columns",
                kind="no-step",
                why="along an axis of one voxel the step is not known",
                fix="measure before taking a single row or column out",
            )

    @property
    def known_grid(self) -> Grid:
        """The grid, or the reason why there are no millimetres."""
        if self.grid is None or not self.grid.known:
            raise InputError(
                "sizes in mm need an image with spacing",
                kind="no-spacing",
                why="this image carries none",
                fix='measure "count", "area_px" or "volume_vox" instead',
            )
        return self.grid

    @property
    def solid_grid(self) -> Grid:
        """The grid, if its slices have a depth."""
        grid = self.known_grid
        if len(grid.z_mm) == 1 and grid.thickness_mm is None:
            raise InputError(
                "a volume needs the thickness of the slice",
                kind="no-thickness",
                why="the headers of this single slice give none",
                fix='measure "area_mm2" instead',
            )
        return grid

    @property
    def even_steps_mm(self) -> tuple[float, float, float]:
        """Steps along z, y, x of a grid whose voxels are all the same upright boxes."""
        self.check_slices()
        grid = self.known_grid
        if not grid.uniform:
            raise InputError(
                "shapes in mm need uniform z steps",
                kind="non-uniform",
                why="the slices of this image lie at uneven distances",
                fix="resample first",
            )
        if not grid.right_angled:
            raise InputError(
                "shapes in mm need axes at right angles",
                kind="sheared",
                why="the gantry was tilted: slices slide along y",
                fix="resample first",
            )
        return grid.spacing_mm

    @property
    def ndim(self) -> int:
        """How many of z, y, x there are."""
        return len(self.axes.space)

    @property
    def is_flat(self) -> bool:
        """Whether there is a single slice."""
        return self.axes.volume[0] == 1

    def own_axes(self, columns: Array) -> Array:
        """Return the columns of the axes that there are, of columns for z, y, x."""
        return columns[:, 3 - self.ndim :]
