"""Linear filters of one block; scipy.ndimage is the reference, and what the rest falls back to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.kernels import Array

__all__ = ["gaussian"]


def gaussian(
    block: Array,
    *,
    sigma: Sequence[float],
    order: Sequence[int],
    mode: Sequence[str],
    cval: float,
    truncate: float,
    radius: Sequence[int] | None,
    axes: Sequence[int],
    output: Any,
    keep: tuple[slice, ...],
) -> Array:
    """Return a part of :func:`scipy.ndimage.gaussian_filter` of a block, equal to the last bit.

    Parameters
    ----------
    block : ndarray
        Any number of axes.
    sigma, order, mode, radius : sequences, one value per axis in ``axes``
        As in scipy.
    cval, truncate, axes, output
        As in scipy; ``output`` is a dtype.
    keep : tuple of slice
        The part.
    """
    radii = list(radius) if radius is not None else [int(truncate * s + 0.5) for s in sigma]
    # Odd derivatives have antisymmetric weights.
    plain = not any(n % 2 for n in order) and os.environ.get("CHUNKMED_KERNELS") != "scipy"
    if plain and len(sigma):
        # Here, for numba takes a second to import.
        from chunkmed.kernels.convolve import Axis, correlate, supports

        if supports(block, output):
            rows = zip(axes, sigma, order, radii, mode, strict=True)
            # scipy leaves axes of a tiny sigma alone.
            steps = [Axis(a, _weights(s, n, r), m) for a, s, n, r, m in rows if s > 1e-15]
            return correlate(block, steps, cval, output, keep)
    settings = {"order": order, "mode": mode, "cval": cval, "truncate": truncate, "radius": radius}
    out = scipy.ndimage.gaussian_filter(block, sigma, output=output, axes=axes, **settings)
    return np.asarray(out)[keep]


@lru_cache(maxsize=64)
def _weights(sigma: float, order: int, radius: int) -> tuple[float, ...]:
    """Return scipy's own weights: what it makes of a single one."""
    impulse = np.zeros(2 * radius + 1)
    impulse[radius] = 1.0
    out = scipy.ndimage.gaussian_filter1d(impulse, sigma, order=order, radius=radius, mode="constant")
    return tuple(out.tolist())
