"""Binary morphology of one block; scipy.ndimage is the reference, and what the rest falls back to.

A block is packed, 64 voxels to a word, and all iterations are done on words (``packed.py``).
``CHUNKMED_KERNELS=scipy`` in the environment leaves everything to scipy.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.kernels import Array
from chunkmed.reused import release, throughout

__all__ = ["closing", "dilation", "erosion", "opening"]


@throughout
def erosion(block: Array, mask: Array | None = None, *, overwrite: bool = False, **settings: Any) -> Array:
    """Return :func:`scipy.ndimage.binary_erosion` of a block; with ``overwrite`` in its memory."""
    return _morphology(scipy.ndimage.binary_erosion, [False], block, mask, settings, overwrite=overwrite)


@throughout
def dilation(block: Array, mask: Array | None = None, *, overwrite: bool = False, **settings: Any) -> Array:
    """Return :func:`scipy.ndimage.binary_dilation` of a block; with ``overwrite`` in its memory."""
    return _morphology(scipy.ndimage.binary_dilation, [True], block, mask, settings, overwrite=overwrite)


@throughout
def opening(block: Array, mask: Array | None = None, *, overwrite: bool = False, **settings: Any) -> Array:
    """Return :func:`scipy.ndimage.binary_opening` of a block; with ``overwrite`` in its memory."""
    return _morphology(
        scipy.ndimage.binary_opening, [False, True], block, mask, settings, overwrite=overwrite
    )


@throughout
def closing(block: Array, mask: Array | None = None, *, overwrite: bool = False, **settings: Any) -> Array:
    """Return :func:`scipy.ndimage.binary_closing` of a block; with ``overwrite`` in its memory."""
    return _morphology(
        scipy.ndimage.binary_closing, [True, False], block, mask, settings, overwrite=overwrite
    )


def _morphology(
    reference: Callable[..., Array],
    grows: Sequence[bool],
    block: Array,
    mask: Array | None,
    settings: dict[str, Any],
    *,
    overwrite: bool,
) -> Array:
    """Return steps of a block, each a dilation or an erosion."""
    if os.environ.get("CHUNKMED_KERNELS") != "scipy":
        try:
            out = _packed(grows, np.asarray(block), mask, overwrite=overwrite, **settings)
        except (TypeError, ValueError):
            # scipy says it in its own words.
            out = None
        if out is not None:
            return out
    release()
    return reference(block, mask=mask, **settings)


def _packed(
    grows: Sequence[bool],
    block: Array,
    mask: Array | None,
    *,
    overwrite: bool,
    structure: Any = None,
    iterations: Any = 1,
    output: Any = None,
    border_value: Any = 0,
    origin: Any = 0,
    brute_force: bool = False,  # noqa: ARG001 - another way to the same result
    axes: Any = None,
) -> Array | None:
    """Return steps of a block on packed voxels, None for what only scipy does."""
    # Here, for numba takes a second to import.
    from chunkmed.kernels.packed import transform
    from chunkmed.kernels.packed_arguments import Step, is_plain, neighbours

    # scipy gives bool whatever dtype is asked for; only an array is filled.
    times, border = operator.index(iterations), bool(operator.index(border_value))
    if isinstance(output, np.ndarray) or times < 1 or block.size == 0 or block.ndim == 0:
        return None
    # Of wider masks scipy reads the first byte of a voxel.
    byte = mask is None or (mask.dtype.kind in "biu" and mask.dtype.itemsize == 1)
    if not (byte and is_plain(block.dtype)) or (mask is not None and mask.shape != block.shape):
        return None
    steps = [Step(neighbours(structure, origin, axes, block.ndim, grow), grow, times) for grow in grows]
    return transform(block, steps, border, mask, overwrite=overwrite)
