"""``image.cm`` and ``image.meta``: what an image knows beyond its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import xarray as xr

from chunkmed.coords import SPACE, grid_of, has_grid, spacing_of, time_dim_of
from chunkmed.errors import ChunkmedError
from chunkmed.grid import Grid, mean_step
from chunkmed.padding import valid_of
from chunkmed.units import format_bytes

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

    def __repr__(self) -> str:
        return "\n".join(f"{name:<9} {value}" for name, value in self._card())

    def _repr_html_(self) -> str:
        """Return the card that a notebook shows: a small picture, where the image lies, what it will cost.

        Of a stored image the coarsest level is read, of a lazy one nothing that takes long.
        """
        cell = '<td style="text-align:left;padding:1px 12px 1px 0;vertical-align:top">'
        rows = [
            f"<tr>{cell}<b>{escape(name)}</b></td>{cell}{escape(value)}</td></tr>"
            for name, value in self._card()
        ]
        table = f'<table style="border-collapse:collapse">{"".join(rows)}</table>'
        return f'<div style="display:flex;gap:16px;align-items:flex-start">{self._picture()}{table}</div>'

    def _picture(self) -> str:
        # Here: an image that is never looked at needs nothing of it.
        from chunkmed.slices.thumbnail import thumbnail_of

        try:
            small = thumbnail_of(self._image)
        except (ChunkmedError, OSError) as error:
            return f'<div style="width:160px">no picture: {escape(str(error))}</div>'
        return "" if small is None else small.html

    def _card(self) -> Iterator[tuple[str, str]]:
        image = self._image
        yield "image", str(image.name or "")
        yield "shape", ", ".join(f"{dim} {n}" for dim, n in image.sizes.items())
        units = str(image.attrs.get("units", ""))
        yield "values", f"{image.dtype}, {format_bytes(image.nbytes)}" + (f", {units}" if units else "")
        if has_grid(image):
            yield "spacing", ", ".join(f"{axis} {step:.4g} mm" for axis, step in self.spacing.items())
            if (dim := time_dim_of(image)) is not None and image.sizes[dim] > 1:
                step_ms = mean_step(grid_of(image).time_ms, 0.0)
                yield "times", f"{image.sizes[dim]}, {step_ms:.4g} ms apart"
        yield "plan", self._plan()

    def _plan(self) -> str:
        # Here: opening an image does not need the engine's planner.
        from chunkmed.explanation import explain

        if self._image.chunks is None:
            return "in memory"
        try:
            told = explain(self._image)
        except ChunkmedError as error:
            return str(error)
        block = " x ".join(map(str, told.plan.block))
        tasks = sum(each.plan.tasks for each in told.passes)
        opaque = f", left to dask: {len(told.opaque)}" if told.opaque else ""
        passes = f"{len(told.passes)} pass{'es' if len(told.passes) > 1 else ''}"
        return f"{passes}, {tasks} tasks of {block}, peak memory {format_bytes(told.peak_bytes)}{opaque}"

    @property
    def valid(self) -> xr.DataArray:
        """Mask of the voxels that hold a measured value (bool, lazy).

        False where the value is ``padding_value``, lies between it and ``padding_limit``, or is NaN;
        True everywhere else.
        """
        return valid_of(self._image)


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
