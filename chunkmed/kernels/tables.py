"""Local labels of a block -> values of a table, in one go and without arrays in between."""

from __future__ import annotations

import numba
import numpy as np

from chunkmed.kernels import Array

__all__ = ["look_up"]


def look_up(local: Array, table: Array, offset: int, out: Array) -> None:
    """Write the table's value of each voxel.

    Parameters
    ----------
    local : ndarray of int32
        Labels from 1; 0 is background and stays 0.
    table : ndarray
        Value of label k at ``offset + k``.
    offset : int
        Place of the block in the table.
    out : ndarray of table's dtype, shape of local
        May be a view, as local may.
    """
    # Values are moved and not looked into: one kernel per size of a value.
    plain = np.dtype(f"u{table.dtype.itemsize}")
    if local.flags.c_contiguous and out.flags.c_contiguous:
        _look_up(local.reshape(-1), table.view(plain), offset, out.reshape(-1).view(plain))
        return
    for index in np.ndindex(local.shape[:-2]):
        plane = np.ascontiguousarray(local[index])
        found = np.empty(plane.shape, plain)
        _look_up(plane.reshape(-1), table.view(plain), offset, found.reshape(-1))
        out[index] = found.view(out.dtype)


@numba.njit(nogil=True, cache=True)
def _look_up(local, table, offset, out):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    before, value = np.int32(0), table.dtype.type(0)
    for i in range(local.size):
        label = local[i]
        if label != before:
            before = label
            # Background has no place of its own in the block's part of the table.
            value = table[label + offset] if label > 0 else table.dtype.type(0)
        out[i] = value
