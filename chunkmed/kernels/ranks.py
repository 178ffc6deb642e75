"""Rank filters of one block; scipy.ndimage is the reference."""

from __future__ import annotations

from typing import Any

import scipy.ndimage

from chunkmed.kernels import Array

__all__ = ["median"]


def median(block: Array, **settings: Any) -> Array:
    """Return :func:`scipy.ndimage.median_filter` of a block."""
    return scipy.ndimage.median_filter(block, **settings)  # type: ignore[no-any-return]
