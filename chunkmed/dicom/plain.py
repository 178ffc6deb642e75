"""Uncompressed frames, read straight into the array that is wanted and rescaled in place.

A CT slice then costs one system call and two looks at its values while they are in the processor's
cache; nothing is copied.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.headers import Layout
from chunkmed.dicom.values import check_fit, clean_bits, stored_dtype

__all__ = ["is_plain", "read_plain"]

Array = npt.NDArray[Any]
Span = tuple[int, int]


def is_plain(layout: Layout, dtype: np.dtype[Any], rescale: tuple[float, float], columns: Span) -> bool:
    """Whether whole rows of a frame can be read straight into an array of ``dtype``."""
    own = stored_dtype(layout)
    return (
        not (layout.compressed or layout.deflated)
        and layout.samples == 1
        and layout.lut is None
        and not layout.mosaic
        and layout.bits_allocated in (8, 16, 32)
        and layout.little_endian == (sys.byteorder == "little")
        and dtype.kind in "iu"
        and dtype.itemsize == own.itemsize
        and all(part == int(part) for part in rescale)
        and columns == (0, layout.columns)
    )


def read_plain(
    descriptor: int,
    start: int,
    layout: Layout,
    rescale: tuple[float, float],
    out: Array,
) -> bool:
    """Read rows of a frame, cleaned to BitsStored and rescaled; say whether the file held them all.

    Parameters
    ----------
    descriptor : int
        The open file.
    start : int
        Where the first row begins, in bytes.
    layout : Layout
        How the values lie; see :func:`is_plain`.
    rescale : (slope, intercept)
        Whole numbers.
    out : ndarray
        Shape (y, x), C-contiguous; filled.

    Raises
    ------
    SourceError
        If a value does not fit (kind ``value-overflow``).
    """
    if os.preadv(descriptor, [out.data.cast("B")], start) < out.nbytes:
        return False
    stored = out.view(stored_dtype(layout))
    clean_bits(stored, layout, out=stored)
    slope, intercept = int(rescale[0]), int(rescale[1])
    if (slope, intercept) == (1, 0) and stored.dtype == out.dtype:
        return True
    check_fit(stored, slope, intercept, out.dtype)
    # Integers wrap modulo 2^n: since the ends fit, everything in between is exact.
    factor, offset = np.array([slope, intercept]).astype(out.dtype)
    if slope != 1:
        np.multiply(out, factor, out=out)
    np.add(out, offset, out=out)
    return True
