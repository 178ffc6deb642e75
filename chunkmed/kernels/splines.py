"""Coefficients of B-splines that pass through the voxels of an image.

M. Unser, A. Aldroubi, M. Eden, "Fast B-spline transforms for continuous image representation and
interpolation", IEEE Trans. PAMI 13 (1991) 277-285: each pole is a pass forward and one backward along
the line. What lies k voxels away counts with the k-th power of the pole: a line that is cut far enough
away gives the coefficients of the whole one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy
import scipy.ndimage

from chunkmed.kernels import Array

__all__ = ["POLES", "coefficients", "depth"]


def _pole(total: float) -> float:
    """Return the root z inside the unit circle where z + 1/z is given (no digits cancel)."""
    return 2 / (total - math.sqrt(total * total - 4))


_FOURTH, _FIFTH = -38 - math.sqrt(1216), -13 - math.sqrt(105)
#: Roots of the sampled B-spline of each order: z + 1/z solves an equation of half the degree.
POLES = {
    2: (_pole(-6),),
    3: (_pole(-4),),
    4: (_pole(228 / _FOURTH), _pole(_FOURTH)),
    5: (_pole(64 / _FIFTH), _pole(_FIFTH)),
}
#: scipy before 1.18 adds the first value of a reflected line once more after it has changed (it matters in
#: lines of a few voxels): with these versions we do, too.
_SLIPS = tuple(map(int, scipy.__version__.split(".")[:2])) < (1, 18)
_MIRROR, _REFLECT, _WRAP = 0, 1 if _SLIPS else 3, 2
_CODES = {"reflect": _REFLECT, "grid-mirror": _REFLECT, "nearest": _REFLECT, "grid-wrap": _WRAP}
#: What is left of a voxel beyond the cut.
_NEGLIGIBLE = 1e-17


def depth(order: int) -> int:
    """Return how many voxels away the line may be cut.

    Examples
    --------
    >>> [depth(order) for order in (2, 3, 4, 5)]
    [26, 33, 45, 53]
    """
    slowest = math.ceil(math.log(_NEGLIGIBLE) / math.log(-POLES[order][0]))
    return slowest + 3 * len(POLES[order])


def coefficients(
    block: Array, *, order: int, axes: Sequence[int], mode: str, output: Any, keep: tuple[slice, ...]
) -> Array:
    """Return a part of the coefficients of a block, as :func:`scipy.ndimage.spline_filter1d` per axis.

    Parameters
    ----------
    block : ndarray
        Any real dtype.
    order, axes, mode
        2 to 5; axes in the order in which they are taken; border mode of the block's ends.
    output : dtype
        Of the result, and of what is between two axes.
    keep : tuple of slice
        The part.
    """
    for axis in axes:
        if os.environ.get("CHUNKMED_KERNELS") == "scipy":
            known = "mirror" if mode == "extent" else mode
            block = scipy.ndimage.spline_filter1d(block, order, axis, output, known)
        else:
            block = _along(block, order, axis, mode).astype(output, copy=False)
        # What is behind the axes that are done is needed no more.
        block = block[tuple(part if i == axis else slice(None) for i, part in enumerate(keep))]
    rest = (slice(None) if i in axes else part for i, part in enumerate(keep))
    return np.asarray(block[tuple(rest)], dtype=output)


def _along(block: Array, order: int, axis: int, mode: str) -> Array:
    if not block.size:
        return block.astype(np.float64)
    # Here, for numba takes a second to import.
    from chunkmed.kernels.recursion import filter_lines

    n = block.shape[axis]
    inner = math.prod(block.shape[axis + 1 :])
    out = np.array(block, np.float64, order="C").reshape(-1, n, inner)
    if n > 1:
        gain = 1.0
        for pole in POLES[order]:
            gain *= (1.0 - pole) * (1.0 - 1.0 / pole)
        filter_lines(out, gain, np.array(POLES[order]), _CODES.get(mode, _MIRROR))
    return out.reshape(block.shape)
