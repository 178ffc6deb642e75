"""Overlap of two label images: Dice, Jaccard, difference of volumes, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from chunkmed.compare.pairs import Pair, pair_of, table_of
from chunkmed.errors import InputError
from chunkmed.graph.box import Box
from chunkmed.graph.nodes import Array
from chunkmed.graph.passes import make_program
from chunkmed.graph.reduce import Axes, Merged, copied_bytes
from chunkmed.kernels.groups import groups_of
from chunkmed.kernels.joined import merge_moments
from chunkmed.kernels.moments import Moments, block_moments
from chunkmed.measures.about import About
from chunkmed.measures.gathering import slices_of
from chunkmed.measures.parts import Found
from chunkmed.measures.places import volume_mm3
from chunkmed.names import nearest

__all__ = ["dice", "jaccard", "overlap", "volume_difference_ml"]

_WHAT = ("dice", "jaccard", "volume_difference_ml")


def overlap(
    labels: xr.DataArray, reference: xr.DataArray, what: str | Sequence[str] | None = None
) -> xr.Dataset:
    """Compare two label images label by label, in one pass over both.

    Parameters
    ----------
    labels, reference : xarray.DataArray
        Integers, 0 is background; a mask counts as label 1. On the same grid; dims (t, z, y, x) or fewer.
    what : str or sequence of str, optional
        Of ``dice``, ``jaccard``, ``volume_difference_ml``; the last only where asked for or where the
        images have millimetres.

    Returns
    -------
    xarray.Dataset
        Dims (t, label), or (label) without time; a row for each label that either image has. ``dice``:
        twice the common voxels over the voxels of both, 0 to 1. ``jaccard``: common voxels over those of
        either. ``volume_difference_ml``: of ``labels`` less that of ``reference``. NaN where neither image
        has the label at that time.

    Raises
    ------
    InputError
        For images that are no labels, grids that differ, or millimetres that the images do not have.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> first, second = (xr.DataArray(np.array(row), dims="x") for row in ([1, 1, 0, 2], [0, 1, 1, 2]))
    >>> overlap(first, second).dice.values.tolist()
    [0.5, 1.0]
    """
    pair = pair_of(labels, reference)
    wanted = [what] if isinstance(what, str) else what
    names = list(wanted) if wanted is not None else [*_WHAT[:2], *_WHAT[2 : 2 + _has_volumes(pair.about)]]
    if unknown := [name for name in names if name not in _WHAT]:
        raise InputError(f"there is no {unknown[0]!r}", kind="no-measure", fix=nearest(unknown[0], _WHAT))
    if "volume_difference_ml" in names:
        # Refuse before reading anything.
        volume_mm3(Found(Moments.empty(), {}), pair.about)
    rows = [_Rows(*tables) for tables in _tables(pair)]
    columns = {
        name: ("ml" if name.endswith("_ml") else "1", [row.column(name, pair.about) for row in rows])
        for name in names
    }
    return table_of(pair, [row.names for row in rows], columns)


def dice(labels: xr.DataArray, reference: xr.DataArray) -> xr.DataArray:
    """Return the Dice coefficient of each label, dims (t, label); see :func:`overlap`.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> first, second = (xr.DataArray(np.array(row), dims="x") for row in ([1, 1, 0, 2], [0, 1, 1, 2]))
    >>> dice(first, second).values.tolist()
    [0.5, 1.0]
    """
    return overlap(labels, reference, ["dice"])["dice"]


def jaccard(labels: xr.DataArray, reference: xr.DataArray) -> xr.DataArray:
    """Return the Jaccard index of each label, dims (t, label); see :func:`overlap`.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> first, second = (xr.DataArray(np.array(row), dims="x") for row in ([1, 1, 0, 2], [0, 1, 1, 2]))
    >>> jaccard(first, second).values.round(2).tolist()
    [0.33, 1.0]
    """
    return overlap(labels, reference, ["jaccard"])["jaccard"]


def volume_difference_ml(labels: xr.DataArray, reference: xr.DataArray) -> xr.DataArray:
    """Return how much larger each label is than in the reference, ml; see :func:`overlap`.

    Examples
    --------
    >>> import numpy as np, chunkmed as cm
    >>> more = np.ones((1, 2, 10, 10), np.uint8)
    >>> less = more * (np.arange(10) < 5)
    >>> first, second = (cm.open(each, spacing_mm=(5.0, 1.0, 1.0)) for each in (more, less))
    >>> volume_difference_ml(first, second).values.tolist()
    [[0.5]]
    """
    return overlap(labels, reference, ["volume_difference_ml"])["volume_difference_ml"]


def _has_volumes(about: About) -> bool:
    grid = about.grid
    sized = grid is not None and grid.known and (len(grid.z_mm) > 1 or grid.thickness_mm is not None)
    return sized and about.whole_slices and min(about.axes.volume[1:]) > 1


@dataclass(frozen=True)
class _Count:
    """Task: sizes of the labels of both images and of what they share, by time point."""

    axes: Axes
    slices: Array

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, list[Moments]]]:
        start, corner = self.axes.span(box)
        place = corner, self.axes.volume, self.slices[corner[0] :]
        first, second = (self.axes.frames(array) for array in arrays)
        out = []
        for t, (one, other) in enumerate(zip(first, second, strict=True)):
            both = np.where(one == other, one, one.dtype.type(0))
            groups = [groups_of(image, background=False) for image in (one, other, both)]
            out.append((start + t, [block_moments(each, None, *place) for each in groups]))
        return out


def _tables(pair: Pair) -> list[list[Moments]]:
    """Return the sizes in labels, reference and both, by time point."""
    axes = pair.about.axes
    nodes = (pair.labels, pair.reference)
    copied = 2 * sum(copied_bytes(node.dtype) for node in nodes) + pair.labels.dtype.itemsize
    merged = [[Merged(merge_moments) for _ in range(3)] for _ in range(axes.times)]
    task = _Count(axes, slices_of(pair.about))
    for _, result in make_program(nodes, sink_bytes=copied).run(task, name="comparing"):
        for t, tables in result:
            for target, table in zip(merged[t], tables, strict=True):
                target.add(table)
    return [[each.result.objects for each in three] for three in merged]


@dataclass(frozen=True)
class _Rows:
    """Sizes in both images at one time point."""

    labels: Moments
    reference: Moments
    both: Moments

    @property
    def names(self) -> Array:
        """Labels that either has."""
        return np.union1d(self.labels.label, self.reference.label)

    def column(self, name: str, about: About) -> Array:
        """Return one measure of agreement."""
        if name == "volume_difference_ml":
            tables = self.labels, self.reference
            one, other = (self._all(table, volume_mm3(Found(table, {}), about)) for table in tables)
            return np.asarray(one - other) / 1000
        every = self.labels, self.reference, self.both
        one, other, both = (self._all(table, table.count) for table in every)
        return np.asarray(2 * both / (one + other) if name == "dice" else both / (one + other - both))

    def _all(self, table: Moments, values: Array) -> Array:
        """Return the values of all labels; 0 where one is absent."""
        out = np.zeros(len(self.names))
        out[np.searchsorted(self.names, table.label)] = values
        return out
