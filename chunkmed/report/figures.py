"""Figures for panels of slices, and what is written on them beside the slices."""

from __future__ import annotations

from pathlib import Path

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from chunkmed.coords import time_dim_of
from chunkmed.drafts import draft_of
from chunkmed.errors import InputError
from chunkmed.report.drawing import QUIET, draw_scale
from chunkmed.report.layout import grid_of_panels
from chunkmed.slices.cuts import Cut
from chunkmed.slices.page import extent_of, grid_if_known, positions_of
from chunkmed.slices.planes import Plane

__all__ = [
    "SMALL",
    "caption",
    "finish",
    "inches",
    "moment",
    "new_axes",
    "new_figure",
    "place",
    "save_figure",
    "size_of",
    "write_title",
]

#: Points.
SMALL = 9


def size_of(image: xr.DataArray, plane: Plane) -> tuple[float, float]:
    """Return width and height of a slice, in mm or voxels."""
    left, right, first, last = extent_of(image, plane)
    return abs(right - left), abs(last - first)


def new_figure(size: tuple[float, float]) -> Figure:
    """Return a figure that pyplot shows, of a size in inches."""
    # Here: reports are drawn without pyplot, and without its figures that stay open.
    import matplotlib.pyplot as plt

    return plt.figure(figsize=size)


def new_axes(image: xr.DataArray, plane: Plane) -> Axes:
    """Return axes of a new figure that have the shape of a slice."""
    width, height = size_of(image, plane)
    per_mm = min(6.5 / width, 6.0 / height)
    size = max(2.0, width * per_mm + 0.3), max(2.0, height * per_mm + 0.3)
    (rect,) = grid_of_panels(1, 1, size)
    return new_figure(size).add_axes(rect)


def inches(figure: Figure | SubFigure) -> tuple[float, float]:
    """Return width and height of a figure, or of a part of one."""
    # Of a part of a figure as of a whole one.
    return float(figure.bbox.width / figure.dpi), float(figure.bbox.height / figure.dpi)


def save_figure(figure: Figure, path: Path | str, dots_per_inch: int = 100) -> Path:
    """Write a picture, whole or not at all, in the format that its ending says.

    Raises
    ------
    InputError
        ``bad-format`` for an ending that matplotlib does not know.
    """
    path = Path(path)
    known = figure.canvas.get_supported_filetypes()
    kind = path.suffix.removeprefix(".").lower()
    if kind not in known:
        raise InputError(
            f"no pictures are written as {path.name!r}",
            kind="bad-format",
            fix=f"choose an ending of: {', '.join(sorted(known))}",
        )
    with draft_of(path) as draft:
        figure.savefig(draft, format=kind, dpi=dots_per_inch)
    return path


def write_title(ax: Axes, text: str) -> None:
    """Write where a slice lies above it."""
    ax.set_title(text, fontsize=SMALL, color=QUIET, loc="left", pad=3)


def finish(figure: Figure | SubFigure, image: xr.DataArray, panel: Axes, title: str) -> None:
    """Add the scale to a panel, and the title."""
    if grid_if_known(image) is not None:
        draw_scale(panel)
    if title:
        figure.suptitle(title)


def place(image: xr.DataArray, cut: Cut) -> str:
    """Return where a slice lies: plane, axis and position."""
    axis = cut.plane.normal
    if grid_if_known(image) is None:
        return f"{axis} = {cut.index}"
    return f"{cut.plane.name}   {axis} = {positions_of(image, axis)[0][cut.index]:.1f} mm"


def caption(image: xr.DataArray, cut: Cut) -> str:
    """Return where a slice lies, and of several time points which one it shows."""
    dim = time_dim_of(image)
    several = dim is not None and image.sizes[dim] > 1
    return place(image, cut) + (f"   {moment(image, cut.t)}" if several else "")


def moment(image: xr.DataArray, t: int) -> str:
    """Return which time point a slice shows."""
    dim = str(time_dim_of(image))
    units = str(image.coords[dim].attrs.get("units", "")) if dim in image.coords else ""
    return f"{dim} = {float(image.coords[dim][t]):g} {units}".strip() if units else f"{dim} = {t}"
