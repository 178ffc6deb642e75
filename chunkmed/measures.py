"""One table of measures as records; all labels and time points in one pass over the images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import canonical, check_grid, grid_of, has_grid
from chunkmed.errors import InputError
from chunkmed.graph.lift import Lifted, lift
from chunkmed.graph.nodes import Array
from chunkmed.graph.reduce import Axes, label_statistics, positions
from chunkmed.grid import Grid, step_weights
from chunkmed.kernels.moments import Moments

__all__ = ["MEASURES", "Measure", "measure"]


@dataclass(frozen=True)
class _Context:
    """What turns sums into quantities."""

    grid: Grid | None
    axes: Axes
    whole_slices: bool
    """Whether the last two axes are y and x."""

    @property
    def in_plane_mm2(self) -> float:
        """Area of one voxel in its slice."""
        self.check_slices()
        _, dy, dx = self.known_grid.spacing_mm
        return dy * dx

    def check_slices(self) -> None:
        """Refuse images without rows or columns: a single one has no step that is known."""
        if self.axes.volume[1] < 2 or self.axes.volume[2] < 2 or not self.whole_slices:
            raise InputError(
                "sizes in mm need slices with rows and columns",
                kind="no-step",
                why="along an axis of one voxel the step is not known",
                fix="measure before taking a single row or column out",
            )

    @property
    def known_grid(self) -> Grid:
        """The grid, or the reason why there are no millimetres."""
        if self.grid is None or not self.grid.known:
            raise InputError(
                "sizes in mm need an image with spacing",
                kind="no-spacing",
                why="this image carries none",
                fix='measure "count", "area_px" or "volume_vox" instead',
            )
        return self.grid

    @property
    def solid_grid(self) -> Grid:
        """The grid, if its slices have a depth."""
        grid = self.known_grid
        if len(grid.z_mm) == 1 and grid.thickness_mm is None:
            raise InputError(
                "a volume needs the thickness of the slice",
                kind="no-thickness",
                why="the headers of this single slice give none",
                fix='measure "area_mm2" instead',
            )
        return grid


@dataclass(frozen=True)
class Measure:
    """One measure: its name, unit and how it follows from the merged sums."""

    name: str
    units: str
    finish: Callable[[Moments, _Context], Array]
    needs_values: bool = False
    about: str = ""


def _volume_mm3(table: Moments, about: _Context) -> Array:
    grid = about.solid_grid
    if grid.uniform:
        # Exact for uniform slices: a count times one number.
        return table.count * (grid.spacing_mm[0] * about.in_plane_mm2)
    return table.depth * about.in_plane_mm2


def _single_plane(table: Moments, about: _Context) -> Array:
    if about.axes.volume[0] != 1:
        raise InputError("an area needs a single slice", kind="not-planar", fix="measure a volume")
    return table.count


def _mass(table: Moments, about: _Context) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return _own_axes(table.weighted / table.total[:, None], about)


def _own_axes(rows: Array, about: _Context) -> Array:
    return rows[:, 3 - len(about.axes.space) :]


def _in_mm(indices: Array, heights: Array, about: _Context) -> Array:
    """Return coordinates z, y, x in mm; heights are exact means of slice positions."""
    about.check_slices()
    grid = about.known_grid
    y, x = (np.interp(indices[:, i], np.arange(len(p)), p) for i, p in ((1, grid.y_mm), (2, grid.x_mm)))
    return _own_axes(np.stack([heights, y, x], axis=1), about)


def _mass_mm(table: Moments, about: _Context) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        indices = table.weighted / table.total[:, None]
        return _in_mm(indices, table.weighted_height / table.total, about)


def _centroid_mm(table: Moments, about: _Context) -> Array:
    return _in_mm(table.positions / table.count[:, None], table.height / table.count, about)


def _touches(table: Moments, about: _Context) -> Array:
    """Whether an object reaches the border of the image, on axes longer than one voxel."""
    volume = np.asarray(about.axes.volume)
    at_border = (table.start == 0) | (table.stop == volume)
    touching: Array = np.any(at_border & (volume > 1), axis=1)
    return touching


def _at(indices: Array, about: _Context) -> Array:
    return positions(indices, about.axes.volume, len(about.axes.space))


_RECORDS = (
    Measure("count", "1", lambda m, _: m.count, about="number of voxels"),
    Measure("volume_mm3", "mm3", _volume_mm3, about="voxels times their volume"),
    Measure("volume_ml", "ml", lambda m, c: _volume_mm3(m, c) / 1000, about="volume in millilitres"),
    Measure("volume_vox", "vox", lambda m, _: m.count, about="volume in voxels"),
    Measure("area_mm2", "mm2", lambda m, c: _single_plane(m, c) * c.in_plane_mm2, about="area, one slice"),
    Measure("area_px", "px", _single_plane, about="area in pixels, one slice"),
    Measure("centroid", "voxel", lambda m, c: _own_axes(m.positions / m.count[:, None], c), about="centre"),
    Measure("centroid_mm", "mm", _centroid_mm, about="centre, in the image's coordinates"),
    Measure("touches_border", "1", _touches, about="whether it reaches the border of the image"),
    Measure("start", "voxel", lambda m, c: _own_axes(m.start, c), about="first index of the bounding box"),
    Measure("stop", "voxel", lambda m, c: _own_axes(m.stop, c), about="one beyond the bounding box"),
    Measure("sum", "", lambda m, _: m.total, True, "sum of values"),
    Measure("mean", "", lambda m, _: m.total / m.count, True, "mean value"),
    Measure("variance", "", lambda m, _: m.spread / m.count, True, "variance of values"),
    Measure("standard_deviation", "", lambda m, _: np.sqrt(m.spread / m.count), True, "of values"),
    Measure("minimum", "", lambda m, _: m.low, True, "lowest value"),
    Measure("maximum", "", lambda m, _: m.high, True, "highest value"),
    Measure("minimum_position", "voxel", lambda m, c: _at(m.low_at, c), True, "first voxel of the lowest"),
    Measure("maximum_position", "voxel", lambda m, c: _at(m.high_at, c), True, "first voxel of the highest"),
    Measure("center_of_mass", "voxel", _mass, True, "centre weighted by value"),
    Measure("center_of_mass_mm", "mm", _mass_mm, True, "the same, in the image's coordinates"),
)
#: All measures by name.
MEASURES: dict[str, Measure] = {record.name: record for record in _RECORDS}


def measure(
    labels: xr.DataArray,
    image: xr.DataArray | None = None,
    what: Sequence[str] = ("count", "volume_ml"),
) -> xr.Dataset:
    """Measure all labelled objects in one pass over labels and image.

    Parameters
    ----------
    labels : xarray.DataArray
        Integers, 0 is background; a mask counts as label 1. Dims (t, z, y, x) or fewer.
    image : xarray.DataArray, optional
        Values, on the same grid.
    what : sequence of str
        Names of :data:`MEASURES`.

    Returns
    -------
    xarray.Dataset
        Dims (t, label), or (label) without time; positions have one more, ``axis``. The count of
        a label that a time point lacks is 0, its other values NaN. Units in ``attrs["units"]``.

    Raises
    ------
    InputError
        For unknown measures, grids that differ, or millimetres that the image does not have.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> labels = xr.DataArray(np.array([[0, 1, 1], [2, 2, 2]]), dims=("y", "x"))
    >>> measure(labels, what=["count"])["count"].values.tolist()
    [2, 3]
    """
    records = [_record(name) for name in dict.fromkeys(["count", *what])]
    if image is None and (missing := [r.name for r in records if r.needs_values]):
        raise InputError(f"{missing[0]!r} needs an image", kind="no-image", fix="measure(labels, image, ...)")
    labels, image = _on_one_grid(labels, image)
    lifted = lift(labels).one_channel()
    axes = Axes(lifted.node.shape, lifted.time_axis, lifted.space_axes)
    grid = grid_of(labels) if has_grid(labels) else None
    about = _Context(grid, axes, tuple(labels.dims[-2:]) == ("y", "x"))
    for record in records:
        # Refuse before reading anything.
        record.finish(Moments.empty(), about)
    values = None if image is None or not any(r.needs_values for r in records) else lift(image).node
    tables = label_statistics(lifted.node, values, axes, slices=_slices(grid, axes))
    units = str(image.attrs.get("units", "")) if image is not None else ""
    return _dataset([table.objects for table in tables], records, about, lifted, units)


def _record(name: str) -> Measure:
    if name not in MEASURES:
        raise InputError(
            f"there is no measure {name!r}", kind="no-measure", fix=f"choose of {', '.join(MEASURES)}"
        )
    return MEASURES[name]


def _on_one_grid(
    labels: xr.DataArray, image: xr.DataArray | None
) -> tuple[xr.DataArray, xr.DataArray | None]:
    if labels.dtype.kind not in "iub":
        raise InputError(f"labels of dtype {labels.dtype}", kind="not-labels", fix="give integers or a mask")
    if image is None:
        return canonical(labels), None
    check_grid(labels, image)
    common = [dim for dim in labels.dims if dim in image.dims]
    if any(labels.sizes[dim] != image.sizes[dim] for dim in common):
        raise InputError("labels and image differ in shape", kind="shape-mismatch")
    # Positions agree by now, or there are none: xarray must not join them on its own.
    both = xr.broadcast(labels, image.assign_coords({d: labels[d] for d in common if d in labels.coords}))
    return canonical(both[0]), canonical(both[1])


def _slices(grid: Grid | None, axes: Axes) -> Array | None:
    """Return depth and position of each slice, None where the image has no positions."""
    if grid is None or len(grid.z_mm) != axes.volume[0]:
        return None
    depths = step_weights(grid.z_mm, grid.thickness_mm or 1.0)
    return np.stack([depths, np.asarray(grid.z_mm)], axis=1)


def _dataset(
    tables: Sequence[Moments], records: Sequence[Measure], about: _Context, like: Lifted, units: str
) -> xr.Dataset:
    names = np.unique(np.concatenate([table.label for table in tables]))
    rows = [np.searchsorted(names, table.label) for table in tables]
    dim = None if about.axes.time is None else str(like.image.dims[about.axes.time])
    variables: dict[Any, Any] = {}
    for record in records:
        pairs = zip(tables, rows, strict=True)
        columns = [_placed(record.finish(table, about), row, len(names), record) for table, row in pairs]
        values = columns[0] if dim is None else np.stack(columns)
        dims = [*([] if dim is None else [dim]), "label", *(["axis"] if columns[0].ndim > 1 else [])]
        described = {"units": record.units or units or "1", "long_name": record.about}
        variables[record.name] = (dims, values, described)
    return xr.Dataset(variables, coords=_table_coords(variables, names, dim, about, like))


def _table_coords(
    variables: dict[Any, Any], names: Array, dim: str | None, about: _Context, like: Lifted
) -> dict[Any, Any]:
    coords: dict[Any, Any] = {"label": names}
    if dim is not None and dim in like.image.coords:
        coords[dim] = like.image.coords[dim].variable
    if any("axis" in dims for dims, *_ in variables.values()):
        coords["axis"] = [str(like.image.dims[axis]) for axis in about.axes.space]
    return coords


def _placed(column: Array, row: Array, n: int, record: Measure) -> Array:
    """Put the rows of one time point in their places; NaN, or no voxels, where a label is absent."""
    # One dtype for all time points, whether a label is absent there or not.
    missing: Any = np.int64(0) if record.name == "count" else np.nan
    out = np.full((n, *column.shape[1:]), missing)
    out[row] = column
    return out
