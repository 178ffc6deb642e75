"""Which objects of a mask or a label image to keep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from chunkmed import ndimage
from chunkmed.coords import SPACE, canonical
from chunkmed.errors import InputError
from chunkmed.graph.components import Components
from chunkmed.graph.nodes import Array
from chunkmed.graph.reduce import Axes
from chunkmed.kernels.moments import Moments
from chunkmed.masks.components import chosen_components, chosen_labels, space_axes_of
from chunkmed.masks.sizes import has_even_voxels, least_voxels, space_of, volume_limit
from chunkmed.measures import measure
from chunkmed.units import is_whole

__all__ = ["clear_border", "keep_largest", "remove_small"]


def keep_largest(image: xr.DataArray, count: int = 1, connectivity: int = 1) -> xr.DataArray:
    """Keep the largest objects of each time point, numbered from the largest on.

    Sizes are counted at once, in one pass over the image; the labels are lazy.

    Parameters
    ----------
    image : xarray.DataArray
        A label image, or a mask that is labelled first.
    count : int
        How many to keep; of equal sizes the lower label wins.
    connectivity : int, optional
        Of a mask: 1 connects over faces, 2 over edges too, 3 over corners too.

    Returns
    -------
    xarray.DataArray
        Labels 1 (largest) to ``count``, lazy.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> mask = xr.DataArray(np.array([1, 0, 1, 1, 1, 0, 1, 1]) > 0, dims="x")
    >>> keep_largest(mask, 2).values.tolist()
    [0, 0, 1, 1, 1, 0, 2, 2]
    """
    if not is_whole(count) or count < 1:
        raise InputError(f"count = {count!r}", kind="bad-count", fix="give a whole number of at least 1")

    def table(objects: Moments, _: Axes) -> Array:
        order = np.lexsort((objects.label, -objects.count))[:count]
        out = np.zeros(int(objects.label.max(initial=0)) + 1, np.int32)
        out[objects.label[order]] = np.arange(1, len(order) + 1)
        return out

    def ranks(found: Components, apart: int | None) -> Array:
        return _ranks(found, apart, count)

    if image.dtype != bool:
        return chosen_labels(image, table)
    return chosen_components(canonical(image), ranks, f"largest {count}", connectivity=connectivity)


def _ranks(found: Components, apart: int | None, count: int) -> Array:
    """Return the rank of each local label's component in its time point; 0 beyond ``count``."""
    own = np.flatnonzero(found.roots == np.arange(len(found.roots)))
    times = found.times(apart)[own]
    order = np.lexsort((found.firsts[own], -found.sizes[own], times))
    starts = np.searchsorted(times[order], times[order], side="left")
    rank = np.arange(len(own)) - starts + 1
    out = np.zeros(len(found.roots), np.int32)
    out[own[order]] = np.where(rank <= count, rank, 0)
    return out[found.roots]


def remove_small(image: xr.DataArray, size: float | str, connectivity: int = 1) -> xr.DataArray:
    """Remove the objects that are smaller than a size.

    Sizes are counted at once, in one pass over the image; the result is lazy.

    Parameters
    ----------
    image : xarray.DataArray
        A label image, or a mask that is labelled first; per time point.
    size : float or str
        Voxels, or a volume ("2 ml", "50 mm3"; for slices an area, "20 mm2"): what is as large stays.
    connectivity : int, optional
        Of a mask: 1 connects over faces, 2 over edges too, 3 over corners too.

    Returns
    -------
    xarray.DataArray
        A mask for a mask, labels under their old numbers for labels; lazy.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> mask = xr.DataArray(np.array([1, 1, 0, 1, 0, 1, 1, 1]) > 0, dims="x")
    >>> remove_small(mask, 2).values.astype(int).tolist()
    [1, 1, 0, 0, 0, 1, 1, 1]
    """
    if not has_even_voxels(image, size):
        return _without_small_volumes(image, str(size), connectivity)
    least = least_voxels(image, size, space_of(image))
    if image.dtype != bool:
        return chosen_labels(image, lambda objects, _: _kept(objects.label, objects.count >= least, image))
    mask = canonical(image)
    return chosen_components(mask, lambda f, _: f.sizes >= least, f"least {least}", connectivity=connectivity)


def _kept(labels: Array, keep: Array, image: xr.DataArray) -> Array:
    """Return a table that leaves labels as they are or makes them 0."""
    out = np.zeros(int(labels.max(initial=0)) + 1, image.dtype if image.dtype != bool else np.int32)
    out[labels[keep]] = labels[keep]
    return out


def _without_small_volumes(image: xr.DataArray, size: str, connectivity: int) -> xr.DataArray:
    """Remove small objects where slices are unevenly far apart: by what each voxel stands for."""
    labels = canonical(image)
    if image.dtype == bool:
        structure = ndimage.generate_binary_structure(len(space_of(image)), connectivity)
        labels = ndimage.label(labels, structure)[0]
    limit = volume_limit(labels, size)
    table = measure(labels, None, ["volume_mm3"])
    volumes = np.atleast_2d(table["volume_mm3"].values)
    names = table["label"].values
    rows = iter(volumes)
    kept = chosen_labels(labels, lambda *_: _kept(names, next(rows) >= limit, labels))
    return kept > 0 if image.dtype == bool else kept


def clear_border(
    image: xr.DataArray, axes: Sequence[str] | None = None, connectivity: int = 1
) -> xr.DataArray:
    """Remove the objects that touch the border of the image.

    Parameters
    ----------
    image : xarray.DataArray
        A label image, or a mask that is labelled first.
    axes : sequence of str, optional
        Axes whose border counts, all of z, y, x that are longer than one voxel by default. ``("y", "x")``
        keeps objects that are cut by the first or last slice only.
    connectivity : int, optional
        Of a mask: 1 connects over faces, 2 over edges too, 3 over corners too.

    Returns
    -------
    xarray.DataArray
        A mask for a mask, labels under their old numbers for labels; lazy.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> mask = xr.DataArray(np.array([1, 0, 1, 1, 0]) > 0, dims="x")
    >>> clear_border(mask).values.astype(int).tolist()
    [0, 0, 1, 1, 0]
    """
    chosen = space_axes_of(image, axes)
    if image.dtype == bool:
        mask = canonical(image)
        rim = tuple((1, 1) if dim in chosen else (0, 0) for dim in mask.dims)
        return chosen_components(mask, lambda f, _: ~f.marked, "inside", connectivity=connectivity, rim=rim)
    columns = [SPACE.index(axis) for axis in chosen]

    def table(objects: Moments, grid: Axes) -> Array:
        sizes = np.asarray(grid.volume)
        touching = ((objects.start == 0) | (objects.stop == sizes))[:, columns].any(axis=1)
        return _kept(objects.label, ~touching, image)

    return chosen_labels(image, table)
