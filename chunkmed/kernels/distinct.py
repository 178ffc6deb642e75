"""The different values of an array."""

from __future__ import annotations

import numpy as np

from chunkmed.kernels import Array

__all__ = ["distinct"]


def distinct(values: Array) -> Array:
    """Return the different values, ascending; NaN is not looked for.

    As :func:`numpy.unique`, but by sorting: NumPy 2.3 and later puts integers into a table first, which
    takes 18 ms for 130,000 labels and 1.2 s for two million; this 1.1 and 25 ms.
    """
    ordered = np.sort(values, axis=None)
    new = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered[new]
