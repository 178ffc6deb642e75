"""Axes that distances are counted along, and lines along them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chunkmed.kernels import Array

__all__ = ["Axis", "Box", "lines"]

Box = Sequence[tuple[int, int]]


class Axis:
    """One axis: its number, where its voxels lie, and what a step of one counts.

    Parameters
    ----------
    number : int
        Which axis.
    size : int
        Voxels along it.
    step : float
        Distance of neighbours.
    positions : sequence of float, optional
        Where the voxels lie, ascending or descending, where steps differ; ``step`` is then 1.
    """

    def __init__(
        self, number: int, size: int, step: float = 1.0, positions: Sequence[float] | None = None
    ) -> None:
        self.number, self.size, self.step = number, size, float(step)
        self.even = positions is None
        self.positions = np.arange(size, dtype=np.float64) if positions is None else np.array(positions)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return type(self).__name__, self.number, self.size, self.step, self.positions.tolist()

    def squares(self, offsets: Array, start: int, place: int) -> Array:
        """Return the squares of offsets along this axis, inf where there is none.

        Parameters
        ----------
        offsets : ndarray of int
            How many voxels on the nearest background lies.
        start : int
            Index of the first voxel.
        place : int
            Which axis of ``offsets`` this is.
        """
        none = offsets == np.iinfo(offsets.dtype).min
        sides = [1] * offsets.ndim
        sides[place] = -1
        own = np.arange(start, start + offsets.shape[place]).reshape(sides)
        found = np.where(none, 0, offsets) + own
        lengths = (self.positions[found] - self.positions[own]) * self.step
        lengths *= lengths
        lengths[none] = np.inf
        return np.asarray(lengths)


def lines(shape: Sequence[int], axis: int) -> tuple[int, int, int]:
    """Return the shape in which lines along an axis lie along the middle one."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
