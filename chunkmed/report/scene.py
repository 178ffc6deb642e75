"""Panels of slices of one image with what lies over it: all that is shown is read in one go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from chunkmed.coords import SPACE, check_grid, has_grid, time_dim_of
from chunkmed.errors import InputError
from chunkmed.graph.nodes import Array
from chunkmed.padding import padding_range
from chunkmed.report.drawing import (
    draw_letters,
    draw_outlines,
    draw_overlay,
    draw_point,
    draw_slice,
    frame,
)
from chunkmed.report.marks import Mark
from chunkmed.slices.choice import gray_window
from chunkmed.slices.cuts import Cut, read_cuts
from chunkmed.slices.levels import at_level
from chunkmed.slices.page import Slice, extent_of, grid_if_known, positions_of, slice_of
from chunkmed.slices.planes import Plane, plane_across

__all__ = ["Look", "Scene", "planes_of"]

_STYLES = ("solid", "dashed", "dotted", "dashdot")


@dataclass(frozen=True)
class Look:
    """How a scene is drawn."""

    window: tuple[float | None, float | None] = (None, None)
    """Values drawn black and white; for None percentiles of what is shown, without padding."""
    cmap: Any = None
    alpha: float = 0.5
    """Of the layer over the image."""
    overlay_cmap: Any = None
    """None: labels in their colours, other values in ``hot``."""
    letters: bool = True
    fontsize: float = 14
    linewidth: float = 2.2
    more: Mapping[str, Any] = field(default_factory=dict)
    """For matplotlib's ``imshow``."""


@dataclass(frozen=True)
class Scene:
    """An image and what is drawn over it."""

    image: xr.DataArray
    overlay: xr.DataArray | None = None
    outlines: Sequence[tuple[xr.DataArray, int | None]] = ()
    """Label images and the time point of each, None for that of the slice; solid, dashed, dotted."""
    marks: Sequence[Mark] = ()

    def __post_init__(self) -> None:
        for other in (self.overlay, *(labels for labels, _ in self.outlines)):
            if other is not None:
                _check_fits(other, self.image)

    def draw(self, panels: Sequence[tuple[Axes, Cut]], look: Look) -> tuple[float, float]:
        """Draw slices into axes whose size is final; return the window that was used."""
        pixels = self._pixels(panels)
        cuts = [cut for _, cut in panels]
        slices = self._slices(self.image, cuts, pixels)
        layers = {} if self.overlay is None else self._slices(self.overlay, cuts, pixels)
        outlines = [self._slices(labels, cuts, pixels, t) for labels, t in self.outlines]
        window = self._window(slices.values(), look.window)
        over_all = _range_of(layers.values())
        before: dict[tuple[Plane, int], Cut] = {}
        for axes, cut in panels:
            earlier = before.get((cut.plane, cut.index))
            before[cut.plane, cut.index] = cut
            for each in (layers, *outlines):
                if earlier is not None and each and each[cut].values.dtype.kind in "iub":
                    # The same object may carry another number at another time: it keeps its colour.
                    each[cut] = each[cut].recoloured(each[earlier])
            draw_slice(axes, slices[cut], window, cmap=self._cmap(look), **look.more)
            if layers:
                over = layers[cut]
                limits = {} if over.values.dtype.kind in "iub" and look.overlay_cmap is None else over_all
                draw_overlay(axes, over, look.alpha, look.overlay_cmap, **limits)
            for each, style in zip(outlines, _STYLES, strict=False):
                drawn = each[cut].recoloured(outlines[0][cut])
                draw_outlines(axes, drawn, style, linewidth=look.linewidth)
            frame(axes, cut.plane, extent_of(self.image, cut.plane))
            self._draw_marks(axes, cut, cuts)
            if look.letters:
                draw_letters(axes, cut.plane, look.fontsize)
        return window

    def _pixels(self, panels: Sequence[tuple[Axes, Cut]]) -> dict[str, float]:
        """Return for each axis of the image how many pixels it takes where it is drawn largest."""
        out: dict[str, float] = {}
        for axes, cut in panels:
            room = axes.get_window_extent()
            left, right, first, last = extent_of(self.image, cut.plane)
            per_mm = min(room.width / abs(right - left), room.height / abs(last - first))
            for axis, length in ((cut.plane.horizontal, right - left), (cut.plane.vertical, last - first)):
                out[axis] = max(out.get(axis, 0.0), per_mm * abs(length))
        return out

    def _slices(
        self, image: xr.DataArray, cuts: Sequence[Cut], pixels: Mapping[str, float], t: int | None = None
    ) -> dict[Cut, Slice]:
        image = _positioned(image, self.image)
        part = at_level(image, pixels)
        timed = time_dim_of(image) is not None
        inside = {}
        for cut in cuts:
            time = 0 if not timed else cut.t if t is None else t
            inside[cut] = Cut(cut.plane, _index_in(part, image, cut), time)
        values = read_cuts(part, list(inside.values()))
        return {cut: slice_of(part, cut, values[within]) for cut, within in inside.items()}

    def _window(
        self, slices: Iterable[Slice], given: tuple[float | None, float | None]
    ) -> tuple[float, float]:
        low, high = given
        if low is not None and high is not None:
            return low, high
        plain: list[Array] = [shown.values for shown in slices if not shown.is_colour]
        least, most = gray_window(plain, padding_range(self.image.attrs)) if plain else (0.0, 1.0)
        return least if low is None else low, most if high is None else high

    def _cmap(self, look: Look) -> Any:
        if look.cmap is not None:
            return look.cmap
        inverse = self.image.attrs.get("photometric_interpretation") == "MONOCHROME1"
        return "gray_r" if inverse else "gray"

    def _draw_marks(self, axes: Axes, cut: Cut, cuts: Sequence[Cut]) -> None:
        """Draw the points that lie in a slice, and those that lie in none but are nearest to it."""
        parallel = [c.index for c in cuts if c.plane == cut.plane and c.t == cut.t]
        for mark in self.marks:
            index = mark.index[cut.plane.normal]
            if cut.index == min(parallel, key=lambda shown: abs(shown - index)):
                draw_point(axes, cut.plane, dict(mark.at_mm), mark.label, inside=cut.index == index)


def planes_of(image: xr.DataArray) -> list[Plane]:
    """Return the planes that an image can be seen in: axial, coronal, sagittal, or those across z, y, x."""
    present = [axis for axis in SPACE if image.sizes.get(axis, 1) > 1]
    missing = [axis for axis in SPACE if axis not in present]
    if len(missing) == 1:
        normals = missing
    elif len(missing) == 0:
        normals = list(SPACE)
    else:
        # A line, or a single voxel: as a row of what axes there are.
        normals = [next(axis for axis in SPACE if axis in missing)]
    planes = [plane_across(axis, grid_if_known(image)) for axis in normals]
    order = ("axial", "coronal", "sagittal")
    return sorted(planes, key=lambda plane: order.index(plane.name)) if planes[0].name else planes


def _index_in(part: xr.DataArray, image: xr.DataArray, cut: Cut) -> int:
    """Return which slice of another level holds a slice of an image."""
    axis = cut.plane.normal
    if part is image or axis not in image.dims:
        return cut.index
    positions, _ = positions_of(part, axis)
    return int(np.argmin(np.abs(positions - positions_of(image, axis)[0][cut.index])))


def _range_of(layers: Iterable[Slice]) -> dict[str, float]:
    """Return the range of what lies over an image, the same in all panels."""
    values = [shown.values[np.isfinite(shown.values) & (shown.values != 0)] for shown in layers]
    values = [each for each in values if each.size]
    if not values:
        return {}
    low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    return {"vmin": min(low, 0.0), "vmax": high if high > min(low, 0.0) else min(low, 0.0) + 1.0}


def _positioned(other: xr.DataArray, image: xr.DataArray) -> xr.DataArray:
    """Return what lies over an image with the image's positions, where only one of both has some."""
    if has_grid(other) == has_grid(image):
        return other
    bare = other.drop_vars(list(other.coords))
    if not has_grid(image):
        return bare
    return bare.assign_coords({name: image.coords[name] for name in (*SPACE, "grid")})


def _check_fits(other: xr.DataArray, image: xr.DataArray) -> None:
    check_grid(other, image, "the image")
    differ = [axis for axis in SPACE if other.sizes.get(axis, 1) != image.sizes.get(axis, 1)]
    if differ or other.ndim > image.ndim:
        raise InputError(
            "what is drawn over an image has another shape",
            kind="shape-mismatch",
            why=f"{dict(other.sizes)} against {dict(image.sizes)}",
            fix="take the same slices of both, or resample one onto the other",
        )
