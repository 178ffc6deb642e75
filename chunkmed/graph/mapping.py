"""From the voxels of a result to coordinates in the image that it is interpolated from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from dask.tokenize import tokenize

from chunkmed.graph.box import Box, sides
from chunkmed.graph.nodes import Array
from chunkmed.provenance import content_hash

__all__ = ["AlongAxes", "Linear", "Mapping"]

#: Roundings of a product, relative to its size.
_SLACK = 1e-9


class Mapping(ABC):
    """Coordinates in the image of every voxel of a result."""

    shape: tuple[int, ...]
    """Of the result."""
    token: str

    @abstractmethod
    def ranges(self, box: Box) -> list[tuple[float, float]]:
        """Return the lowest and highest coordinate along each axis of the image."""

    @abstractmethod
    def points(self, box: Box, more: float = 0.0) -> Array:
        """Return the coordinates of all voxels of a box, (axes, n), float64, plus a constant."""

    @abstractmethod
    def step(self, axis: int) -> float:
        """Return about how many voxels of the image one of the result stands for along an axis."""


class AlongAxes(Mapping):
    """Coordinates that are the same for all lines along an axis: zoom, shift.

    Parameters
    ----------
    coordinates : sequence of ndarray of float64
        One for each axis, as long as the axis of the result.
    """

    def __init__(self, coordinates: Sequence[Array]) -> None:
        self.coordinates = tuple(np.asarray(each, np.float64) for each in coordinates)
        self.shape = tuple(len(each) for each in self.coordinates)
        self.token = content_hash("along axes", tokenize(*self.coordinates))

    def ranges(self, box: Box) -> list[tuple[float, float]]:
        """Return the ends of the coordinates."""
        return [_ends(each[a:b]) for each, (a, b) in zip(self.coordinates, box, strict=True)]

    def points(self, box: Box, more: float = 0.0) -> Array:
        """Return the coordinates of a box."""
        parts = [each[a:b] + more for each, (a, b) in zip(self.coordinates, box, strict=True)]
        return np.stack([each.reshape(-1) for each in np.meshgrid(*parts, indexing="ij")])

    def step(self, axis: int) -> float:
        """Return the mean step between coordinates that are numbers."""
        steps = np.abs(np.diff(self.coordinates[axis]))
        known = steps[np.isfinite(steps)]
        return float(known.mean()) if known.size else 1.0


class Linear(Mapping):
    """Coordinates that are a matrix times the indices, plus an offset.

    Parameters
    ----------
    matrix : ndarray of float64, shape (n, m)
        From m axes of the result to n axes of the image.
    offset : ndarray of float64, shape (n,)
        Coordinates of the first voxel.
    shape : sequence of m ints
        Of the result.
    """

    def __init__(self, matrix: Array, offset: Array, shape: Sequence[int]) -> None:
        self.matrix, self.offset = np.asarray(matrix, np.float64), np.asarray(offset, np.float64)
        self.shape = tuple(int(n) for n in shape)
        self.token = content_hash("linear", tokenize(self.matrix, self.offset), self.shape)

    def ranges(self, box: Box) -> list[tuple[float, float]]:
        """Return the ends of the coordinates of the corners."""
        first = np.array([a for a, _ in box], np.float64)
        last = np.array([b - 1 for _, b in box], np.float64)
        ends = np.stack([self.matrix * first, self.matrix * last])
        low, high = ends.min(0).sum(1) + self.offset, ends.max(0).sum(1) + self.offset
        slack = (np.abs(ends).max(0).sum(1) + np.abs(self.offset)) * _SLACK
        return list(zip((low - slack).tolist(), (high + slack).tolist(), strict=True))

    def points(self, box: Box, more: float = 0.0) -> Array:
        """Return the coordinates of a box, axis after axis added up as scipy does."""
        shape = sides(box)
        out = np.empty((len(self.offset), *shape))
        indices = [np.arange(a, b, dtype=np.float64) for a, b in box]
        for row, offset, target in zip(self.matrix, self.offset, out, strict=True):
            total = np.asarray(offset)
            for index, factor in zip(indices[:-1], row[:-1], strict=True):
                total = total[..., None] + index * factor
            np.add(total[..., None], indices[-1] * row[-1], out=target)
            if more:
                target += more
        return out.reshape(len(out), -1)

    def step(self, axis: int) -> float:
        """Return how far steps along all axes of the result go along one of the image: 1 for rotations."""
        return float(np.linalg.norm(self.matrix[axis]))


def _ends(values: Array) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (-np.inf, -np.inf)
