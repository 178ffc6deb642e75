"""One object through time: by a point, then by overlap with the frame before."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import SPACE, grid_of, time_dim_of
from chunkmed.errors import InputError
from chunkmed.graph.box import Box, whole
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Crop
from chunkmed.graph.passes import make_program
from chunkmed.graph.schedulers import scheduler_of_arrays
from chunkmed.graph.views import view
from chunkmed.grid import Grid
from chunkmed.kernels.counted import Columns, merge_counts

__all__ = ["follow", "label_at", "voxel_at"]

_LOST = 0


def voxel_at(image: xr.DataArray, point: Mapping[str, Any]) -> dict[str, int]:
    """Return the voxel index of a point given as ``z=, y=, x=``, ``voxel=`` or ``lps=``.

    Parameters
    ----------
    image : xarray.DataArray
        Any subset of dims z, y, x.
    point : mapping
        ``z``, ``y``, ``x``: coordinates in mm; or ``voxel``: indices (z, y, x); or ``lps``: patient
        millimetres (x, y, z).
    """
    axes = [axis for axis in SPACE if axis in image.dims]
    if "voxel" in point:
        return _checked_voxel(image, axes, point["voxel"])
    if "lps" in point:
        return _nearest_to_lps(grid_of(image), point["lps"])
    missing = [axis for axis in axes if axis not in point and image.sizes[axis] > 1]
    if missing or set(point) - set(SPACE):
        given = ", ".join(point) or "nothing"
        raise InputError(
            f"a point needs {', '.join(axes)}; given: {given}",
            kind="bad-point",
            fix="give z=, y=, x= (mm), voxel=(z, y, x) or lps=(x, y, z)",
        )
    grid = grid_of(image)
    triple = (
        float(point.get("z", grid.z_mm[0])),
        float(point.get("y", grid.y_mm[0])),
        float(point.get("x", grid.x_mm[0])),
    )
    return dict(zip(SPACE, grid.nearest_voxel(triple), strict=True))


def _nearest_to_lps(grid: Grid, lps: Any) -> dict[str, int]:
    numbers = np.atleast_1d(lps)
    if numbers.shape != (3,) or numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        raise InputError(f"lps = {lps!r}", kind="bad-point", fix="give three numbers, x, y, z in mm")
    x, y, z = grid.from_lps(numbers[np.newaxis])[0]
    try:
        return dict(zip(SPACE, grid.nearest_voxel((z, y, x)), strict=True))
    except InputError as error:
        # Of an oblique image the axes say nothing to who thinks in patient coordinates.
        corners = grid.to_lps(
            list(itertools.product(*((a[0], a[-1]) for a in (grid.x_mm, grid.y_mm, grid.z_mm))))
        )
        spans = zip("LPS", corners.min(0), corners.max(0), strict=True)
        raise InputError(
            f"lps = {', '.join(f'{value:g}' for value in numbers)} lies outside the image",
            kind="point-outside",
            why="; ".join(f"{name} runs from {low:g} to {high:g}" for name, low, high in spans),
            fix="give a point inside, in patient millimetres",
        ) from error


def _checked_voxel(image: xr.DataArray, axes: Sequence[str], voxel: Any) -> dict[str, int]:
    indices = [int(value) for value in np.atleast_1d(voxel)]
    if len(indices) != len(axes) or any(
        not 0 <= i < image.sizes[a] for i, a in zip(indices, axes, strict=False)
    ):
        raise InputError(
            f"voxel={tuple(indices)} lies outside the image",
            kind="point-outside",
            why=f"the image has {', '.join(f'{image.sizes[a]} along {a}' for a in axes)}",
        )
    return dict(zip(axes, indices, strict=True))


def label_at(labels: xr.DataArray, **point: Any) -> Any:
    """Return the label at a point, per time point where there are several.

    Parameters
    ----------
    labels : xarray.DataArray
        Label image.
    **point
        ``z=, y=, x=`` in mm, ``voxel=(z, y, x)`` or ``lps=(x, y, z)``.

    Returns
    -------
    int or xarray.DataArray
        0 is background.
    """
    found = labels.isel({k: v for k, v in voxel_at(labels, point).items() if k in labels.dims})
    # One block of its own: only the chunks of these few voxels are read.
    values = np.asarray(
        view(lift(found).node, tuple((n,) for n in found.shape)).compute(scheduler=scheduler_of_arrays())
    )
    if values.ndim == 0:
        return int(values)
    dim = str(found.dims[0])
    coords = {dim: found.coords[dim]} if dim in found.coords else None
    return xr.DataArray(values, dims=found.dims, coords=coords, name="label")


@dataclass(frozen=True)
class _Overlaps:
    """Task: how many voxels each pair of labels of consecutive frames shares."""

    time_axis: int

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, Columns]]:
        first, second = (np.moveaxis(array, self.time_axis, 0) for array in arrays)
        start = box[self.time_axis][0]
        return [(start + i, _shared(a, b)) for i, (a, b) in enumerate(zip(first, second, strict=True))]


def _shared(first: Array, second: Array) -> Columns:
    both = (first > 0) & (second > 0)
    mine, theirs = (labels[both].astype(np.int64) for labels in (first, second))
    # Runs of the same pair as one, for sorting takes long.
    new = np.ones(len(mine), bool)
    new[1:] = (mine[1:] != mine[:-1]) | (theirs[1:] != theirs[:-1])
    starts = np.flatnonzero(new)
    return merge_counts([(mine[starts], theirs[starts], np.diff(starts, append=len(mine)))])


def follow(labels: xr.DataArray, at: Mapping[str, Any], table: xr.Dataset | None = None) -> Any:
    """Follow one object through time by largest overlap with the frame before.

    Parameters
    ----------
    labels : xarray.DataArray
        Label image with a time dimension, labelled per time point.
    at : mapping
        A point inside the object: ``z, y, x`` in mm, ``voxel`` or ``lps``; optionally ``t``, the
        index of the time point it is given for (0 by default).
    table : xarray.Dataset, optional
        What :func:`chunkmed.measures` gave for these labels.

    Returns
    -------
    xarray.DataArray or xarray.Dataset
        Without a table a mask of the object (uint8, lazy); with one the object's row per time
        point, dims (t), with its labels as coordinate ``label``. NaN, with a warning, where lost.

    Raises
    ------
    InputError
        If the point is background at its time point.

    Examples
    --------
    >>> import numpy as np, chunkmed as cm
    >>> import chunkmed.ndimage as ndi
    >>> frames = np.array([[1, 1, 0, 0, 1], [0, 1, 1, 0, 1]], np.uint8).reshape(2, 1, 1, 5)
    >>> labels, n = ndi.label(cm.open(frames, spacing_mm=(5.0, 1.0, 1.0)))
    >>> follow(labels, at={"voxel": (0, 0, 0)}).values[:, 0, 0].tolist()
    [[1, 1, 0, 0, 0], [0, 1, 1, 0, 0]]
    """
    point = _checked_point(at)
    start = int(point.pop("t", 0))
    if table is not None and "number" in table.coords:
        # Labels that have names: they are followed by their numbers.
        table = table.assign_coords(label=table["number"].values).drop_vars("number")
    if time_dim_of(labels) is None:
        only = _label_of(label_at(labels, **point), point)
        return _as_mask(labels, xr.DataArray(only)) if table is None else table.sel(label=only)
    dim = str(time_dim_of(labels))
    if not 0 <= start < labels.sizes[dim]:
        raise InputError(f"there is no time point {start}", kind="point-outside")
    first = _label_of(label_at(labels.isel({dim: start}), **point), point)
    names = _chain(_all_overlaps(labels, dim), labels.sizes[dim], start, first)
    coords = {dim: labels.coords[dim]} if dim in labels.coords else None
    found = xr.DataArray(names, dims=[dim], coords=coords, name="label")
    _warn_if_lost(found, dim)
    return _as_mask(labels, found) if table is None else _rows(table, found, dim)


def _checked_point(at: Any) -> dict[str, Any]:
    """Return a point as a mapping; bare numbers do not say whether they are voxels or millimetres."""
    if isinstance(at, Mapping):
        return dict(at)
    raise InputError(
        f"at={at!r} is no point",
        kind="bad-point",
        fix='give at={"voxel": (z, y, x)}, at={"lps": (x, y, z)} or at={"z": ..., "y": ..., "x": ...} (mm)',
    )


def _label_of(label: int, point: Mapping[str, Any]) -> int:
    if label == 0:
        where = ", ".join(f"{key}={value}" for key, value in point.items())
        raise InputError(
            f"the point ({where}) lies on background",
            kind="point-on-background",
            fix="give a point inside the object, or t= of a frame where it is",
        )
    return int(label)


def _all_overlaps(labels: xr.DataArray, dim: str) -> list[tuple[Array, Array]]:
    """Return the pairs of labels and their shared voxels for each step in time."""
    lifted = lift(labels)
    axis, steps = labels.dims.index(dim), labels.sizes[dim] - 1
    if steps < 1:
        return []
    every = tuple(range(labels.ndim))
    spans = [list(whole(lifted.node.shape)) for _ in range(2)]
    spans[0][axis], spans[1][axis] = (0, steps), (1, steps + 1)
    nodes = tuple(Crop(lifted.node, tuple(span), every) for span in spans)
    parts: list[list[Columns]] = [[] for _ in range(steps)]
    # Pairs of labels as int64 where both frames hold one, and what sorting them takes.
    program = make_program(nodes, sink_bytes=40)
    for _, result in program.run(_Overlaps(axis), name="following"):
        for t, columns in result:
            parts[t].append(columns)
    merged = [merge_counts(found) for found in parts]
    return [(np.stack([mine, theirs], axis=1), counts) for mine, theirs, counts in merged]


def _chain(overlaps: Sequence[tuple[Array, Array]], times: int, start: int, first: int) -> Array:
    """Return the object's label at every time point, forwards and backwards from the start."""
    names = np.full(times, _LOST, dtype=np.int64)
    names[start] = first
    for t in range(start, times - 1):
        names[t + 1] = _successor(*overlaps[t], int(names[t]), column=0)
    for t in range(start, 0, -1):
        names[t - 1] = _successor(*overlaps[t - 1], int(names[t]), column=1)
    return names


def _successor(pairs: Array, counts: Array, name: int, column: int) -> int:
    mine = pairs[:, column] == name
    if name == _LOST or not mine.any():
        return _LOST
    # Of equal overlaps the lowest label wins: pairs are sorted.
    return int(pairs[mine][np.argmax(counts[mine]), 1 - column])


def _warn_if_lost(names: xr.DataArray, dim: str) -> None:
    lost = np.flatnonzero(names.values == _LOST)
    if len(lost):
        message = f"the object is lost at {len(lost)} of {names.sizes[dim]} time points, first at {lost[0]}"
        warnings.warn(message, UserWarning, stacklevel=3)


def _as_mask(labels: xr.DataArray, names: xr.DataArray) -> xr.DataArray:
    # -1 is no label: lost frames come out empty.
    wanted = names.where(names != _LOST, -1).astype(np.int64).drop_vars(list(names.coords))
    mask = (labels == wanted).transpose(*labels.dims).astype(np.uint8)
    mask.name = "followed"
    return mask


def _rows(table: xr.Dataset, names: xr.DataArray, dim: str) -> xr.Dataset:
    rows = [_row(table.isel({dim: t}), int(name)) for t, name in enumerate(names.values)]
    out = xr.concat(rows, dim=dim)
    return out.assign_coords(label=(dim, names.values))


def _row(frame: xr.Dataset, name: int) -> xr.Dataset:
    if name == _LOST:
        blank = frame.isel(label=0, drop=True)
        # NaN would make objects of what is so or not.
        return blank.map(lambda v: xr.zeros_like(v) if v.dtype == bool else v.where(False), keep_attrs=True)
    return frame.sel(label=name).drop_vars("label")
