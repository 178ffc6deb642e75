"""Label images of other programs onto the grid of an image: turned where that is exact, else refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import attach, four_dims, grid_of, time_dim_of
from chunkmed.errors import InputError
from chunkmed.graph.box import whole
from chunkmed.graph.flipped import Flipped
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Call, Crop, Node, Pointwise
from chunkmed.graph.views import view
from chunkmed.grid import Grid
from chunkmed.label_names import LABELS

__all__ = ["Turn", "on_grid_of", "turned", "whole_numbers"]

#: Corners of two grids may lie this part of a voxel apart: other formats round to single precision.
_SAME = 0.02
_FIX = 'resample them: cm.resample_like(cm.open_labels(path), image, method="nearest")'


@dataclass(frozen=True)
class Turn:
    """How the axes of one array lie in another: for z, y, x of the result, which axis of the array."""

    axes: tuple[int, int, int]
    """0 z, 1 y, 2 x."""
    reversed: tuple[bool, bool, bool]
    """Whether that axis of the result runs the other way."""


def on_grid_of(labels: xr.DataArray, like: xr.DataArray, where: str) -> xr.DataArray:
    """Return labels on the grid of an image.

    Parameters
    ----------
    labels : xarray.DataArray
        Dims (t, z, y, x), with a grid.
    like : xarray.DataArray
        The image they belong to.
    where : str
        What errors name.

    Returns
    -------
    xarray.DataArray
        With the coordinates of the image; without a time axis where the labels have one time point and
        the image several.

    Raises
    ------
    InputError
        ``other-grid``, naming what differs.
    """
    mine, theirs = grid_of(labels), grid_of(four_dims(like))
    turn = _turn(mine, theirs, where)
    return turned(labels, turn, like, where)


def turned(labels: xr.DataArray, turn: Turn, like: xr.DataArray, where: str) -> xr.DataArray:
    """Return labels with their axes turned, on the grid of an image."""
    full = four_dims(like)
    target = grid_of(full)
    node = _view(lift(labels).node, turn)
    count = node.shape[0]
    if count not in (1, target.shape[0]):
        raise _other(where, f"{count} time points, the image has {target.shape[0]}")
    one = count == 1 and target.shape[0] > 1
    grid = replace(target, time_ms=(0.0,)) if one else target
    image = attach(view(node), grid, name=LABELS)
    if not one and "trigger_time_ms" in full.coords:
        image = image.assign_coords(trigger_time_ms=full.coords["trigger_time_ms"])
    # One time point stands for all of them, or for the one that was taken.
    if one or time_dim_of(like) is None:
        image = image.isel({target.time_dim: 0}, drop=True)
        if not one and target.time_dim in like.coords:
            image = image.assign_coords({target.time_dim: like.coords[target.time_dim]})
    missing = [axis for axis in ("z", "y", "x") if axis not in like.dims]
    return image.isel(dict.fromkeys(missing, 0))


def _view(node: Node, turn: Turn) -> Node:
    order = (0, *(axis + 1 for axis in turn.axes))
    if order != (0, 1, 2, 3):
        node = Crop(node, whole(node.shape), order)
    flips = [axis + 1 for axis, reverse in enumerate(turn.reversed) if reverse]
    return Flipped(node, flips) if flips else node


_STRAIGHT = Turn((0, 1, 2), (False, False, False))


def _turn(mine: Grid, theirs: Grid, where: str) -> Turn:
    """Return how two grids of the same voxels lie in each other; refuse others."""
    if _equal(mine, theirs) or (not theirs.known and mine.shape[1:] == theirs.shape[1:]):
        return _STRAIGHT
    if mine.frame_key and theirs.frame_key and mine.frame_key != theirs.frame_key:
        raise _other(where, "another frame of reference")
    if not theirs.uniform:
        raise _other(where, "the slices of the image lie at uneven distances: a single step does not tell")
    # Indices x, y, z of the labels to those of the image.
    between = np.linalg.solve(theirs.affine, mine.affine)
    matrix, offset = between[:3, :3], between[:3, 3]
    near = np.round(matrix)
    sides = np.array(mine.shape[:0:-1])
    bad = np.any(np.abs(near).sum(axis=0) != 1) or np.any(np.abs(near).sum(axis=1) != 1)
    if bad or np.any(np.abs(matrix - near) @ sides > _SAME * 3):
        raise _other(where, _steps(mine, theirs, bool(bad)))
    from_axis = np.abs(near).argmax(axis=1)
    sign = near[np.arange(3), from_axis]
    if tuple(sides[from_axis]) != tuple(theirs.shape[:0:-1]):
        raise _other(where, f"shape {mine.shape[1:]}, the image has {theirs.shape[1:]}")
    apart = offset - np.where(sign > 0, 0, sides[from_axis] - 1)
    if np.any(np.abs(apart) > _SAME + np.abs(matrix - near) @ sides):
        raise _other(where, f"shifted by {_numbers(apart)} voxels along x, y, z")
    flips = (sign < 0)[::-1]
    z, y, x = (2 - int(axis) for axis in from_axis[::-1])
    return Turn((z, y, x), (bool(flips[0]), bool(flips[1]), bool(flips[2])))


def _equal(mine: Grid, theirs: Grid) -> bool:
    axes = ((mine.z_mm, theirs.z_mm), (mine.y_mm, theirs.y_mm), (mine.x_mm, theirs.x_mm))
    same = all(len(a) == len(b) and np.array_equal(np.round(a, 6), np.round(b, 6)) for a, b in axes)
    return same and replace(mine, frame_key="").fingerprint == replace(theirs, frame_key="").fingerprint


def _steps(mine: Grid, theirs: Grid, other_axes: bool) -> str:
    a, b = mine.spacing_mm, theirs.spacing_mm
    if np.allclose(sorted(a), sorted(b), rtol=1e-3):
        what = "axes in other directions" if other_axes else "axes that are turned by a little"
        return f"{what}, steps {_numbers(a)} mm as those of the image"
    return (
        f"steps {_numbers(a)} mm along z, y, x, shape {mine.shape[1:]}; the image has {_numbers(b)} mm, "
        + str(theirs.shape[1:])
    )


def _numbers(values: Sequence[float] | Any) -> str:
    return ", ".join(f"{float(value):.4g}" for value in values)


def _other(where: str, why: str) -> InputError:
    error = InputError("the labels do not lie on the grid of the image", kind="other-grid", why=why, fix=_FIX)
    error.where = where
    return error


def whole_numbers(labels: xr.DataArray) -> xr.DataArray:
    """Return labels that were stored as floats as integers; a fraction is refused when it is read."""
    if labels.dtype.kind in "iub":
        return labels
    node = lift(labels).node
    made = Pointwise(Call(_as_integers), [node], node.shape, np.int32)
    return labels.copy(data=view(made, labels.chunks))


def _as_integers(values: Array) -> Array:
    out = np.zeros(values.shape, np.int32)
    # NaN equals nothing, and 1e20 no int32.
    fits = np.abs(values) < 2**31
    np.copyto(out, values, where=fits, casting="unsafe")
    if not np.array_equal(out, values):
        raise InputError(
            "this is no label image",
            kind="not-labels",
            why="it holds values that are no whole numbers",
            fix="threshold it: cm.open(path) > 0.5",
        )
    return out
