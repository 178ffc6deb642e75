"""What the labels of a block hold: sums of an image, bins of a histogram, how often each value occurs."""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import kernel
from chunkmed.kernels.groups import Groups

__all__ = ["count_bins", "count_values", "sum_values"]


def sum_values(groups: Groups, values: Array) -> Array:
    """Return the sum of an image (z, y, x) for each row, float64."""
    out = np.zeros(len(groups), np.float64)
    _sum(groups.ids, groups.base, groups.rows, np.ascontiguousarray(values), out)
    return out


@kernel
def _sum(ids, base, rows, values, out):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(ids.shape[0]):
        for j in range(ids.shape[1]):
            line, own = ids[i, j], values[i, j]
            for k in range(len(line)):
                row = rows[line[k] - base]
                if row >= 0:
                    out[row] += own[k]


def count_bins(groups: Groups, values: Array, edges: Array) -> Array:
    """Count the values of each row in bins of one width, as :func:`numpy.histogram`; NaN is in no bin.

    Parameters
    ----------
    groups : Groups
        Labels, shape (z, y, x).
    values : ndarray, shape (z, y, x)
        Compared as float64.
    edges : ndarray of float64, shape (bins + 1,)
        The last one is part of the last bin.

    Returns
    -------
    ndarray of int64, shape (rows, bins)
    """
    out = np.zeros((len(groups), len(edges) - 1), np.int64)
    for i in range(len(values)):
        # A slice at a time: the copy is small.
        plain = np.ascontiguousarray(values[i], dtype=np.float64)
        _bins(groups.ids[i], groups.base, groups.rows, plain, edges, out)
    return out


@kernel
def _bins(ids, base, rows, values, edges, out):  # type: ignore[no-untyped-def] # pragma: no cover
    last = len(edges) - 2
    low, high = edges[0], edges[last + 1]
    scale = (last + 1) / (high - low)
    for j in range(ids.shape[0]):
        line, own = ids[j], values[j]
        for k in range(len(line)):
            row, value = rows[line[k] - base], own[k]
            if row < 0 or not low <= value <= high:
                continue
            # A guess, put right by the edges themselves.
            place = np.int64(min(np.float64(last), (value - low) * scale))
            while value < edges[place]:
                place -= 1
            while place < last and value >= edges[place + 1]:
                place += 1
            out[row, place] += 1


def count_values(groups: Groups, values: Array) -> tuple[Array, Array, Array]:
    """Count how often each value occurs in each row.

    Parameters
    ----------
    groups : Groups
        Labels, shape (z, y, x).
    values : ndarray of integers of at most 16 bits, shape (z, y, x)
        Values.

    Returns
    -------
    row, value, count : ndarray of int32
        By row, then by value.
    """
    plain = np.ascontiguousarray(values, dtype=np.int32)
    starts = np.zeros(len(groups) + 1, np.int64)
    _sizes(groups.ids, groups.base, groups.rows, starts)
    np.cumsum(starts, out=starts)
    apart = np.empty(int(starts[-1]), np.int32)
    _set_apart(groups.ids, groups.base, groups.rows, plain, starts.copy(), apart)
    low, high = (int(plain.min()), int(plain.max())) if plain.size else (0, 0)
    table = np.zeros(high - low + 1, np.int32)
    out = np.empty((3, len(apart)), np.int32)
    used = _tally(apart, starts, low, table, out)
    return out[0, :used], out[1, :used], out[2, :used]


@kernel
def _sizes(ids, base, rows, starts):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(ids.shape[0]):
        for j in range(ids.shape[1]):
            for name in ids[i, j]:
                row = rows[name - base]
                if row >= 0:
                    starts[row + 1] += 1


@kernel
def _set_apart(ids, base, rows, values, places, apart):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(ids.shape[0]):
        for j in range(ids.shape[1]):
            line, own = ids[i, j], values[i, j]
            for k in range(len(line)):
                row = rows[line[k] - base]
                if row >= 0:
                    apart[places[row]] = own[k]
                    places[row] += 1


@kernel
def _tally(apart: Any, starts: Any, low: int, table: Any, out: Any) -> int:  # pragma: no cover
    used = 0
    for row in range(len(starts) - 1):
        first: Any = len(table)
        last: Any = -1
        for value in apart[starts[row] : starts[row + 1]]:
            place = value - low
            table[place] += 1
            first, last = min(first, place), max(last, place)
        for place in range(first, last + 1):
            if table[place]:
                out[0, used], out[1, used], out[2, used] = row, place + low, table[place]
                table[place] = 0
                used += 1
    return used
