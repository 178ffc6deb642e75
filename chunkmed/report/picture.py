"""One picture that says whether a result can be believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from chunkmed.cardiac import summary
from chunkmed.coords import grid_of, has_grid, time_dim_of
from chunkmed.drafts import draft_of
from chunkmed.grid import Grid
from chunkmed.padding import padding_range
from chunkmed.report.panels import INK, QUIET, draw_contours, draw_curve, draw_list, draw_slice
from chunkmed.report.planes import Plane, plane_across
from chunkmed.report.slices import center_of, gray_window, load, matched, volume_at

__all__ = ["summary_figure", "summary_picture"]

_INCHES = (16, 9)
_DOTS_PER_INCH = 100


def summary_picture(
    image: xr.DataArray,
    labels: xr.DataArray,
    path: Path | str,
    *,
    curve: xr.DataArray | None = None,
    table: xr.Dataset | None = None,
    title: str = "",
) -> Path:
    """Write a PNG of 1600 x 900: slices through the labelled object, and what was measured.

    Parameters
    ----------
    image : DataArray (t, z, y, x)
        Lazy or not; only the slices shown are read. Without a grid the scale is in voxels and no
        patient directions are drawn. Padding (``attrs["padding_value"]``) is left out of the gray window.
    labels : DataArray (t, z, y, x)
        Integers, 0 is background; outlined in one colour per label. One pass over one time point
        finds the centre of what is labelled.
    path : Path or str
        The PNG file, written whole or not at all.
    curve : DataArray (t), optional
        Volume over time: the slices then show end-diastole (solid) with end-systole dashed, beside
        the curve. A coordinate ``label`` (one, or one per time point) tells which object it is.
    table : Dataset (t, label), optional
        Without a curve: the objects' volumes are listed.
    title : str
        Heading of the picture.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the curve is empty or never above zero.
    """
    figure = summary_figure(image, labels, curve=curve, table=table, title=title)
    path = Path(path)
    with draft_of(path) as draft:
        figure.savefig(draft, format="png", dpi=_DOTS_PER_INCH)
    return path


def summary_figure(
    image: xr.DataArray,
    labels: xr.DataArray,
    *,
    curve: xr.DataArray | None = None,
    table: xr.Dataset | None = None,
    title: str = "",
) -> Figure:
    """Return the figure that :func:`summary_picture` writes; same parameters."""
    figure = Figure(figsize=_INCHES, facecolor="white")
    FigureCanvasAgg(figure)
    grid = grid_of(image) if has_grid(image) else None
    grid = grid if grid is not None and grid.known else None
    moments = _moments(curve)
    masks = [_shown_labels(labels, curve, t) for t in moments]
    planes = _planes(image, grid)
    panels = _panels(figure, len(planes), curve is not None or table is not None)
    _draw_slices(panels, image, masks, planes, grid, moments[0])
    if curve is not None:
        draw_curve(figure.add_axes((0.69, 0.12, 0.285, 0.73)), curve)
    elif table is not None:
        draw_list(figure.add_axes((0.72, 0.12, 0.255, 0.73)), table)
    figure.text(0.025, 0.955, title, fontsize=22, fontweight="bold", color=INK, va="center")
    figure.text(0.025, 0.03, _caption(moments, image), fontsize=14, color=QUIET, va="center")
    return figure


def _moments(curve: xr.DataArray | None) -> list[int]:
    """Return the time points shown: end-diastole and end-systole, or the first."""
    if curve is None:
        return [0]
    beat = summary(curve)
    return [int(beat.ed_index), int(beat.es_index)]


def _shown_labels(labels: xr.DataArray, curve: xr.DataArray | None, t: int) -> xr.DataArray:
    """Return the labels (z, y, x) at a time point: of the object that the curve follows, if it says so."""
    volume = volume_at(labels, t)
    volume = volume.astype(np.uint8) if volume.dtype == bool else volume
    if curve is None or "label" not in curve.coords:
        return volume
    followed = np.atleast_1d(curve.coords["label"].values)
    # One colour for both moments, even where the object's number changes.
    label = int(followed[t if len(followed) > 1 else 0])
    return volume.where(volume == label, 0) // label


def _planes(image: xr.DataArray, grid: Grid | None) -> list[Plane]:
    direction = grid.direction if grid else None
    axes = "zyx" if image.sizes.get("z", 1) > 1 else "z"
    return [plane_across(axis, direction) for axis in axes]


def _panels(figure: Figure, count: int, with_chart: bool) -> list[Any]:
    """Return the axes of the slices: the first large, the others stacked beside it."""
    width = 0.6 if with_chart else 0.95
    if count == 1:
        return [figure.add_axes((0.025, 0.07, width, 0.8))]
    large, small = 0.58 * width, 0.4 * width
    left = 0.025 + large + 0.02 * width
    return [
        figure.add_axes((0.025, 0.07, large, 0.8)),
        figure.add_axes((left, 0.5, small, 0.37)),
        figure.add_axes((left, 0.07, small, 0.37)),
    ]


def _draw_slices(
    panels: list[Any],
    image: xr.DataArray,
    masks: list[xr.DataArray],
    planes: list[Plane],
    grid: Grid | None,
    t: int,
) -> None:
    normals = tuple(plane.normal for plane in planes)
    center = center_of(masks[0] != 0)
    slices = load(volume_at(image, t), center, normals)
    outlines = [load(mask, center, normals) for mask in masks]
    window = gray_window(slices, padding_range(image.attrs))
    cmap = "gray_r" if image.attrs.get("photometric_interpretation") == "MONOCHROME1" else "gray"
    for axes, plane in zip(panels, planes, strict=True):
        draw_slice(axes, slices[plane.normal], plane, grid, window, cmap=cmap)
        for outline, style in zip(outlines, ("solid", "dashed"), strict=False):
            # The same object may carry another number at another time: it keeps its colour.
            same = matched(outline[plane.normal], outlines[0][plane.normal])
            draw_contours(axes, same, plane, grid, style)
        axes.set_title(_place(plane, center, grid), fontsize=14, color=QUIET, loc="left")


def _place(plane: Plane, center: dict[str, int], grid: Grid | None) -> str:
    """Return where a slice lies: plane, axis and position."""
    index = center[plane.normal]
    if grid is None:
        return f"{plane.normal} = {index}"
    positions = {"z": grid.z_mm, "y": grid.y_mm, "x": grid.x_mm}[plane.normal]
    return f"{plane.name}   {plane.normal} = {positions[index]:.1f} mm"


def _caption(moments: list[int], image: xr.DataArray) -> str:
    if len(moments) == 2:
        return "Image at end-diastole. Outlines: end-diastole solid, end-systole dashed."
    time = time_dim_of(image)
    many = time is not None and image.sizes[time] > 1
    return f"First of {image.sizes[time]} along {time}." if many else ""
