"""Colour frames -> planes (y, x, 3) of RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.headers import Layout
from chunkmed.dicom.values import stored_dtype

__all__ = ["colour_rows", "colour_spans", "to_rgb"]

Array = npt.NDArray[Any]
#: Red, green, blue from luminance and the two chrominances (DICOM PS3.3 C.7.6.3.1.2).
_FROM_YBR = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])


def colour_spans(layout: Layout, rows: tuple[int, int]) -> list[tuple[int, int]]:
    """Return where rows of an uncompressed frame lie in it: (start, bytes), one for each plane."""
    first, last = rows
    row_bytes = layout.frame_bytes // layout.rows
    if not layout.planar or layout.photometric == "YBR_FULL_422":
        return [(first * row_bytes, (last - first) * row_bytes)]
    plane, row = layout.frame_bytes // 3, row_bytes // 3
    return [(number * plane + first * row, (last - first) * row) for number in range(3)]


def colour_rows(data: bytes, layout: Layout, rows: int) -> Array:
    """Return the RGB values (y, x, 3) of so many rows of an uncompressed frame."""
    dtype = stored_dtype(layout)
    flat = np.frombuffer(data, dtype.newbyteorder("<" if layout.little_endian else ">")).astype(dtype)
    if layout.photometric == "YBR_FULL_422":
        # Two luminances share the two chrominances after them.
        pairs = flat.reshape(rows, layout.columns // 2, 4)
        planes = np.stack([pairs[..., :2], pairs[..., 2:3].repeat(2, -1), pairs[..., 3:].repeat(2, -1)], -1)
        out = planes.reshape(rows, layout.columns, 3)
    elif layout.planar:
        out = np.moveaxis(flat.reshape(3, rows, layout.columns), 0, -1)
    else:
        out = flat.reshape(rows, layout.columns, 3)
    return to_rgb(out, layout) if layout.photometric.startswith("YBR_FULL") else out


def to_rgb(ybr: Array, layout: Layout) -> Array:
    """Return YBR_FULL values as RGB, rounded and clipped."""
    top = 2**layout.bits_stored - 1
    centred = ybr - np.array([0.0, (top + 1) / 2, (top + 1) / 2])
    return np.asarray(np.clip(np.rint(centred @ _FROM_YBR.T), 0, top).astype(ybr.dtype))
