"""Lines with what a border mode shows beyond their ends, put one behind the other in a buffer.

Arrays are whole and rows are places in them: to make a view of a row takes as long as its sum.
"""

from __future__ import annotations

import numpy as np

from chunkmed.kernels.compiled import part

__all__ = ["copy", "pad_line", "pad_rows"]


@part
def pad_line(buffer, place, source, base, index, ends, inner, side, cval):  # type: ignore[no-untyped-def] # pragma: no cover
    """Fill a line, of rows or of voxels: ``ends`` are the places between which its index counts up."""
    pad_rows(buffer, place, source, base, index, 0, ends[0], inner, side, cval)
    pad_rows(buffer, place, source, base, index, ends[1], index.shape[0], inner, side, cval)
    if side == inner and ends[0] < ends[1]:
        # Whole rows lie one behind the other.
        n = (ends[1] - ends[0]) * side
        copy(buffer, place + ends[0] * side, source, base + index[ends[0]] * inner, n)
    elif side < inner:
        pad_rows(buffer, place, source, base, index, ends[0], ends[1], inner, side, cval)


@part
def pad_rows(buffer, place, source, base, index, first, last, inner, side, cval):  # type: ignore[no-untyped-def] # pragma: no cover
    """Put some rows one behind the other; the constant stands for those below 0."""
    for k in range(first, last):
        to = place + k * side
        if index[k] < 0:
            buffer[to : to + side] = cval
        elif side == 1:
            buffer[to] = source[base + index[k]]
        else:
            copy(buffer, to, source, base + index[k] * inner, side)


@part
def copy(out, to, values, start, n):  # type: ignore[no-untyped-def] # pragma: no cover
    """Copy n values."""
    # Unsigned, for then numba does not ask whether places count from the end.
    to, start = np.uint64(to), np.uint64(start)
    for i in range(np.uint64(n)):
        out[to + i] = values[start + i]
