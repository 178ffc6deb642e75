"""Other directions of the axes: voxels stay where they are in the patient, their order changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from chunkmed.coords import SPACE, canonical
from chunkmed.errors import InputError
from chunkmed.graph.box import whole
from chunkmed.graph.flipped import Flipped
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Crop, Node
from chunkmed.grid import Grid
from chunkmed.resample.gridded import known_grid, on_grid

__all__ = ["orientation", "reorient"]

_LETTERS = ("RL", "AP", "IS")


@dataclass(frozen=True)
class _Axis:
    """An axis of the result: which one of the image, and whether it runs the other way."""

    source: int
    """0 x, 1 y, 2 z."""
    reversed: bool


def orientation(image: xr.DataArray) -> str:
    """Return where x, y and z run to: three of the letters L R, P A, S I.

    ``"LPS"`` says that x runs to the left of the patient, y to the back and z to the head, as far as
    oblique axes run anywhere.

    Examples
    --------
    >>> import numpy as np
    >>> from chunkmed.coords import attach
    >>> from chunkmed.grid import Grid
    >>> orientation(attach(np.zeros((1, 2, 2, 2)), Grid((0.0, 1.0), (0.0, 1.0), (0.0, 1.0))))
    'LPS'
    """
    grid = known_grid(image)
    return "".join(_LETTERS[row][int(forward)] for row, forward in _runs_to(grid))


def reorient(image: xr.DataArray, code: str = "LPS") -> xr.DataArray:
    """Return an image whose x, y and z run nearest to given directions of the patient.

    Axes are swapped and turned round, nothing is interpolated: every voxel keeps its position in mm.

    Parameters
    ----------
    image : xarray.DataArray
        With coordinates in mm and the dims z, y, x, any time points.
    code : str
        Where x, y and z shall run to: one letter each of L R, P A, S I, in any order. ITK's images are
        ``"LPS"``, NIfTI's ``"RAS"``.

    Returns
    -------
    xarray.DataArray
        Lazy; coordinates and directions follow. Times of single slices are kept while z stays z.

    Raises
    ------
    InputError
        ``bad-orientation``; ``single-slice`` where the thickness of a single slice would be lost.

    Examples
    --------
    >>> import chunkmed as cm
    >>> cm.resample.reorient(cm.open("sagittal.zarr"), "RAS")  # doctest: +SKIP
    """
    image = canonical(image)
    grid = known_grid(image)
    if not set(SPACE) <= set(image.dims):
        raise InputError("a volume is needed", kind="bad-dims", why=f"dims are {image.dims}")
    axes = _axes(grid, _targets(code))
    if all(axis == _Axis(i, False) for i, axis in enumerate(axes)):
        return image
    if len(grid.z_mm) == 1 and axes[2].source != 2:
        raise InputError(
            "a single slice has no other direction",
            kind="single-slice",
            why="its thickness is known along z only",
            fix="give a code whose last letter is that of z",
        )
    node = _turned(image, axes)
    moved = [axis for axis, each in zip("xyz", axes, strict=True) if each != _Axis("xyz".index(axis), False)]
    out = on_grid(image, node, _grid(grid, axes), moved)
    return _slice_times(image, out, axes[2])


def _targets(code: str) -> list[tuple[int, bool]]:
    """Return the row of L, P, S and whether it is run along forward, for x, y, z."""
    letters = str(code).upper()
    rows = [next((row for row, pair in enumerate(_LETTERS) if letter in pair), -1) for letter in letters]
    if sorted(rows) != [0, 1, 2]:
        raise InputError(
            f"orientation {code!r}", kind="bad-orientation", fix='one each of L R, P A, S I: "LPS"'
        )
    return [(row, letter == _LETTERS[row][1]) for row, letter in zip(rows, letters, strict=True)]


def _steps(grid: Grid) -> list[float]:
    return [-1.0 if each[-1] < each[0] else 1.0 for each in (grid.x_mm, grid.y_mm, grid.z_mm)]


def _runs_to(grid: Grid) -> list[tuple[int, bool]]:
    """Return for x, y, z the row of L, P, S that its voxels run along most, and whether forward."""
    pairs = zip(grid.runs_to, _steps(grid), strict=True)
    return [(row, forward == (step > 0)) for (row, forward), step in pairs]


def _axes(grid: Grid, targets: Sequence[tuple[int, bool]]) -> list[_Axis]:
    runs = _runs_to(grid)
    out = []
    for row, forward in targets:
        source = next(i for i, (own, _) in enumerate(runs) if own == row)
        out.append(_Axis(source, runs[source][1] != forward))
    return out


def _turned(image: xr.DataArray, axes: Sequence[_Axis]) -> Node:
    node, dims = lift(image).node, list(image.dims)
    place = {axis: dims.index(axis) for axis in SPACE}
    order = list(range(len(dims)))
    for axis, each in zip("xyz", axes, strict=True):
        order[place[axis]] = place["xyz"[each.source]]
    if order != list(range(len(dims))):
        node = Crop(node, whole(node.shape), order)
    flips = [place[axis] for axis, each in zip("xyz", axes, strict=True) if each.reversed]
    return Flipped(node, flips) if flips else node


def _grid(grid: Grid, axes: Sequence[_Axis]) -> Grid:
    known = (grid.x_mm, grid.y_mm, grid.z_mm)
    columns, positions = [], []
    for each in axes:
        at, column = list(known[each.source]), np.asarray(grid.direction)[:, each.source]
        at = at[::-1] if each.reversed else at
        if at[-1] < at[0]:
            # Ascending along the opposite direction: the same points.
            at, column = [-value + 0.0 for value in at], -column + 0.0
        positions.append(tuple(at))
        columns.append(column.tolist())
    x, y, z = positions
    a, b, c = (tuple(row) for row in np.array(columns).T.tolist())
    return replace(grid, x_mm=x, y_mm=y, z_mm=z, direction=(a, b, c))


def _slice_times(image: xr.DataArray, out: xr.DataArray, z: _Axis) -> xr.DataArray:
    """Return the image with its other coordinates of slices, where z is z still."""
    if z.source != 2:
        return out
    lead = set(image.dims) - set(SPACE)
    step = -1 if z.reversed else 1
    kept = {
        name: each.isel(z=slice(None, None, step)).variable
        for name, each in image.coords.items()
        if name != "z" and "z" in each.dims and set(each.dims) <= lead | {"z"}
    }
    return out.assign_coords(kept)
