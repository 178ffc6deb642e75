"""What lies beyond the border of a block: which voxel stands for a place outside of it."""

from __future__ import annotations

import numpy as np

from chunkmed.kernels import Array

__all__ = ["CONSTANT", "standing_for"]

#: Modes in which what is outside is one constant.
CONSTANT = ("constant", "grid-constant")


def standing_for(at: Array, n: int, mode: str) -> Array:
    """Return which voxel of a line each place stands for, -1 where it is a constant.

    Parameters
    ----------
    at : ndarray of int
        Places along the line, outside of it too.
    n : int
        Voxels of the line.
    mode : str
        A border mode of scipy.ndimage.
    """
    if mode in CONSTANT:
        return np.where((at < 0) | (at >= n), -1, at)
    if mode == "nearest":
        return np.clip(at, 0, n - 1)
    if mode in ("wrap", "grid-wrap"):
        return at % n
    # A mirror through the last voxel shows it once, one behind it twice.
    period = max(1, 2 * n - 2) if mode == "mirror" else 2 * n
    folded = at % period
    return np.where(folded < n, folded, period - folded - (mode != "mirror"))
