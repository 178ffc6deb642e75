"""What a user asks to see, checked: image, time points, place, layers, look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import SPACE, is_channel, time_dim_of
from chunkmed.errors import InputError
from chunkmed.intensity.chosen import named
from chunkmed.intensity.windows import window_of
from chunkmed.measures import measure
from chunkmed.report.marks import mark_at, marks_of
from chunkmed.report.scene import Look, Scene
from chunkmed.slices.choice import center_of, volume_at
from chunkmed.slices.cuts import Cut
from chunkmed.slices.levels import coarsest
from chunkmed.slices.page import grid_if_known, positions_of
from chunkmed.slices.planes import Plane, plane_across

__all__ = [
    "center_of_views",
    "image_of",
    "largest_of",
    "look_of",
    "many_cuts",
    "montage_axis",
    "plane_of",
    "scene_of",
    "times_of",
]

_PANELS = 12


def image_of(image: Any) -> xr.DataArray:
    """Return what is to be drawn as an image; refuse what cannot be cut into slices."""
    found = named(image)
    axes = [dim for dim in found.dims if dim in SPACE]
    others = [
        dim for dim in found.dims if dim not in (*SPACE, time_dim_of(found)) and not is_channel(found, dim)
    ]
    if len(axes) < 2 or others or 0 in found.shape or found.dtype.kind not in "biuf":
        raise InputError(
            "this cannot be drawn as slices",
            kind="bad-dims",
            why=f"dims {dict(found.sizes)} of {found.dtype}",
            fix="give an image with at least two of z, y, x: image.isel(...), or abs(...) of complex values",
        )
    return found


def times_of(image: xr.DataArray, t: int | Sequence[int]) -> list[int]:
    """Return the indices of time points, none of them negative."""
    times = [int(each) for each in np.atleast_1d(np.asarray(t))]
    dim = time_dim_of(image)
    count = image.sizes[dim] if dim else 1
    if not times or any(not -count <= each < count for each in times):
        raise InputError(f"t = {t}", kind="no-time-point", why=f"there are {count}", fix="give an index")
    return [each % count for each in times]


def scene_of(image: xr.DataArray, times: Sequence[int], layer: Any, labels: Any, points: Any) -> Scene:
    """Return an image with its layers."""
    outlines = [] if labels is None else _outlines(named(labels), times)
    return Scene(image, None if layer is None else named(layer), outlines, marks_of(image, points, times[0]))


def _outlines(labels: xr.DataArray, times: Sequence[int]) -> list[tuple[xr.DataArray, int | None]]:
    if labels.dtype.kind not in "iub":
        raise InputError(
            f"outlines of values of dtype {labels.dtype}", kind="not-labels", fix="give labels or a mask"
        )
    # Of a single time point each panel shows its own: also over time.
    return [(labels, None)] if len(times) == 1 else [(labels, t) for t in times]


def center_of_views(image: xr.DataArray, at: Any, t: int) -> dict[str, int]:
    """Return which slice is shown across each axis."""
    middle = {axis: image.sizes.get(axis, 1) // 2 for axis in SPACE}
    if at is None:
        return middle
    if isinstance(at, xr.DataArray):
        return _middle_of(image, at, t)
    if isinstance(at, Mapping) and at and set(at) <= set(SPACE):
        positions = {axis: float(positions_of(image, axis)[0][middle[axis]]) for axis in SPACE}
        at = positions | dict(at)
    return dict(mark_at(image, at).index)


def _middle_of(image: xr.DataArray, labels: xr.DataArray, t: int) -> dict[str, int]:
    small = coarsest(labels)
    time = time_dim_of(small)
    volume = volume_at(small, t if time and small.sizes[time] > 1 else 0)
    index = center_of(largest_of(volume))
    at = {axis: float(positions_of(small, axis)[0][index[axis]]) for axis in SPACE}
    own = {axis: positions_of(image, axis)[0] for axis in SPACE}
    return {axis: int(np.argmin(np.abs(own[axis] - at[axis]))) for axis in SPACE}


def largest_of(labels: xr.DataArray) -> xr.DataArray:
    """Return where the largest object lies: the middle of all of them may lie between them."""
    if labels.dtype.kind in "iu":
        counts = measure(labels, what="count")["count"]
        if counts.size > 1:
            largest = int(counts["label"].values[np.argmax(counts.values)])
            return labels == largest
    return labels != 0


def plane_of(image: xr.DataArray, axis: str | None, at: Any) -> Plane:
    """Return the plane of the one slice that is shown."""
    flat = [name for name in SPACE if name not in image.dims]
    if axis is None and not flat and isinstance(at, Mapping) and len(at) == 1:
        axis = next(iter(at)) if next(iter(at)) in SPACE else None
    axis = (flat[0] if flat else "z") if axis is None else axis
    if axis not in SPACE or (flat and axis != flat[0]):
        can = ", ".join(flat or SPACE)
        raise InputError(f"a slice across {axis!r}", kind="bad-axis", why=f"this image is cut across {can}")
    return plane_across(axis, grid_if_known(image))


def montage_axis(image: xr.DataArray, axis: str | None) -> str:
    """Return across what the slices of a montage lie: of a single slice, over time."""
    if axis is not None:
        return axis
    time = time_dim_of(image)
    single = image.sizes.get(plane_of(image, None, None).normal, 1) == 1
    return time if time is not None and image.sizes[time] > 1 and single else "z"


def many_cuts(image: xr.DataArray, axis: str, n: int | None, every: int | None, at: Any, t: int) -> list[Cut]:
    """Return the slices of a montage."""
    time = time_dim_of(image)
    if axis == time:
        plane = plane_of(image, None, None)
        index = center_of_views(image, at, t)[plane.normal]
        return [Cut(plane, index, each) for each in _chosen(image.sizes[axis], n, every)]
    plane = plane_of(image, None if axis == "z" and "z" not in image.dims else axis, None)
    return [Cut(plane, each, t) for each in _chosen(image.sizes.get(plane.normal, 1), n, every)]


def _chosen(count: int, n: int | None, every: int | None) -> list[int]:
    if every is not None and every >= 1 and n is None:
        return list(range(0, count, every))
    n = _PANELS if n is None else n
    if every is not None or n < 1:
        raise InputError(f"n = {n}, every = {every}", kind="bad-choice", fix="give one of them, at least 1")
    n = min(n, count)
    # The middles of n equal parts.
    return [int((i + 0.5) * count / n) for i in range(n)]


def look_of(
    image: xr.DataArray,
    fontsize: float,
    *,
    window: Any = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: Any = None,
    alpha: float = 0.5,
    overlay_cmap: Any = None,
    letters: bool = True,
    **more: Any,
) -> Look:
    """Return how a scene is drawn, from the arguments of :func:`chunkmed.report.plot.imshow`."""
    ends = _ends(image, window, vmin, vmax)
    return Look(ends, cmap, alpha, overlay_cmap, letters, fontsize, 1.6, more)


def _ends(
    image: xr.DataArray, window: Any, vmin: float | None, vmax: float | None
) -> tuple[float | None, float | None]:
    if window is None:
        return vmin, vmax
    if vmin is not None or vmax is not None:
        raise InputError("a window and vmin or vmax", kind="bad-window", fix="give one of them")
    name, center, width = (window, None, None) if isinstance(window, str) else (None, *_pair(window))
    middle, span = window_of(image.attrs, name, center, width)
    if not span > 0:
        raise InputError(f"width = {span}", kind="bad-window", fix="give a positive width")
    return middle - span / 2, middle + span / 2


def _pair(window: Any) -> tuple[float, float]:
    try:
        center, width = (float(value) for value in window)
    except (TypeError, ValueError):
        raise InputError(
            f"window = {window!r}", kind="bad-window", fix='give (center, width), or a name like "lung"'
        ) from None
    return center, width
