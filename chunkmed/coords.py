"""Grid <-> xarray coordinates and attributes: the only place that knows both.

An image is a DataArray with dims (t, z, y, x) or any subset. Its coordinates are

- ``t``: milliseconds; ``z``, ``y``, ``x``: millimetres along the array axes (attribute ``units``),
- ``grid``: a scalar that two images share exactly when they lie in the same frame; its attributes
  carry direction, origin and what else a :class:`~chunkmed.grid.Grid` needs,
- ``trigger_time_ms`` (t, z) where each slice has its own time.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from chunkmed.errors import InputError
from chunkmed.grid import Grid, Matrix

__all__ = [
    "CHANNEL",
    "SPACE",
    "attach",
    "broadcast",
    "canonical",
    "check_grid",
    "coordinates",
    "four_dims",
    "grid_attributes_of",
    "grid_of",
    "has_grid",
    "is_channel",
    "known_grid",
    "spacing_of",
    "time_dim_of",
]

SPACE = ("z", "y", "x")
#: The last dim of colour images.
CHANNEL = "c"
_NOT_TIME_UNITS = {"b": "s/mm2", "echo": "ms", "inversion": "ms", "flip": "degrees"}


def coordinates(grid: Grid, trigger_time_ms: Sequence[Sequence[float]] | None = None) -> dict[str, Any]:
    """Return the xarray coordinates of a grid."""
    space_units = "mm" if grid.known else "pixel"
    out: dict[str, Any] = {
        grid.time_dim: (grid.time_dim, _positions(grid.time_ms), {"units": time_units(grid)}),
        "z": ("z", _positions(grid.z_mm), {"units": space_units}),
        "y": ("y", _positions(grid.y_mm), {"units": space_units}),
        "x": ("x", _positions(grid.x_mm), {"units": space_units}),
        "grid": ((), np.int64(grid.fingerprint), _remember(grid.fingerprint, grid_attributes(grid))),
    }
    if trigger_time_ms is not None:
        times = np.asarray(trigger_time_ms, dtype=np.float64)
        out["trigger_time_ms"] = ((grid.time_dim, "z"), times, {"units": "ms"})
    return out


def time_units(grid: Grid) -> str:
    """Return the unit of the first dimension."""
    return _NOT_TIME_UNITS.get(grid.time_dim, "ms") if grid.time_known else "1"


def grid_attributes(grid: Grid) -> dict[str, Any]:
    """Return what the axis positions do not say, as JSON values."""
    out = {
        "direction": [list(row) for row in grid.direction],
        "origin_mm": list(grid.origin_mm),
        "uniform": int(grid.uniform),
        "known": int(grid.known),
        "frame_key": grid.frame_key,
        "time_dim": grid.time_dim,
        "time_known": int(grid.time_known),
    }
    # Absent rather than NaN: these attributes are written as JSON.
    return out if grid.thickness_mm is None else out | {"thickness_mm": grid.thickness_mm}


def attach(
    data: Any,
    grid: Grid,
    *,
    name: str = "image",
    attrs: Mapping[str, Any] | None = None,
    trigger_time_ms: Sequence[Sequence[float]] | None = None,
) -> xr.DataArray:
    """Return ``data`` (t, z, y, x) or (t, z, y, x, c) as an image on ``grid``."""
    coords = coordinates(grid, trigger_time_ms)
    dims = grid.dims if data.ndim == len(grid.dims) else (*grid.dims, CHANNEL)
    return xr.DataArray(data, dims=dims, coords=coords, name=name, attrs=dict(attrs or {}))


def canonical(image: xr.DataArray) -> xr.DataArray:
    """Return the image with its dims in the order time, z, y, x, channels."""
    channel = [dim for dim in image.dims if is_channel(image, dim)]
    others = [dim for dim in image.dims if dim not in (*SPACE, *channel)]
    order = [*others, *(axis for axis in SPACE if axis in image.dims), *channel]
    return image if list(image.dims) == order else image.transpose(*order)


def four_dims(image: xr.DataArray) -> xr.DataArray:
    """Return the image with all four dims (and channels); dims that were taken at an index come back."""
    grid = grid_of(image)
    missing = [dim for dim in grid.dims if dim not in image.dims]
    for dim in missing:
        if dim not in image.coords:
            image = image.assign_coords({dim: 0.0})
    # By name: an image that was transposed is stored in the order that the dims of a store have.
    channel = [dim for dim in image.dims if is_channel(image, dim)]
    return image.expand_dims(missing).transpose(*grid.dims, *channel)


def has_grid(image: xr.DataArray) -> bool:
    """Whether the image carries positions that a grid can be read from."""
    return all(axis in image.coords for axis in ("grid", *SPACE)) and bool(grid_attributes_of(image))


def time_dim_of(image: xr.DataArray) -> str | None:
    """Return the name of the dimension that is not z, y or x nor the last one, of channels."""
    others = [str(dim) for dim in image.dims if dim not in SPACE and not is_channel(image, dim)]
    return others[0] if others else None


def is_channel(image: xr.DataArray, dim: Hashable) -> bool:
    """Whether a dim holds the channels of a colour image: ``c``, and the last one."""
    return dim == CHANNEL and image.dims[-1] == CHANNEL


def grid_of(image: xr.DataArray) -> Grid:
    """Read the grid back from an image, crops included.

    Raises
    ------
    InputError
        If the image carries no positions.
    """
    if not has_grid(image):
        raise InputError(
            "this image carries no grid",
            kind="no-grid",
            why="the coordinates z, y, x and grid are needed",
            fix="take it from cm.open, cm.convert or cm.volread, or give spacing_mm=",
        )
    about = grid_attributes_of(image)
    time_dim = str(about["time_dim"])
    times = image.coords[time_dim].values if time_dim in image.coords else np.zeros(1)
    thickness = about.get("thickness_mm")
    return Grid(
        z_mm=_tuple(image.coords["z"].values),
        y_mm=_tuple(image.coords["y"].values),
        x_mm=_tuple(image.coords["x"].values),
        time_ms=_tuple(times),
        direction=_matrix(about["direction"]),
        origin_mm=_triple(about["origin_mm"]),
        time_dim=time_dim,
        known=bool(about["known"]),
        time_known=bool(about["time_known"]),
        thickness_mm=None if thickness is None else float(thickness),
        frame_key=str(about["frame_key"]),
    )


def grid_attributes_of(image: xr.DataArray) -> Mapping[str, Any]:
    """Return the attributes of an image's ``grid``, those that xarray dropped on the way included.

    ``xr.where(mask, 1, 0)`` drops the attributes of coordinates; which grid it is they still say.
    Nothing where this process never saw that grid.
    """
    found: Mapping[str, Any] = image.coords["grid"].attrs
    if "direction" in found:
        return found
    found = _seen.get(int(image.coords["grid"]), {})
    return {**found, "time_dim": time_dim_of(image) or found["time_dim"]} if found else {}


#: Attributes of every grid that this process made, by fingerprint.
_seen: dict[int, dict[str, Any]] = {}


def _remember(fingerprint: int, attributes: dict[str, Any]) -> dict[str, Any]:
    before = _seen.get(fingerprint, attributes)
    # What two images on one grid do not share is not remembered: the depth of a single slice.
    shared = {name: value for name, value in attributes.items() if before.get(name) == value}
    _seen[fingerprint] = {"time_dim": "t", "time_known": 0} | shared
    return attributes


def known_grid(image: xr.DataArray, fix: str = "give sizes in voxels") -> Grid:
    """Read the grid of an image that has positions in mm.

    Raises
    ------
    InputError
        ``no-grid``, ``no-spacing``.
    """
    grid = grid_of(image)
    if not grid.known:
        why = "its headers hold no geometry"
        raise InputError("this image has no spacing in mm", kind="no-spacing", why=why, fix=fix)
    return grid


def check_grid(image: xr.DataArray, other: xr.DataArray, name: str = "the other image") -> None:
    """Refuse two images that do not lie on the same grid, where both have one.

    Raises
    ------
    InputError
        ``other-grid``.
    """
    if not (has_grid(image) and has_grid(other)):
        return
    mine, theirs = grid_of(image), grid_of(other)
    both_timed = time_dim_of(image) is not None and time_dim_of(other) is not None
    first = 0 if both_timed else 1
    same = mine.fingerprint == theirs.fingerprint and mine.shape[first:] == theirs.shape[first:]
    if not same or any(np.any(image.coords[a].values != other.coords[a].values) for a in SPACE):
        raise InputError(
            f"the image does not lie on the grid of {name}",
            kind="other-grid",
            why=f"{mine.shape}, steps {mine.spacing_mm}; against {theirs.shape}, steps {theirs.spacing_mm}",
            fix="resample one of them",
        )


def broadcast(
    image: xr.DataArray, other: xr.DataArray, name: str = "the other image", both: str = "the images"
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return two images with the same dims; their grids and sizes must agree.

    Parameters
    ----------
    image, other : DataArray
        Any subset of dims each.
    name, both : str
        What ``other`` and the two of them are called in errors.

    Raises
    ------
    InputError
        ``other-grid`` or ``shape-mismatch``.
    """
    check_grid(image, other, name)
    common = [dim for dim in image.dims if dim in other.dims]
    if any(image.sizes[dim] != other.sizes[dim] for dim in common):
        why = f"{tuple(image.shape)} against {tuple(other.shape)}"
        raise InputError(f"{both} differ in shape", kind="shape-mismatch", why=why)
    # Positions agree by now, or there are none: xarray must not join them on its own.
    named = other.assign_coords({dim: image[dim] for dim in common if dim in image.coords})
    first, second = xr.broadcast(image, named)
    return first, second


def spacing_of(image: xr.DataArray, *, uniform: bool = False) -> dict[str, float]:
    """Return the mean step in mm of each of z, y, x that the image has.

    Raises
    ------
    InputError
        If the image has no millimetres, or ``uniform`` is asked for and z steps differ.
    """
    grid = known_grid(image)
    if uniform and not grid.uniform:
        raise InputError(
            "a length in mm needs uniform z steps",
            kind="non-uniform",
            why="the slices of this image lie at uneven distances",
            fix="give voxels, or resample first",
        )
    spacing = dict(zip(SPACE, grid.spacing_mm, strict=True))
    return {axis: spacing[axis] for axis in SPACE if axis in image.dims}


def _positions(values: Sequence[float]) -> npt.NDArray[np.floating[Any]]:
    # Rounded so that equal positions are equal numbers: xarray's joins compare exactly.
    return np.round(np.asarray(values, dtype=np.float64), 6) + 0.0


def _tuple(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in np.atleast_1d(values))


def _triple(values: Any) -> tuple[float, float, float]:
    a, b, c = (float(value) for value in values)
    return a, b, c


def _matrix(rows: Any) -> Matrix:
    a, b, c = (_triple(row) for row in rows)
    return a, b, c
