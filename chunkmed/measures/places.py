"""Measures of where objects lie and how large they are."""

from __future__ import annotations

import numpy as np

from chunkmed.errors import InputError
from chunkmed.graph.nodes import Array
from chunkmed.graph.reduce import positions
from chunkmed.measures.about import About
from chunkmed.measures.parts import Found

__all__ = [
    "bounding_box",
    "center_of_mass",
    "center_of_mass_mm",
    "centroid",
    "centroid_mm",
    "place",
    "place_mm",
    "single_plane",
    "touches_border",
    "volume_mm3",
]


def volume_mm3(found: Found, about: About) -> Array:
    """Return voxels times their volume; each slice with its own depth."""
    grid, table = about.solid_grid, found.moments
    if grid.uniform:
        # Exact for uniform slices: a count times one number.
        return table.count * (grid.spacing_mm[0] * about.in_plane_mm2)
    return table.depth * about.in_plane_mm2


def single_plane(found: Found, about: About) -> Array:
    """Return the pixels of objects of a single slice."""
    if not about.is_flat:
        raise InputError("an area needs a single slice", kind="not-planar", fix="measure a volume")
    return found.moments.count


def centroid(found: Found, about: About) -> Array:
    """Return mean indices."""
    return about.own_axes(found.moments.positions / found.moments.count[:, None])


def center_of_mass(found: Found, about: About) -> Array:
    """Return mean indices weighted by value."""
    table = found.moments
    with np.errstate(divide="ignore", invalid="ignore"):
        return about.own_axes(table.weighted / table.total[:, None])


def _in_mm(indices: Array, heights: Array, about: About) -> Array:
    """Return coordinates z, y, x in mm; heights are exact means of slice positions."""
    about.check_slices()
    grid = about.known_grid
    y, x = (np.interp(indices[:, i], np.arange(len(p)), p) for i, p in ((1, grid.y_mm), (2, grid.x_mm)))
    return about.own_axes(np.stack([heights, y, x], axis=1))


def centroid_mm(found: Found, about: About) -> Array:
    """Return mean coordinates."""
    table = found.moments
    return _in_mm(table.positions / table.count[:, None], table.height / table.count, about)


def center_of_mass_mm(found: Found, about: About) -> Array:
    """Return mean coordinates weighted by value."""
    table = found.moments
    with np.errstate(divide="ignore", invalid="ignore"):
        indices = table.weighted / table.total[:, None]
        return _in_mm(indices, table.weighted_height / table.total, about)


def place(at: Array, about: About) -> Array:
    """Return indices of C-order indices in the volume."""
    return positions(at, about.axes.volume, about.ndim)


def place_mm(at: Array, about: About) -> Array:
    """Return coordinates of C-order indices in the volume."""
    about.check_slices()
    grid = about.known_grid
    indices = np.unravel_index(at, about.axes.volume)
    axes = zip((grid.z_mm, grid.y_mm, grid.x_mm), indices, strict=True)
    return about.own_axes(np.stack([np.asarray(p)[i] for p, i in axes], axis=1))


def bounding_box(found: Found, about: About) -> Array:
    """Return first indices and what follows the last ones, (n, 2, axes)."""
    return np.stack([about.own_axes(found.moments.start), about.own_axes(found.moments.stop)], axis=1)


def touches_border(found: Found, about: About) -> Array:
    """Return whether an object reaches the border of the image, on axes longer than one voxel."""
    volume = np.asarray(about.axes.volume)
    at_border = (found.moments.start == 0) | (found.moments.stop == volume)
    touching: Array = np.any(at_border & (volume > 1), axis=1)
    return touching
