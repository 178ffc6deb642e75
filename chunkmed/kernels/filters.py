"""Linear and rank filters of one block; scipy.ndimage is both reference and implementation."""

from __future__ import annotations

from typing import Any

import scipy.ndimage

from chunkmed.kernels import Array

__all__ = ["gaussian", "median"]


def gaussian(block: Array, **settings: Any) -> Array:
    """Return :func:`scipy.ndimage.gaussian_filter` of a block."""
    return scipy.ndimage.gaussian_filter(block, **settings)  # type: ignore[no-any-return]


def median(block: Array, **settings: Any) -> Array:
    """Return :func:`scipy.ndimage.median_filter` of a block."""
    return scipy.ndimage.median_filter(block, **settings)  # type: ignore[no-any-return]
