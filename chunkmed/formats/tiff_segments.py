"""A box of a compressed TIFF page: only the strips or tiles that it touches are read and decoded."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["read_page"]

Array = npt.NDArray[Any]
Box = Sequence[tuple[int, int]]

_JPEGS = (6, 7, 34892)
_pages_lock = threading.Lock()


def read_page(file: Any, number: int, handle: int, box: Box) -> Array:
    """Return a box of y, x (and samples) of a page.

    Parameters
    ----------
    file : tifffile.TiffFile
        The file.
    number : int
        Of the page in it.
    handle : int
        The same file, open for reading.
    box : box
        Ranges of the axes of the page.
    """
    with _pages_lock:
        # Pages are read when they are asked for: one thread at a time.
        page = file.pages[number].aspage()
    cut = tuple(slice(a, b) for a, b in box)
    if page.planarconfig == 2 or page.imagedepth > 1 or page.compression in _JPEGS:
        # Their segments are not simply parts of the plane.
        with _pages_lock:
            return np.asarray(page.asarray()).reshape(page.shape)[cut]
    out = np.zeros([b - a for a, b in box], page.dtype)
    for index in _touched(page, box):
        raw = os.pread(handle, page.databytecounts[index], page.dataoffsets[index])
        if len(raw) < page.databytecounts[index]:
            raise EOFError(f"segment {index} ends after {len(raw)} of {page.databytecounts[index]} bytes")
        part, place, shape = page.decode(raw or None, index)
        if part is not None:
            _put(out, box, part, place, shape)
    return out


def _touched(page: Any, box: Box) -> Iterator[int]:
    """Yield the numbers of the segments that a box touches."""
    length, width = page.chunks[:2]
    across = -(-page.imagewidth // width)
    (y0, y1), (x0, x1) = box[:2]
    for row in range(y0 // length, -(-y1 // length)):
        for column in range(x0 // width, -(-x1 // width)):
            yield row * across + column


def _put(out: Array, box: Box, part: Array, place: Sequence[int], shape: Sequence[int]) -> None:
    """Copy the part of a segment that lies in the box; its axes are depth, y, x, samples."""
    y, x = int(place[-3]), int(place[-2])
    rows, columns = int(shape[1]), int(shape[2])
    plane = part[0, :rows, :columns]
    (y0, y1), (x0, x1) = box[:2]
    top, bottom, left, right = max(y, y0), min(y + rows, y1), max(x, x0), min(x + columns, x1)
    piece = plane[top - y : bottom - y, left - x : right - x]
    piece = piece[..., 0] if len(box) == 2 else piece[..., box[2][0] : box[2][1]]
    out[top - y0 : bottom - y0, left - x0 : right - x0] = piece
