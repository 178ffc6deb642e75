"""Weights of any shape on one block; scipy.ndimage is the reference, and what the rest falls back to.

``CHUNKMED_KERNELS=scipy`` in the environment leaves everything to scipy.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.kernels import Array

__all__ = ["correlate"]


def correlate(
    block: Array, *, weights: Array, mode: str, cval: Any, origin: Sequence[int], output: Any
) -> Array:
    """Return :func:`scipy.ndimage.correlate` of a block, equal to the last bit.

    Parameters
    ----------
    block : ndarray
        Any number of axes.
    weights : ndarray
        As many axes as the block; real or complex.
    mode, cval, origin, output
        As in scipy; one origin per axis, ``output`` a dtype.
    """
    real = weights.dtype.kind != "c" and not np.iscomplexobj(cval) and block.ndim > 0
    if real and os.environ.get("CHUNKMED_KERNELS") != "scipy":
        # Here, for numba takes a second to import.
        from chunkmed.kernels import dense
        from chunkmed.kernels.convolve import as_bytes, supports

        if supports(block, output):
            plain, dtype = as_bytes(block), as_bytes(output)
            return dense.correlate(plain, weights, mode, cval, origin, dtype).view(output)
    settings = {"mode": mode, "cval": cval, "origin": list(origin)}
    return np.asarray(scipy.ndimage.correlate(block, weights, output=np.dtype(output), **settings))
