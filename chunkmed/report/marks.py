"""Points on an image: given as positions, voxels or patient millimetres, or as a table's centres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import SPACE, grid_of, time_dim_of
from chunkmed.errors import InputError
from chunkmed.grid import nearest_index
from chunkmed.slices.page import positions_of

__all__ = ["Mark", "mark_at", "marks_of"]


@dataclass(frozen=True)
class Mark:
    """A point."""

    at_mm: Mapping[str, float]
    """Position along z, y, x: mm, or voxels where the image has no millimetres."""
    index: Mapping[str, int]
    """The voxel it lies in."""
    label: int = 1
    """Whose colour it has."""


def marks_of(image: xr.DataArray, points: Any, t: int = 0) -> list[Mark]:
    """Return points on an image.

    Parameters
    ----------
    image : xarray.DataArray
        What they lie on.
    points : mapping, sequence of mapping, or xarray.DataArray (..., axis)
        Each with ``z=, y=, x=`` in mm, ``voxel=(z, y, x)`` or ``lps=(x, y, z)``; or what
        :func:`chunkmed.measure` gives for ``center_of_mass_mm`` or ``center_of_mass``.
    t : int
        Which time point of such a table.
    """
    if points is None:
        return []
    if isinstance(points, xr.DataArray):
        return _of_table(image, points, t)
    given = [points] if isinstance(points, Mapping) else list(points)
    return [mark_at(image, point, number) for number, point in enumerate(given, 1)]


def mark_at(image: xr.DataArray, point: Any, label: int = 1) -> Mark:
    """Return one point.

    Raises
    ------
    InputError
        ``bad-point``, ``point-outside``.
    """
    known = {"lps", "voxel", *SPACE}
    if not isinstance(point, Mapping) or not point or set(point) - known:
        raise _bad_point(point)
    positions = {axis: positions_of(image, axis) for axis in SPACE}
    if "voxel" in point:
        at = _of_voxel(image, point["voxel"], positions)
    elif "lps" in point:
        x, y, z = grid_of(image).from_lps([point["lps"]])[0].tolist()
        at = {"z": z, "y": y, "x": x}
    else:
        missing = [axis for axis in SPACE if axis not in point and len(positions[axis][0]) > 1]
        if missing:
            raise _bad_point(point)
        at = {axis: float(point.get(axis, positions[axis][0][0])) for axis in SPACE}
    index = {axis: nearest_index(*_span(positions[axis], at[axis]), axis) for axis in SPACE}
    return Mark(at, index, label)


def _span(positions: tuple[Any, float], value: float) -> tuple[Any, float, float]:
    return positions[0], value, positions[1]


def _of_voxel(
    image: xr.DataArray, voxel: Any, positions: Mapping[str, tuple[Any, float]]
) -> dict[str, float]:
    axes = [axis for axis in SPACE if axis in image.dims]
    values = np.atleast_1d(np.asarray(voxel, np.float64))
    if len(values) != len(axes):
        raise _bad_point({"voxel": voxel})
    at = {axis: float(positions[axis][0][0]) for axis in SPACE}
    for axis, value in zip(axes, values.tolist(), strict=True):
        if not -0.5 <= value <= image.sizes[axis] - 0.5:
            raise InputError(
                f"voxel {voxel} lies outside the image",
                kind="point-outside",
                why=f"there are {image.sizes[axis]} along {axis}",
            )
        at[axis] = float(np.interp(value, np.arange(image.sizes[axis]), positions[axis][0]))
    return at


def _of_table(image: xr.DataArray, table: xr.DataArray, t: int) -> list[Mark]:
    if "axis" not in table.dims:
        raise _bad_point(f"a table with dims {table.dims}")
    time = time_dim_of(image) or "t"
    table = table.isel({time: t}) if time in table.dims else table
    if "label" not in table.dims:
        table = table.expand_dims("label")
    labels = np.atleast_1d(table.coords["label"].values) if "label" in table.coords else [1]
    in_mm = str(table.name).endswith("_mm")
    found = []
    for label, row in zip(labels, table.transpose("label", "axis"), strict=True):
        values = {str(axis): float(value) for axis, value in zip(row["axis"].values, row.values, strict=True)}
        if not all(np.isfinite(value) for value in values.values()):
            # The object is not there at this time.
            continue
        point = values if in_mm else {"voxel": [values[axis] for axis in SPACE if axis in values]}
        found.append(mark_at(image, point, int(label)))
    return found


def _bad_point(point: Any) -> InputError:
    return InputError(
        f"{point} is not a point of this image",
        kind="bad-point",
        fix="give z=, y=, x= (mm), voxel=(z, y, x) or lps=(x, y, z)",
    )
