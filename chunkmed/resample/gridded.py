"""What the ways onto another grid have in common: indices of positions, orders, coordinates."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from chunkmed import coords, ndimage
from chunkmed.coords import SPACE, coordinates, grid_attributes_of, time_dim_of
from chunkmed.errors import InputError
from chunkmed.graph.lift import lift
from chunkmed.graph.mapping import Mapping as Coordinates
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.views import view
from chunkmed.grid import Grid
from chunkmed.label_names import LABELS
from chunkmed.ndimage.coefficients import Interpolation, check_dtype
from chunkmed.ndimage.interpolation import warped

__all__ = ["checked_order", "indices_of", "interpolated", "is_straight", "known_grid", "on_grid", "with_axes"]

#: Indices this close to a voxel are meant to be on it.
_SNAP = 1e-6
#: Positions may lie this part of a step beside a straight line.
_STRAIGHT = 0.02


def known_grid(image: xr.DataArray) -> Grid:
    """Return the grid of an image that has positions in mm."""
    if not isinstance(image, xr.DataArray):
        raise InputError("an image with coordinates is needed", kind="no-grid", fix="take it from cm.open")
    return coords.known_grid(image, fix="give voxels: ndimage.zoom")


def checked_order(image: xr.DataArray, order: int, method: str | None) -> int:
    """Return the order that an image may be interpolated with: 0 for masks and labels.

    Raises
    ------
    InputError
        ``bad-order``, ``bad-method``, ``bad-dtype``.
    """
    orders = {None: order, "nearest": 0, "linear": 1, "cubic": 3}
    if method not in orders:
        raise InputError(f"method = {method!r}", kind="bad-method", fix='"nearest", "linear" or "cubic"')
    if not hasattr(order, "__index__") or not 0 <= operator.index(order) <= 5:
        raise InputError(f"order = {order!r}", kind="bad-order", fix="0 to 5")
    check_dtype(image.dtype, "an image")
    is_labels = image.dtype == bool or (image.dtype.kind in "iu" and image.name == LABELS)
    return 0 if is_labels else orders[method]


def with_axes(grid: Grid, axes: Mapping[str, Array], steps_mm: Mapping[str, float]) -> Grid:
    """Return a grid with other positions along some of z, y, x."""
    for axis, positions in axes.items():
        if len(positions) == 1 and axis != "z" and len(getattr(grid, f"{axis}_mm")) > 1:
            raise InputError(
                f"a single voxel along {axis}",
                kind="single-voxel",
                why="its size could not be told",
                fix="give a smaller spacing",
            )
    new = {f"{axis}_mm": tuple(np.round(each, 6).tolist()) for axis, each in axes.items()}
    single = "z" in axes and len(axes["z"]) == 1
    thickness = float(steps_mm["z"]) if single else grid.thickness_mm
    return replace(grid, thickness_mm=thickness, **new)  # type: ignore[arg-type]


def is_straight(positions: Sequence[float]) -> bool:
    """Whether positions lie on a straight line, as good as it matters."""
    at = np.asarray(positions)
    if len(at) < 3:
        return True
    line = np.linspace(at[0], at[-1], len(at))
    return bool(np.abs(at - line).max() <= _STRAIGHT * abs(at[-1] - at[0]) / (len(at) - 1))


def indices_of(positions_mm: Sequence[float], at: Array, single_mm: float) -> Array:
    """Return where positions lie, in voxels of an axis whose steps may differ; straight on beyond its ends.

    Examples
    --------
    >>> indices_of([0.0, 1.0, 3.0], np.array([-1.0, 0.5, 2.0, 4.0]), 1.0).tolist()
    [-1.0, 0.5, 1.5, 2.5]
    """
    known = np.asarray(positions_mm, np.float64)
    if len(known) < 2:
        return _snapped((at - known[0]) / single_mm)
    sign = 1.0 if known[-1] >= known[0] else -1.0
    left = np.clip(np.searchsorted(sign * known, sign * at, side="right") - 1, 0, len(known) - 2)
    return _snapped(left + (at - known[left]) / (known[left + 1] - known[left]))


def _snapped(index: Array) -> Array:
    near = np.round(index)
    return np.asarray(np.where(np.abs(index - near) < _SNAP, near, index))


def interpolated(
    image: xr.DataArray,
    axes: Sequence[int],
    mapping: Coordinates,
    order: int,
    mode: str,
    cval: float,
    antialias: bool | None,
) -> Node:
    """Return an image interpolated along axes, smoothed before where voxels become larger.

    The standard deviation of what is smoothed away is (f - 1) / 2 voxels for voxels f times as large.
    """
    sigmas = [max(0.0, (mapping.step(i) - 1.0) / 2) for i in range(len(axes))]
    smooth = order > 0 if antialias is None else antialias and order > 0
    dtype = image.dtype
    if smooth and max(sigmas, default=0.0) > _SNAP:
        exact = np.float32 if dtype.itemsize <= 2 or dtype == np.float32 else np.float64
        image = ndimage.gaussian_filter(image, sigmas, output=exact, mode="nearest", axes=tuple(axes))
    return warped(lift(image).node, axes, mapping, Interpolation(order, mode, cval, True), dtype)


def on_grid(image: xr.DataArray, node: Node, grid: Grid, moved: Sequence[str]) -> xr.DataArray:
    """Return a node as an image on a grid; what depends on other axes than ``moved`` stays.

    Parameters
    ----------
    image : xarray.DataArray
        What it is made of: dims, name, attributes.
    node : Node
        Same axes.
    grid : Grid
        Where its voxels lie.
    moved : sequence of str
        Axes among z, y, x whose positions changed.
    """
    array = view(node)
    data = array if isinstance(image.data, da.Array) else array.compute(scheduler="synchronous")
    new = coordinates(grid)
    coords: dict[Any, Any] = {
        name: each
        for name, each in image.coords.items()
        if name != "grid" and not set(moved) & set(each.dims)
    }
    for axis in SPACE:
        # A plane keeps the position of its slice as a number.
        coords[axis] = new[axis] if axis in image.dims else image.coords[axis]
    name, time = "grid", time_dim_of(image)
    about = dict(grid_attributes_of(image)) | new["grid"][2]
    about["time_dim"] = time or about["time_dim"]
    coords[name] = ((), new["grid"][1], about)
    return xr.DataArray(data, dims=image.dims, coords=coords, name=image.name, attrs=image.attrs)
