"""Filters of one block by functions of the user's: scipy.ndimage calls them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.kernels import Array

__all__ = ["lines", "of_derivatives", "vectorized", "windows"]

#: Of windows that a function gets at a time.
_BATCH_BYTES = 4 << 20


def windows(block: Array, *, function: Callable[..., Any], footprint: Array, **settings: Any) -> Array:
    """Return :func:`scipy.ndimage.generic_filter` of a block."""
    return np.asarray(scipy.ndimage.generic_filter(block, function, footprint=footprint, **settings))


def lines(block: Array, *, function: Callable[..., Any], size: int, axis: int, **settings: Any) -> Array:
    """Return :func:`scipy.ndimage.generic_filter1d` of a block that holds whole lines."""
    return np.asarray(scipy.ndimage.generic_filter1d(block, function, size, axis, **settings))


def vectorized(
    block: Array,
    *,
    function: Callable[..., Any],
    output: Any,
    axes: Sequence[int],
    batch_memory: float,
    **settings: Any,
) -> Array:
    """Return :func:`scipy.ndimage.vectorized_filter` of a block as another dtype.

    Windows are handed over in batches that fit the processor's cache, smaller ones than asked for, and
    always one slice of the block at least.
    """
    shape = settings["size"] if settings["footprint"] is None else np.shape(settings["footprint"])
    outer = [n for axis, n in enumerate(block.shape) if axis not in axes] + [block.shape[a] for a in axes]
    slice_bytes = 2 * block.nbytes * math.prod(shape) // max(1, outer[0] if outer else 1)
    batch = max(slice_bytes, int(min(batch_memory, _BATCH_BYTES)))
    out = scipy.ndimage.vectorized_filter(block, function, axes=tuple(axes), batch_memory=batch, **settings)
    return np.asarray(out).astype(output, copy=False)


def of_derivatives(
    block: Array,
    *,
    reference: str,
    function: Callable[..., Any],
    apart: Sequence[int],
    output: Any,
    mode: Sequence[str],
    cval: Any,
    extra_arguments: Sequence[Any],
    extra_keywords: Mapping[str, Any] | None,
    axes: Sequence[int],
) -> Array:
    """Return what scipy.ndimage makes of derivatives of the user's, time point after time point.

    Parameters
    ----------
    block : ndarray
        Any number of axes.
    reference : str
        Name of scipy's function: ``generic_laplace`` or ``generic_gradient_magnitude``.
    apart : sequence of int
        Axes of the block that the derivative does not see.
    axes : sequence of int
        Axes to derive along, counted without those that are apart.
    function, output, mode, cval, extra_arguments, extra_keywords
        As in scipy; ``output`` is a dtype.
    """
    run = getattr(scipy.ndimage, reference)
    out = np.empty(block.shape, output)
    spans = [range(n) if axis in apart else [slice(None)] for axis, n in enumerate(block.shape)]
    for index in _indices(spans):
        part = np.asarray(block[index], order="C")
        out[index] = run(
            part, function, np.dtype(output), list(mode), cval, tuple(extra_arguments),
            dict(extra_keywords or {}), axes=tuple(axes),
        )  # fmt: skip
    return out


def _indices(spans: Sequence[Any]) -> list[tuple[Any, ...]]:
    out: list[tuple[Any, ...]] = [()]
    for span in spans:
        out = [(*index, item) for index in out for item in span]
    return out
