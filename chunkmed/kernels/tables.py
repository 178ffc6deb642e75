"""Local labels of a block -> values of a table, in one go and without arrays in between."""

from __future__ import annotations

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import kernel

__all__ = ["look_up"]


def look_up(local: Array, table: Array, out: Array) -> None:
    """Write the table's value of each voxel.

    Parameters
    ----------
    local : ndarray of uint16 or int32
        Labels, all of them in the table.
    table : ndarray
        Value of each label, background included.
    out : ndarray of table's dtype, shape of local
        May be a view, as local may.
    """
    # Values are moved and not looked into: one kernel per size of a value.
    plain = np.dtype(f"u{table.dtype.itemsize}")
    if local.flags.c_contiguous and out.flags.c_contiguous:
        _look_up(local.reshape(-1), table.view(plain), out.reshape(-1).view(plain))
        return
    for index in np.ndindex(local.shape[:-2]):
        plane = np.ascontiguousarray(local[index])
        found = np.empty(plane.shape, plain)
        _look_up(plane.reshape(-1), table.view(plain), found.reshape(-1))
        out[index] = found.view(out.dtype)


@kernel
def _look_up(local, table, out):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    for i in range(local.size):
        out[i] = table[np.uint32(local[i])]
