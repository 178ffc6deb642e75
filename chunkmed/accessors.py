"""``image.cm`` and ``image.meta``: what an image knows beyond its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import xarray as xr

from chunkmed.coords import SPACE, grid_of, has_grid, spacing_of
from chunkmed.grid import Grid, mean_step

__all__ = ["ChunkmedAccessor", "Metadata"]


@xr.register_dataarray_accessor("cm")
class ChunkmedAccessor:
    """Geometry and validity of an image, as ``image.cm``."""

    def __init__(self, image: xr.DataArray) -> None:
        self._image = image

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""
        return grid_of(self._image)

    @property
    def spacing(self) -> dict[str, float]:
        """Mean step of z, y, x in mm."""
        return spacing_of(self._image)

    @property
    def valid(self) -> xr.DataArray:
        """Mask of the voxels that are not padding (bool, lazy)."""
        padding = self._image.attrs.get("padding_value")
        if padding is None:
            return xr.ones_like(self._image, dtype=bool)
        valid: xr.DataArray = self._image != padding
        return valid


@xr.register_dataarray_accessor("meta")
class Metadata(Mapping[str, Any]):
    """Metadata by name, as ``image.meta["sampling"]``: imageio's habit.

    ``sampling`` has one entry per dimension of the image: mm for z, y, x, ms for t.
    """

    def __init__(self, image: xr.DataArray) -> None:
        self._items = {**image.attrs, "shape": image.shape}
        if has_grid(image):
            self._items["sampling"] = _sampling(image)

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Metadata({self._items!r})"


def _sampling(image: xr.DataArray) -> tuple[float, ...]:
    grid = grid_of(image)
    steps = dict(zip(SPACE, grid.spacing_mm, strict=True))
    steps[grid.time_dim] = mean_step(grid.time_ms, 0.0)
    return tuple(steps[str(dim)] for dim in image.dims)
