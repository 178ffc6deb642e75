"""Distances between the surfaces of two label images, exact in mm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from chunkmed.compare.pairs import Pair, pair_of, table_of
from chunkmed.graph.box import Box
from chunkmed.graph.nodes import Array, Call, Node, Stencil
from chunkmed.graph.passes import make_program
from chunkmed.graph.reduce import Axes
from chunkmed.kernels.distinct import distinct
from chunkmed.kernels.surfaces import surface_labels
from chunkmed.measures.about import About

__all__ = ["surface_distances"]

#: Label and index (int64) of a voxel at the surface.
_ROW_BYTES = 16
_NAMES = ("mean_surface_distance_mm", "hausdorff_mm", "hausdorff_95_mm")


def surface_distances(labels: xr.DataArray, reference: xr.DataArray) -> xr.Dataset:
    """Return how far the surfaces of each label lie apart, in mm.

    The surface of a label is made of its voxels that have a neighbour of another label, or the outside
    of the image, across a face; distances are those between voxel centres, in patient space: exact for
    uneven slices and tilted gantries too. Both images are read once; memory is that of the voxels at the
    surfaces (some 100 bytes each), not of the volume.

    Parameters
    ----------
    labels, reference : xarray.DataArray
        Integers, 0 is background; a mask counts as label 1. On the same grid; dims (t, z, y, x) or fewer.

    Returns
    -------
    xarray.Dataset
        Dims (t, label), or (label) without time. ``mean_surface_distance_mm``: mean over the voxels of
        both surfaces of the distance to the other one. ``hausdorff_mm``: the largest of these.
        ``hausdorff_95_mm``: the larger of the 95th percentiles of the two directions (D. P. Huttenlocher
        et al., IEEE PAMI 15 (1993) 850-863). NaN where one image has no such label.

    Raises
    ------
    InputError
        For images that are no labels, grids that differ, or images without millimetres.

    Examples
    --------
    >>> import numpy as np, chunkmed as cm
    >>> first, second = np.zeros((2, 1, 3, 8, 8), np.uint8)
    >>> first[0, 1, 2:6, 2:6], second[0, 1, 2:6, 3:7] = 1, 1
    >>> first, second = (cm.open(each, spacing_mm=(5.0, 1.0, 1.0)) for each in (first, second))
    >>> print(surface_distances(first, second).hausdorff_mm.values)
    [[1.]]
    """
    pair = pair_of(labels, reference)
    _ = pair.about.solid_grid if not pair.about.is_flat else pair.about.known_grid
    pair.about.check_slices()
    names, rows = [], []
    for first, second in _surfaces(pair):
        every = np.union1d(first.names, second.names)
        names.append(every)
        found = [_distances(first.points(k, pair.about), second.points(k, pair.about)) for k in every]
        rows.append(np.array(found).reshape(-1, 3))
    return table_of(pair, names, {name: ("mm", [row[:, i] for row in rows]) for i, name in enumerate(_NAMES)})


@dataclass(frozen=True)
class _Surface:
    """Voxels at the surfaces of one image at one time point, by label."""

    label: Array
    at: Array
    """C-order index in the volume."""

    @property
    def names(self) -> Array:
        """Labels that there are."""
        return distinct(self.label)

    def points(self, name: int, about: About) -> Array:
        """Return patient positions in mm, (n, 3)."""
        first, stop = np.searchsorted(self.label, [name, name + 1])
        grid = about.known_grid
        indices = np.unravel_index(self.at[first:stop], about.axes.volume)
        z, y, x = (np.asarray(p)[i] for p, i in zip((grid.z_mm, grid.y_mm, grid.x_mm), indices, strict=True))
        return grid.to_lps(np.stack([x, y, z], axis=1))


def _distances(first: Array, second: Array) -> tuple[float, float, float]:
    if not len(first) or not len(second):
        return np.nan, np.nan, np.nan
    # Here, for it takes time to import.
    from scipy.spatial import cKDTree

    there, back = cKDTree(second).query(first)[0], cKDTree(first).query(second)[0]
    mean = (there.sum() + back.sum()) / (len(there) + len(back))
    ninety_fifth = max(np.percentile(there, 95), np.percentile(back, 95))
    return float(mean), float(max(there.max(), back.max())), float(ninety_fifth)


@dataclass(frozen=True)
class _Collect:
    """Task: labels and indices of the voxels at surfaces, by time point and image."""

    axes: Axes

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, int, Array, Array]]:
        start, corner = self.axes.span(box)
        out = []
        for image, array in enumerate(arrays):
            for t, frame in enumerate(self.axes.frames(array)):
                inside = np.nonzero(frame > 0)
                place = tuple(i + c for i, c in zip(inside, corner, strict=True))
                at = np.ravel_multi_index(place, self.axes.volume)
                out.append((start + t, image, frame[inside].astype(np.int64), at))
        return out


def _surfaces(pair: Pair) -> list[tuple[_Surface, _Surface]]:
    axes = pair.about.axes
    nodes = [_at_surface(node, axes) for node in (pair.labels, pair.reference)]
    parts: list[tuple[list[_Surface], list[_Surface]]] = [([], []) for _ in range(axes.times)]
    for _, result in make_program(nodes, sink_bytes=2 * _ROW_BYTES).run(_Collect(axes), name="surfaces"):
        for t, image, label, at in result:
            parts[t][image].append(_Surface(label, at))
    return [(_sorted(first), _sorted(second)) for first, second in parts]


def _at_surface(node: Node, axes: Axes) -> Node:
    depth = [int(axis in axes.space) for axis in range(len(node.shape))]
    # An axis of one voxel has no neighbours, and its faces are no surface.
    longer = [axis for axis in axes.space if node.shape[axis] > 1]
    call = Call(surface_labels, {"axes": tuple(longer)})
    return Stencil(call, [node], depth, node.dtype, workspace=2.0, cost_ns=3.0)


def _sorted(parts: Sequence[_Surface]) -> _Surface:
    label, at = (np.concatenate([getattr(part, name) for part in parts]) for name in ("label", "at"))
    order = np.argsort(label, kind="stable")
    return _Surface(label[order], at[order])
