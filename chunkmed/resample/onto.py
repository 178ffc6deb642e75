"""Onto the grid of another image, by the positions of voxels in the patient."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import SPACE, canonical
from chunkmed.errors import InputError
from chunkmed.graph.mapping import AlongAxes, Linear, Mapping
from chunkmed.graph.nodes import Array
from chunkmed.grid import Grid
from chunkmed.padding import padding_range
from chunkmed.resample.gridded import (
    checked_order,
    indices_of,
    interpolated,
    is_straight,
    known_grid,
    on_grid,
)

__all__ = ["resample_like"]

#: Directions count as the same where voxels at the far end lie this part of a step apart.
_ALIGNED = 1e-3


def resample_like(
    image: xr.DataArray,
    other: xr.DataArray,
    order: int = 1,
    cval: float | None = None,
    antialias: bool | None = None,
    *,
    method: str | None = None,
    check_frame: bool = True,
) -> xr.DataArray:
    """Interpolate an image at the voxels of another one, wherever both lie in the patient.

    Parameters
    ----------
    image : xarray.DataArray
        With coordinates in mm and the dims z, y, x, any time points. Masks, integer images named
        ``labels`` and ``method="nearest"`` are never interpolated.
    other : xarray.DataArray
        Whose grid is taken: its positions and directions, not its values and times.
    order : int
        Of the spline: 0 nearest, 1 linear, 3 cubic.
    cval : float, optional
        Value of voxels beyond the edges of the image's outermost voxels; by default its padding value,
        or 0.
    antialias : bool, optional
        Whether a gaussian smooths before, where voxels become larger; by default yes.
    method : {"nearest", "linear", "cubic"}, optional
        Names of orders 0, 1, 3.
    check_frame : bool
        Whether images of different frames of reference are refused: their positions say nothing of
        each other, unless they are known to.

    Returns
    -------
    xarray.DataArray
        Lazy, same dtype, on the grid of the other image.

    Raises
    ------
    InputError
        ``no-grid``, ``no-spacing``, ``other-frame``; ``non-uniform`` where slices lie at uneven distances
        and directions differ, or the order is above 1.

    Examples
    --------
    >>> import chunkmed as cm
    >>> pet = cm.resample.resample_like(cm.open("pet.zarr"), cm.open("ct.zarr"))  # doctest: +SKIP
    """
    image, order = canonical(image), checked_order(image, order, method)
    grid, target = known_grid(image), known_grid(other)
    for each in (image, other):
        if not set(SPACE) <= set(each.dims):
            raise InputError("volumes are needed", kind="bad-dims", why=f"dims are {each.dims}")
    if check_frame and grid.frame_key and target.frame_key and grid.frame_key != target.frame_key:
        raise InputError(
            "the images lie in different frames of reference",
            kind="other-frame",
            fix="register them, or check_frame=False where positions are known to agree",
        )
    padding = padding_range(image.attrs)
    outside = cval if cval is not None else image.attrs["padding_value"] if padding is not None else 0.0
    mapping, mode = _mapping(grid, target, order)
    along = [image.dims.index(axis) for axis in SPACE]
    node = interpolated(image, along, mapping, order, mode, float(outside), antialias)
    return on_grid(image, node, target, SPACE)


def _mapping(grid: Grid, target: Grid, order: int) -> tuple[Mapping, str]:
    """Return where the voxels of another grid lie in an image, and the border mode."""
    # Coordinates x, y, z in mm: from those of the one grid to those of the other.
    turn = np.linalg.solve(np.asarray(grid.direction), np.asarray(target.direction))
    start = grid.from_lps([target.to_lps([[0.0, 0.0, 0.0]])[0]])[0]
    ends = np.array([np.abs(each).max() for each in (target.x_mm, target.y_mm, target.z_mm)])
    apart = np.abs(turn - np.diag(np.diag(turn))) @ ends
    steps = np.array(grid.spacing_mm[::-1])
    if np.all(apart <= _ALIGNED * steps):
        if order > 1 and not is_straight(grid.z_mm):
            raise _uneven("order=1 goes by their true positions")
        return AlongAxes([_along(grid, target, axis, turn, start) for axis in SPACE]), "nearest"
    if not (is_straight(grid.z_mm) and is_straight(target.z_mm)):
        raise _uneven("resample it to even slices first: cm.resample.resample(image, spacing=...)")
    # From affine to affine, for indices x, y, z; then the other way round.
    matrix = np.linalg.solve(grid.affine, target.affine)
    return Linear(matrix[2::-1, 2::-1], matrix[2::-1, 3], target.shape[1:]), "extent"


def _along(grid: Grid, target: Grid, axis: str, turn: Array, start: Array) -> Array:
    """Return the indices in an image of positions along one axis; NaN beyond its edges."""
    number = "xyz".index(axis)
    positions = getattr(grid, f"{axis}_mm")
    at = turn[number, number] * np.asarray(getattr(target, f"{axis}_mm")) + start[number]
    index = indices_of(positions, at, grid.spacing_mm[SPACE.index(axis)])
    inside = (index >= -0.5) & (index <= len(positions) - 0.5)
    return np.asarray(np.where(inside, index, np.nan))


def _uneven(fix: str) -> Any:
    return InputError(
        "slices at even distances are needed",
        kind="non-uniform",
        why="the slices of an image lie at uneven distances",
        fix=fix,
    )
