"""Spreading through one block until nothing changes, and the reach of one step."""

from __future__ import annotations

import numpy as np

from chunkmed.kernels import Array

__all__ = ["MAY_CHANGE", "REACHED", "reach", "spread"]

#: Bits of a voxel's state.
REACHED, MAY_CHANGE = np.uint8(1), np.uint8(2)


def reach(block: Array, *, offsets: Array) -> Array:
    """Return the voxels that are not zero or that one step reaches; nothing lies outside of the block.

    Parameters
    ----------
    block : ndarray
        Voxels that are not zero are reached.
    offsets : ndarray of int64, shape (n, ndim)
        A voxel is reached when one of its neighbours there is.
    """
    from chunkmed.kernels.morphology import dilation

    depth = np.abs(offsets).max(axis=0, initial=0)
    structure = np.zeros(2 * depth + 1, bool)
    # A dilation asks, mirrored, who reaches the voxel.
    structure[tuple((depth - offsets).T)] = True
    structure[tuple(depth)] = True
    return np.asarray(dilation(block, structure=structure))


def spread(state: Array, *, offsets: Array) -> Array:
    """Return the state of a block (uint8) when it has come to rest by itself.

    Voxels that may change are reached from those that are; nothing comes from outside of the block.
    """
    # Here, for numba takes a second to import.
    from chunkmed.kernels.flood import flood

    out = np.array(state, order="C")
    flood(out.reshape(-1), np.array(state.shape, np.int64), np.ascontiguousarray(-offsets))
    return out
