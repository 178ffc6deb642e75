"""Grey morphology of one block with structures that are not flat: scipy.ndimage's."""

from __future__ import annotations

from typing import Any

import scipy.ndimage

from chunkmed.kernels import Array

__all__ = ["dilation", "erosion"]


def erosion(block: Array, *, keep: tuple[slice, ...], **settings: Any) -> Array:
    """Return a part of :func:`scipy.ndimage.grey_erosion` of a block."""
    return scipy.ndimage.grey_erosion(block, **settings)[keep]  # type: ignore[no-any-return]


def dilation(block: Array, *, keep: tuple[slice, ...], **settings: Any) -> Array:
    """Return a part of :func:`scipy.ndimage.grey_dilation` of a block."""
    return scipy.ndimage.grey_dilation(block, **settings)[keep]  # type: ignore[no-any-return]
