"""Interpolated values in the dtype of the result, rounded as scipy.ndimage rounds them."""

from __future__ import annotations

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import kernel

__all__ = ["store"]


def store(values: Array, out: Array) -> None:
    """Write float64 values into an array of any real dtype.

    Halves are rounded away from zero and integers end at their limits; masks are true from 1 on.

    Parameters
    ----------
    values : ndarray of float64, any shape
        Contiguous.
    out : ndarray
        Same shape, contiguous.
    """
    if not out.dtype.isnative:
        native = np.empty(out.shape, out.dtype.newbyteorder("="))
        store(values, native)
        out[...] = native
        return
    flat, target = values.reshape(-1), out.reshape(-1)
    kind = out.dtype.kind
    if kind == "f":
        target[:] = flat
    elif kind == "b":
        target[:] = np.abs(flat) >= 1.0
    else:
        limits = np.iinfo(out.dtype)
        _store_integers(flat, target, float(limits.min), float(limits.max), out.dtype.itemsize <= 2)


@kernel
def _store_integers(values, out, low, high, narrow):  # type: ignore[no-untyped-def] # pragma: no cover
    if narrow:
        for i in range(values.shape[0]):
            value = values[i] + (0.5 if values[i] > 0 else -0.5)
            # By way of 32 bits, for which the processor has a vector instruction.
            out[i] = np.int32(min(max(value, low), high))
    else:
        for i in range(values.shape[0]):
            value = values[i] + (0.5 if values[i] > 0 else -0.5)
            # The limits of 64 bits are no float64s: what rounds to them is put there by hand.
            if value >= high:
                out[i] = np.uint64(high) - np.uint64(1) if high == 2.0**63 else np.uint64(high)
            elif low == 0:
                out[i] = np.uint64(max(value, 0.0))
            else:
                out[i] = np.int64(max(value, low))
