"""Runs a program of minima and maxima on rows of an image: each operation is one vectorised loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import kernel, part
from chunkmed.kernels.programs import BOTH, COLUMNS, HIGH, LOAD, LOW, Program

__all__ = ["filtered"]

#: Bytes of a workspace, a part of the processor's second cache; bytes of a row in it, at least and at most:
#: what an operation takes beside its loop counts more than the cache that its rows come from.
_WORKSPACE = 256 << 10
_SHORTEST, _LONGEST = 2048, 4096
#: What rows begin at a multiple of.
_LINE = 64


def filtered(
    program: Program, source: Array, planes: Array, rows: Array, columns: Array, cval: Any, out: Array
) -> None:
    """Fill the result with what a program makes of the windows of an image.

    Parameters
    ----------
    program : Program
        Minima and maxima of a window.
    source : ndarray, shape (P, Y, X)
        The image, contiguous.
    planes : ndarray of int64, shape (n, planes of the window)
        Planes of the image that are below each plane of the result; -1 for one of constants.
    rows, columns : ndarray of int64
        Rows and columns of the image that windows see, one after the other; -1 for constants.
    cval : scalar
        The constant, of the dtype of the source.
    out : ndarray, shape (n, rows, columns)
        Contiguous, of the dtype of the source.
    """
    item = out.dtype.itemsize
    wished = min(max(_WORKSPACE // program.rows, _SHORTEST), _LONGEST) // item
    count = -(-out.shape[2] // wished)
    length = -(-out.shape[2] // count)
    # Short rows of several planes lie side by side: what is read across their ends is not taken.
    batch = max(1, min(out.shape[0], wished // (length + program.columns)))
    # An odd number of cache lines: rows below each other do not meet in the same place of the cache.
    lines = batch * (length + program.columns) * item // _LINE + 1
    pitch = (lines | 1) * _LINE // item
    operations = program.operations.astype(np.uint64)
    for column in range(1, 5):
        reads = column < 3
        kinds = operations[..., 0]
        taken = operations[..., column]
        at = taken // COLUMNS * pitch + taken % COLUMNS if reads else taken * pitch
        operations[..., column] = np.where((kinds == LOAD) & reads, taken, at)
    work = _aligned(program.rows * pitch, out.dtype)
    inside = _longest_run(columns)
    sizes = batch, length, program.columns, program.lead
    _run(operations, work, sizes, source, planes, rows, columns, inside, cval, out)


def _aligned(size: int, dtype: np.dtype[Any]) -> Array:
    """Return memory that begins with a cache line."""
    more = _LINE // dtype.itemsize
    memory = np.zeros(size + more, dtype)
    first = -memory.ctypes.data % _LINE // dtype.itemsize
    return memory[first : first + size]


def _longest_run(columns: Array) -> tuple[int, int]:
    """Return where the columns rise by one, the longest time: they are copied at once."""
    breaks = np.flatnonzero((np.diff(columns) != 1) | (columns[:-1] < 0)) + 1
    edges = np.concatenate(([0], breaks, [len(columns)]))
    lengths = np.where(columns[edges[:-1]] < 0, 0, np.diff(edges))
    longest = int(np.argmax(lengths))
    return int(edges[longest]), int(edges[longest] + lengths[longest])


@kernel
def _run(operations, work, sizes, source, planes, rows, columns, inside, cval, out):  # type: ignore[no-untyped-def] # pragma: no cover
    batch, length, more, lead = sizes
    for o in range(0, out.shape[0], batch):
        below = planes[o : o + batch]
        for left in range(0, out.shape[2], length):
            n = min(length, out.shape[2] - left)
            for s in range(out.shape[1] + lead):
                table = operations[s % operations.shape[0]]
                _make(table, work, n, n + more, left, s - lead, source, below, rows, columns, inside, cval)
                if s >= lead:
                    at = np.int64(table[table.shape[0] - 1][1])
                    for k in range(below.shape[0]):
                        start = at + k * (n + more)
                        _copy(out[o + k][s - lead][left : left + n], work[start : start + n])


@part
def _make(table, work, n, step, left, y, source, planes, rows, columns, inside, cval):  # type: ignore[no-untyped-def] # pragma: no cover
    span = np.uint64((planes.shape[0] - 1) * step + n)
    for i in range(table.shape[0] - 1):
        operation = table[i]
        lead = y + np.int64(operation[6])
        if lead < 0:
            continue
        kind, width = operation[0], span + operation[5]
        a, b, low, high = operation[1], operation[2], operation[3], operation[4]
        if kind == BOTH:
            _both(work, low, high, a, b, width)
        elif kind == LOW:
            _low(work, low, a, b, width)
        elif kind == HIGH:
            _high(work, high, a, b, width)
        else:
            seen = columns[left : left + n + np.int64(operation[5])]
            for k in range(planes.shape[0]):
                start = np.int64(low) + k * step
                row = work[start : start + len(seen)]
                plane, at = planes[k][a], rows[lead]
                if plane < 0 or at < 0:
                    row[:] = cval
                else:
                    _load(row, source[plane][at], seen, inside, left, cval)


@part
def _load(row, line, columns, inside, left, cval):  # type: ignore[no-untyped-def] # pragma: no cover
    first = max(0, min(inside[0] - left, row.shape[0]))
    last = max(first, min(inside[1] - left, row.shape[0]))
    for x in range(first):
        row[x] = line[columns[x]] if columns[x] >= 0 else cval
    if last > first:
        at = columns[first]
        _copy(row[first:last], line[at : at + last - first])
    for x in range(last, row.shape[0]):
        row[x] = line[columns[x]] if columns[x] >= 0 else cval


@part
def _copy(out, values):  # type: ignore[no-untyped-def] # pragma: no cover
    for x in range(out.shape[0]):
        out[x] = values[x]


# Of NaN nothing is promised here: who calls looks for it before. Places are unsigned, for then numba does
# not ask whether they count from the end, and rows are no views of their own: to make a view takes longer
# than to compare it.


@part
def _both(work, low, high, a, b, n):  # type: ignore[no-untyped-def] # pragma: no cover
    for x in range(n):
        p, q = work[a + x], work[b + x]
        work[low + x] = p if p < q else q
        work[high + x] = q if p < q else p


@part
def _low(work, out, a, b, n):  # type: ignore[no-untyped-def] # pragma: no cover
    for x in range(n):
        p, q = work[a + x], work[b + x]
        work[out + x] = p if p < q else q


@part
def _high(work, out, a, b, n):  # type: ignore[no-untyped-def] # pragma: no cover
    for x in range(n):
        p, q = work[a + x], work[b + x]
        work[out + x] = q if p < q else p
