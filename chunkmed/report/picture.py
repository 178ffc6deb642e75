"""One picture that says whether a result can be believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from chunkmed.cardiac import summary
from chunkmed.coords import time_dim_of
from chunkmed.report.arguments import largest_of
from chunkmed.report.charts import draw_beat, draw_list
from chunkmed.report.drawing import INK, QUIET
from chunkmed.report.figures import place, save_figure
from chunkmed.report.scene import Look, Scene
from chunkmed.slices.choice import center_of, volume_at
from chunkmed.slices.cuts import Cut
from chunkmed.slices.page import grid_if_known
from chunkmed.slices.planes import Plane, plane_across

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
        finds the largest object, through whose middle the slices go.
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
    return save_figure(figure, path, _DOTS_PER_INCH)


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
    moments = _moments(curve)
    masks = [_shown_labels(labels, curve, t) for t in moments]
    planes = _planes(image)
    panels = _panels(figure, len(planes), curve is not None or table is not None)
    center = center_of(_chosen(masks[0], curve))
    _draw_slices(panels, image, masks, [Cut(plane, center[plane.normal], moments[0]) for plane in planes])
    if curve is not None:
        draw_beat(figure.add_axes((0.69, 0.12, 0.285, 0.73)), curve)
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
    """Return the labels at a time point: of the object that the curve follows, if it says so."""
    time = time_dim_of(labels)
    volume = labels.isel({time: t}) if time else labels
    volume = volume.astype(np.uint8) if volume.dtype == bool else volume
    if curve is None or "label" not in curve.coords:
        return volume
    followed = np.atleast_1d(curve.coords["label"].values)
    # One colour for both moments, even where the object's number changes.
    label = int(followed[t if len(followed) > 1 else 0])
    return volume.where(volume == label, 0) // label


def _chosen(labels: xr.DataArray, curve: xr.DataArray | None) -> xr.DataArray:
    """Return where the object lies that slices go through: the one that is followed, or the largest."""
    volume = volume_at(labels, 0)
    return volume != 0 if curve is not None and "label" in curve.coords else largest_of(volume)


def _planes(image: xr.DataArray) -> list[Plane]:
    axes = "zyx" if image.sizes.get("z", 1) > 1 else "z"
    return [plane_across(axis, grid_if_known(image)) for axis in axes]


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


def _draw_slices(panels: list[Any], image: xr.DataArray, masks: list[xr.DataArray], cuts: list[Cut]) -> None:
    scene = Scene(image, outlines=[(mask, None) for mask in masks])
    for axes in panels:
        axes.set_anchor("NW")
    scene.draw(list(zip(panels, cuts, strict=True)), Look())
    for axes, cut in zip(panels, cuts, strict=True):
        axes.set_title(place(image, cut), fontsize=14, color=QUIET, loc="left")


def _caption(moments: list[int], image: xr.DataArray) -> str:
    if len(moments) == 2:
        return "Image at end-diastole. Outlines: end-diastole solid, end-systole dashed."
    time = time_dim_of(image)
    many = time is not None and image.sizes[time] > 1
    return f"First of {image.sizes[time]} along {time}." if many else ""
