"""Surface area of objects from the neighbours of their voxels, and which voxels lie at the surface.

The area follows from how often lines through the voxels in 13 directions cross the surface (Crofton's
formula), each direction weighted by the part of the sphere that is nearest to it: G. Lehmann & D. Legland,
"Efficient N-dimensional surface estimation using Crofton formula and run-length encoding", Insight Journal
(2012); D. Legland, K. Kiêu & M.-F. Devaux, Image Anal. Stereol. 26 (2007) 83-92.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import kernel, part

__all__ = ["crofton_weights", "surface_elements", "surface_labels"]


def crofton_weights(spacing_mm: Sequence[float]) -> tuple[float, ...]:
    """Return the area in mm2 that each of the 27 neighbours stands for where it is no part of the object.

    Parameters
    ----------
    spacing_mm : sequence of float
        Steps along z, y, x.

    Returns
    -------
    tuple of float
        In C order of the steps (-1, -1, -1) to (1, 1, 1); 0 for the voxel itself.
    """
    # Here, for it takes time to import and few measure surfaces.
    from scipy.spatial import SphericalVoronoi

    steps = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]
    vectors = np.array(steps) * np.asarray(spacing_mm, np.float64)
    lengths = np.linalg.norm(vectors, axis=1)
    parts = SphericalVoronoi(vectors / lengths[:, None]).calculate_areas() / (4 * np.pi)
    # Lines of one direction lie one per volume / length of the plane across them, and a surface shows half of
    # itself in the mean over all directions. A line is crossed by +step and by -step, each its own neighbour.
    weights = 4 * parts * float(np.prod(np.asarray(spacing_mm, np.float64))) / lengths
    found = dict(zip(steps, weights.tolist(), strict=True))
    return tuple(found.get(step, 0.0) for step in itertools.product((-1, 0, 1), repeat=3))


def surface_elements(labels: Array, weights: Sequence[float]) -> Array:
    """Return the part of its object's surface that each voxel stands for, mm2.

    Parameters
    ----------
    labels : ndarray of integers or bool, shape (..., z, y, x)
        0 is background, and so is what lies outside.
    weights : sequence of 27 floats
        As :func:`crofton_weights` gives them.

    Returns
    -------
    ndarray of float32
        Of the same shape; 0 in the background.
    """
    wide = labels.dtype.itemsize > 4 or labels.dtype == np.uint32
    frames = labels.reshape(-1, *labels.shape[-3:])
    out = np.zeros(frames.shape, np.float32)
    table = np.asarray(weights, np.float32).reshape(9, 3)
    for frame, result in zip(frames, out, strict=True):
        padded = np.zeros([n + 2 for n in frame.shape], np.int64 if wide else np.int32)
        padded[1:-1, 1:-1, 1:-1] = frame
        _elements(padded, table, result)
    return out.reshape(labels.shape)


@kernel
def _elements(padded, table, out):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            mine, row = padded[i + 1, j + 1, 1:-1], out[i, j]
            if not _any(mine):
                continue
            for near in range(9):
                weights = table[near]
                other = padded[i + near // 3, j + near % 3]
                _differ(mine, other, weights[0], weights[1], weights[2], row)
            _erase(mine, row)


@part
def _any(line):  # type: ignore[no-untyped-def] # pragma: no cover
    found = line[0] * 0
    for value in line:
        found |= value
    return found != 0


@part
def _differ(mine, other, before, at, after, out):  # type: ignore[no-untyped-def] # pragma: no cover
    zero = np.float32(0)
    left, middle, right = other[: len(mine)], other[1 : len(mine) + 1], other[2 : len(mine) + 2]
    for k in range(len(mine)):
        value = mine[k]
        out[k] += before if left[k] != value else zero
        out[k] += at if middle[k] != value else zero
        out[k] += after if right[k] != value else zero


@part
def _erase(mine, out):  # type: ignore[no-untyped-def] # pragma: no cover
    for k in range(len(mine)):
        out[k] = out[k] if mine[k] != 0 else np.float32(0)


def surface_labels(labels: Array, axes: Sequence[int]) -> Array:
    """Return the labels of voxels that have a neighbour of another label across a face; 0 elsewhere.

    Parameters
    ----------
    labels : ndarray of integers
        0 is background, and so is what lies outside.
    axes : sequence of int
        Axes that have faces.
    """
    at_surface = np.zeros(labels.shape, bool)
    for axis in axes:
        lined, marks = np.moveaxis(labels, axis, 0), np.moveaxis(at_surface, axis, 0)
        differs = lined[1:] != lined[:-1]
        marks[1:] |= differs
        marks[:-1] |= differs
        marks[0] = marks[-1] = True
    return np.where(at_surface, labels, labels.dtype.type(0))
