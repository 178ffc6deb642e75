"""What scipy's arguments of binary morphology mean: neighbours of a voxel, and how often."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.kernels import Array

__all__ = ["Step", "is_plain", "neighbours", "numbers"]

#: Types of voxels that scipy takes too.
_PLAIN = set("?bBhHiIlLqQfd")


@dataclass(frozen=True)
class Step:
    """One erosion or dilation, repeated."""

    offsets: Array
    """Neighbours of a voxel that count, shape (n, ndim)."""
    grow: bool
    """Whether one neighbour is enough (dilation) or all are needed (erosion)."""
    times: int


def is_plain(dtype: np.dtype[Any]) -> bool:
    """Return whether voxels are bool, integers, float32 or float64."""
    return dtype.char in _PLAIN


def numbers(value: Any, n: int) -> list[int]:
    """Return one integer per axis.

    Raises
    ------
    TypeError, ValueError
        Where it is neither one integer nor n of them.
    """
    out = [operator.index(v) for v in value] if np.iterable(value) else [operator.index(value)] * n
    if len(out) != n:
        raise ValueError(f"{n} numbers are needed")
    return out


def neighbours(structure: Any, origin: Any, axes: Any, ndim: int, grow: bool) -> Array:
    """Return the offsets of the neighbours that decide about a voxel, as scipy takes them.

    Parameters
    ----------
    structure, origin, axes
        As in scipy.
    ndim : int
        Axes of the image.
    grow : bool
        Whether for a dilation.

    Returns
    -------
    ndarray of int, shape (n, ndim)

    Raises
    ------
    TypeError, ValueError
        What scipy refuses, or takes in its own way.
    IndexError
        Where the origin is outside of the structure; scipy would read what is not there.
    """
    along = _ascending(axes, ndim)
    shape = (
        scipy.ndimage.generate_binary_structure(len(along), 1) if structure is None else np.asarray(structure)
    )
    shifts = numbers(origin, len(along))
    if shape.ndim != len(along) or shape.size < 1:
        raise ValueError("the structure has other axes, or nothing in it")
    shape = shape.astype(bool)
    if any(not 0 <= n // 2 + shift < n for n, shift in zip(shape.shape, shifts, strict=True)):
        raise IndexError(f"origin {shifts} is outside of a structure of {shape.shape}")
    if grow:
        # A dilation asks, mirrored, who reaches the voxel; an even structure has its middle one further.
        shape = np.flip(shape)
        shifts = [-shift - (n % 2 == 0) for n, shift in zip(shape.shape, shifts, strict=True)]
    out = np.zeros((np.count_nonzero(shape), ndim), np.int64)
    out[:, along] = np.argwhere(shape) - [n // 2 + s for n, s in zip(shape.shape, shifts, strict=True)]
    return out


def _ascending(axes: Any, ndim: int) -> Sequence[int]:
    """Return the axes; scipy pairs those in another order with the structure in a way of its own."""
    if axes is None:
        return range(ndim)
    given = [operator.index(axis) for axis in (axes if np.iterable(axes) else [axes])]
    out = [axis + ndim if axis < 0 else axis for axis in given]
    if sorted(set(out)) != out or not out or out[0] < 0 or out[-1] >= ndim:
        raise ValueError("axes are not ascending axes of the image")
    return out
