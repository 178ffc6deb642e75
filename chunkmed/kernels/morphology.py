"""Binary morphology of one block; scipy.ndimage is both reference and implementation."""

from __future__ import annotations

from typing import Any

import scipy.ndimage

from chunkmed.kernels import Array

__all__ = ["closing", "dilation", "erosion", "opening"]


def erosion(block: Array, mask: Array | None = None, **settings: Any) -> Array:
    """Return :func:`scipy.ndimage.binary_erosion` of a block."""
    return scipy.ndimage.binary_erosion(block, mask=mask, **settings)  # type: ignore[no-any-return]


def dilation(block: Array, mask: Array | None = None, **settings: Any) -> Array:
    """Return :func:`scipy.ndimage.binary_dilation` of a block."""
    return scipy.ndimage.binary_dilation(block, mask=mask, **settings)  # type: ignore[no-any-return]


def opening(block: Array, mask: Array | None = None, **settings: Any) -> Array:
    """Return :func:`scipy.ndimage.binary_opening` of a block."""
    return scipy.ndimage.binary_opening(block, mask=mask, **settings)  # type: ignore[no-any-return]


def closing(block: Array, mask: Array | None = None, **settings: Any) -> Array:
    """Return :func:`scipy.ndimage.binary_closing` of a block."""
    return scipy.ndimage.binary_closing(block, mask=mask, **settings)  # type: ignore[no-any-return]
