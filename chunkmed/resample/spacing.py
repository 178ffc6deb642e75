"""To another spacing or number of voxels: the physical extent stays."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import SPACE, canonical, grid_of
from chunkmed.errors import InputError
from chunkmed.graph.mapping import AlongAxes
from chunkmed.graph.nodes import Array
from chunkmed.grid import Grid
from chunkmed.resample.gridded import (
    checked_order,
    indices_of,
    interpolated,
    is_straight,
    known_grid,
    on_grid,
    with_axes,
)
from chunkmed.units import length_mm

__all__ = ["resample"]


def resample(
    image: xr.DataArray,
    spacing: Any = None,
    shape: Any = None,
    order: int = 1,
    antialias: bool | None = None,
    *,
    method: str | None = None,
) -> xr.DataArray:
    """Interpolate an image on voxels of another size.

    Parameters
    ----------
    image : xarray.DataArray
        With coordinates in mm, any of the dims t, z, y, x. Masks, integer images named ``labels`` and
        ``method="nearest"`` are never interpolated: each voxel takes the value that lies nearest.
    spacing : float, str, sequence or mapping, optional
        Size of the new voxels in mm (or text, ``"1.5 mm"``): one for all axes, one for each of z, y, x
        of the image, or by name, ``{"z": 2.0}``; other axes stay as they are.
    shape : sequence of int or mapping, optional
        Number of voxels instead.
    order : int
        Of the spline: 0 nearest, 1 linear, 3 cubic.
    antialias : bool, optional
        Whether a gaussian of (f - 1) / 2 voxels smooths before, where voxels become f times as large;
        by default yes. Steps along an uneven z are taken by their mean.
    method : {"nearest", "linear", "cubic"}, optional
        Names of orders 0, 1, 3.

    Returns
    -------
    xarray.DataArray
        Lazy, same dtype. The extent from edge to edge of the outermost voxels stays: exactly with a
        ``shape``; with a ``spacing`` that does not divide it, to half a new voxel, shared by both ends.

    Notes
    -----
    Slices at uneven distances become even ones: values are interpolated linearly between their true
    positions.

    Raises
    ------
    InputError
        ``no-grid``, ``no-spacing``, ``bad-spacing``, ``bad-shape``, ``bad-order``; ``non-uniform`` for an
        order above 1 along uneven slices.

    Examples
    --------
    >>> import chunkmed as cm
    >>> from chunkmed.testing import phantoms
    >>> small = cm.resample.resample(cm.open("heart.zarr"), spacing=2.0)  # doctest: +SKIP
    """
    image = canonical(image)
    grid = grid_of(image) if spacing is None else known_grid(image)
    order = checked_order(image, order, method)
    axes = [axis for axis in SPACE if axis in image.dims]
    if (spacing is None) == (shape is None):
        raise InputError("give either spacing or shape", kind="bad-spacing")
    asked = _by_axis(shape if spacing is None else spacing, axes)
    positions, steps = {}, {}
    for axis, value in asked.items():
        found = _positions(grid, axis, value, spacing is None)
        if found is not None:
            positions[axis], steps[axis] = found
    if not positions:
        return image
    _check_even(grid, positions, order)
    new = with_axes(grid, positions, steps)
    at = [
        indices_of(getattr(grid, f"{axis}_mm"), each, _single(grid, axis)) for axis, each in positions.items()
    ]
    along = [image.dims.index(axis) for axis in positions]
    node = interpolated(image, along, AlongAxes(at), order, "nearest", 0.0, antialias)
    return on_grid(image, node, new, list(positions))


def _by_axis(given: Any, axes: list[str]) -> dict[str, Any]:
    """Return what is asked for by name of axis."""
    if isinstance(given, Mapping):
        unknown = [axis for axis in given if axis not in axes]
        if unknown:
            raise InputError(f"there is no axis {unknown[0]!r}", kind="bad-axis", why=f"the image has {axes}")
        return {axis: given[axis] for axis in axes if axis in given}
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        return dict.fromkeys(axes, given)
    values = list(given)
    if len(values) != len(axes):
        raise InputError(f"{len(values)} values for the axes {axes}", kind="bad-spacing", fix="one for each")
    return dict(zip(axes, values, strict=True))


def _single(grid: Grid, axis: str) -> float:
    return grid.spacing_mm[SPACE.index(axis)]


def _positions(grid: Grid, axis: str, value: Any, counted: bool) -> tuple[Array, float] | None:
    """Return the new positions along an axis and their step; None where nothing changes."""
    at = np.asarray(getattr(grid, f"{axis}_mm"), np.float64)
    sign = -1.0 if at[-1] < at[0] else 1.0
    first, last = (at[1] - at[0], at[-1] - at[-2]) if len(at) > 1 else (_single(grid, axis),) * 2
    low, high = at[0] - first / 2, at[-1] + last / 2
    extent = abs(high - low)
    if counted:
        count = operator.index(value)
        if count < 1:
            raise InputError(f"shape along {axis} = {value}", kind="bad-shape", fix="give at least 1")
        step = extent / count
    else:
        step = length_mm(value) if isinstance(value, str) else float(value)
        if not 0 < step < np.inf:
            raise InputError(
                f"spacing along {axis} = {value}", kind="bad-spacing", fix="give a positive length"
            )
        count = max(1, round(extent / step))
    new = (low + high) / 2 + sign * step * (np.arange(count) - (count - 1) / 2)
    same = count == len(at) and bool(np.abs(new - at).max() <= 1e-3 * step)
    return None if same else (new, step)


def _check_even(grid: Grid, positions: Mapping[str, Array], order: int) -> None:
    if "z" in positions and order > 1 and not is_straight(grid.z_mm):
        raise InputError(
            "splines need slices at even distances",
            kind="non-uniform",
            why="the slices of this image lie at uneven distances",
            fix="order=1 goes by their true positions",
        )
