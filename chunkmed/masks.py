"""Masks: thresholds, regions, and which objects to keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from chunkmed import intensity, ndimage
from chunkmed.coords import SPACE, canonical, check_grid, spacing_of
from chunkmed.errors import InputError
from chunkmed.graph.box import Box
from chunkmed.graph.lift import lift
from chunkmed.graph.lookup import Remap
from chunkmed.graph.nodes import Array, Source
from chunkmed.graph.reduce import Axes, label_statistics
from chunkmed.kernels.moments import Moments
from chunkmed.padding import counted
from chunkmed.provenance import content_hash
from chunkmed.tracking import voxel_at
from chunkmed.units import to_voxels

__all__ = ["clear_border", "keep_largest", "region", "threshold"]


def threshold(
    image: xr.DataArray,
    above: float | str | None = None,
    below: float | str | None = None,
    where: xr.DataArray | None = None,
    padding: str = "exclude",
) -> xr.DataArray:
    """Return the voxels whose value is above and/or below a level.

    Parameters
    ----------
    image : xarray.DataArray
        Values.
    above, below : float or "otsu", optional
        Levels, not included themselves; "otsu" finds one for the whole image (inside ``where``).
    where : xarray.DataArray, optional
        Mask that the result is limited to.
    padding : {"exclude", "include"}, optional
        Whether voxels outside the scanner's field of view (``image.cm.valid``) can belong to it.

    Returns
    -------
    xarray.DataArray
        bool, lazy.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> threshold(xr.DataArray(np.array([1, 5, 9]), dims="x"), above=2, below=9).values.tolist()
    [False, True, False]
    """
    if above is None and below is None:
        raise InputError("a threshold needs a level", kind="no-level", fix="give above= or below=")
    if where is not None:
        check_grid(image, where, "the mask")
    chosen = counted(image, where, padding)
    mask: xr.DataArray | None = chosen.astype(bool) if chosen is not None else None
    for level, compare in ((above, np.greater), (below, np.less)):
        if level is not None:
            part: Any = compare(image, _level(image, level, where, padding))
            mask = part if mask is None else mask & part
    assert mask is not None  # noqa: S101 - a level was given
    return mask.transpose(*image.dims)


def _level(image: xr.DataArray, level: float | str, where: xr.DataArray | None, padding: str) -> float:
    if level == "otsu":
        return float(intensity.otsu(image, where, padding=padding))
    if isinstance(level, str):
        raise InputError(f"{level!r} is not a level", kind="bad-level", fix='give a number or "otsu"')
    return level


def region(image: xr.DataArray, at: Mapping[str, Any], radius: Any) -> xr.DataArray:
    """Return the ellipsoid around a point, at every time point.

    Parameters
    ----------
    image : xarray.DataArray
        Where the region lies.
    at : mapping
        Centre: ``z, y, x`` in mm, ``voxel`` or ``lps``.
    radius : float, str or sequence of three
        Semi-axes along z, y, x in voxels, or in mm as text ("40 mm").

    Returns
    -------
    xarray.DataArray
        bool, lazy.
    """
    axes = [axis for axis in SPACE if axis in image.dims]
    center = voxel_at(image, {key: value for key, value in at.items() if key != "t"})
    given = [radius] * len(axes) if isinstance(radius, str | int | float) else list(radius)
    if len(given) != len(axes):
        raise InputError(f"radius has {len(given)} values for {len(axes)} axes", kind="sequence-length")
    mm = any(isinstance(value, str) for value in given)
    spacing = spacing_of(image) if mm else dict.fromkeys(axes, 1.0)
    parts: dict[str, Array] = {}
    for axis, value in zip(axes, given, strict=True):
        reach = to_voxels(value, spacing[axis])
        if reach <= 0:
            raise InputError(f"radius = {radius}", kind="bad-radius", fix="give a positive length")
        parts[axis] = (_steps_from(image, axis, center[axis], mm, spacing[axis]) / reach) ** 2
    lifted = lift(image)
    reader = _Ellipsoid([parts.get(str(dim), np.zeros(image.sizes[dim])) for dim in image.dims])
    out: xr.DataArray = lifted.lower(Source(reader), name="region")
    out.attrs = {}
    return out


class _Ellipsoid:
    """A mask that is computed from one vector per axis: voxels whose sum is at most 1."""

    def __init__(self, parts: Sequence[Array]) -> None:
        self.parts = list(parts)
        self.shape = self.chunks = tuple(len(part) for part in parts)
        self.dtype = np.dtype(bool)
        self.token = content_hash("ellipsoid", [part.tolist() for part in parts])

    def read(self, box: Box) -> Array:
        """Return the mask of a box."""
        cuts = [part[start:stop] for part, (start, stop) in zip(self.parts, box, strict=True)]
        out = np.empty([len(cut) for cut in cuts], dtype=bool)
        *leading, last = cuts
        # Row by row: the sums are eight times the size of the mask.
        for index in np.ndindex(*out.shape[:-1]):
            rest = sum(cut[i] for cut, i in zip(leading, index, strict=True))
            out[index] = last + rest <= 1
        return out


def _steps_from(image: xr.DataArray, axis: str, index: int, mm: bool, spacing_mm: float) -> Array:
    """Return the distance of each plane to one of them, in mean steps."""
    if mm:
        # True positions, so that uneven slices count with their real distance.
        positions = image.coords[axis].values
        return np.asarray(positions - positions[index]) / spacing_mm
    return np.arange(image.sizes[axis]) - index


def keep_largest(image: xr.DataArray, count: int = 1) -> xr.DataArray:
    """Keep the largest objects of each time point, numbered from the largest on.

    Parameters
    ----------
    image : xarray.DataArray
        A label image, or a mask that is labelled first (faces connect).
    count : int
        How many to keep; of equal sizes the lower label wins.

    Returns
    -------
    xarray.DataArray
        Labels 1 (largest) to ``count``, lazy.
    """
    if count < 1:
        raise InputError(f"count = {count}", kind="bad-count", fix="give at least 1")

    def table(objects: Moments, _: Axes) -> Array:
        order = np.lexsort((objects.label, -objects.count))[:count]
        out = np.zeros(int(objects.label.max(initial=0)) + 1, np.int32)
        out[objects.label[order]] = np.arange(1, len(order) + 1)
        return out

    return _chosen(image, table)


def clear_border(image: xr.DataArray, axes: Sequence[str] | None = None) -> xr.DataArray:
    """Remove the objects that touch the border of the image.

    Parameters
    ----------
    image : xarray.DataArray
        A label image, or a mask that is labelled first (faces connect).
    axes : sequence of str, optional
        Axes whose border counts, all of z, y, x by default. ``("y", "x")`` keeps objects that are
        cut by the first or last slice only.

    Returns
    -------
    xarray.DataArray
        A mask for a mask, labels under their old numbers for labels; lazy.
    """
    present = [str(dim) for dim in image.dims if dim in SPACE]
    chosen = present if axes is None else list(axes)
    if unknown := [axis for axis in chosen if axis not in present]:
        raise InputError(f"there is no axis {unknown[0]!r}", kind="bad-axis", why=f"dims are {image.dims}")
    columns = [SPACE.index(axis) for axis in chosen]

    def table(objects: Moments, grid: Axes) -> Array:
        sizes = np.asarray(grid.volume)
        touching = ((objects.start == 0) | (objects.stop == sizes))[:, columns].any(axis=1)
        inner = objects.label[~touching]
        out = np.zeros(
            int(objects.label.max(initial=0)) + 1, image.dtype if image.dtype != bool else np.int32
        )
        out[inner] = inner
        return out

    cleared = _chosen(image, table)
    return cleared > 0 if image.dtype == bool else cleared


def _chosen(image: xr.DataArray, table: Any) -> xr.DataArray:
    """Return the labels that a table of each time point's objects keeps."""
    image = canonical(image)
    labels = ndimage.label(image)[0] if image.dtype == bool else image
    lifted = lift(labels).one_channel()
    grid = Axes(lifted.node.shape, lifted.time_axis, lifted.space_axes)
    found = label_statistics(lifted.node, None, grid, name="sizing objects")
    tables = [table(part.objects, grid) for part in found]
    out: xr.DataArray = lifted.lower(Remap(lifted.node, tables, lifted.time_axis), name="labels")
    return out
