"""Windows of any shape: with an axis for each of the image's, and how far they reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["reach_of", "whole_window"]


def whole_window(
    window: Any, origins: Sequence[int], along: Sequence[int], seen: Sequence[int], ndim: int
) -> tuple[Any, list[int]]:
    """Return a window and its origins with an axis for each of the image's, as scipy fills them up.

    Parameters
    ----------
    window : ndarray
        Weights or footprint: an axis for each of ``along``.
    origins : sequence of int
        One for each of ``along``.
    along, seen : sequence of int
        Axes that are filtered along, and those that scipy would see: of one time point.
    ndim : int
        Of the image.
    """
    shifts = dict.fromkeys(range(ndim), 0)
    # Where all axes are named scipy takes weights and origins in the image's order.
    order = seen if len(along) == len(seen) else along
    shifts |= dict(zip(order, origins, strict=True))
    others = tuple(axis for axis in range(ndim) if axis not in along)
    return np.expand_dims(window, others), list(shifts.values())


def reach_of(shape: Sequence[int], origins: Sequence[int]) -> list[int]:
    """Return how many voxels a window reaches to either side of each axis."""
    pairs = zip(shape, origins, strict=True)
    return [max(n // 2 + shift, n - 1 - n // 2 - shift) for n, shift in pairs]
