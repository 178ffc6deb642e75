"""The lower envelope of the parabolas of one line, operation for operation as scipy's."""

from __future__ import annotations

import numpy as np

from chunkmed.kernels.compiled import inlined, part

__all__ = ["solve"]


@part
def solve(heights, positions, step, hull, winners, values, latest):  # type: ignore[no-untyped-def] # pragma: no cover
    """Find the lowest parabola at every voxel of a line, between one background and the next.

    Parameters
    ----------
    heights : ndarray of float64, shape (n,)
        Of the parabola that begins at each voxel: inf where there is none, 0 on background.
    positions, step
        Where the voxels lie, in steps.
    hull, winners : ndarray of int64
        Room for n + 2 numbers; which parabola is lowest, -1 where there is none.
    values : ndarray of float64
        How high it is; on the way in negative in parts that are asked for.
    latest : bool
        Whether the later one of two that are as low counts.
    """
    n, i, before = len(heights), 0, -1
    while i < n:
        if heights[i] == 0.0:
            # Background: nothing reaches beyond it.
            winners[i], values[i], before = i, 0.0, i
            i += 1
            continue
        stop = i
        while stop < n and heights[stop] != 0.0:
            stop += 1
        asked = False
        for c in range(i, stop):
            asked |= values[c] < 0.0
        if not asked:
            i = stop
            continue
        last = -1
        if before >= 0:
            last = 0
            hull[0] = before
        for c in range(i, min(stop + 1, n)):
            if heights[c] < np.inf:
                last = _pushed(heights, positions, step, hull, last, c)
        _swept(heights, positions, step, hull, last, winners, values, i, stop, latest)
        i = stop


@inlined
def _pushed(heights, positions, step, hull, last, c):  # type: ignore[no-untyped-def] # pragma: no cover
    # As scipy, operation for operation: a parabola goes where the two around it are lower.
    while last >= 1:
        near, far = hull[last], hull[last - 1]
        a = (positions[near] - positions[far]) * step
        b = (positions[c] - positions[near]) * step
        both = a + b
        if both * heights[near] - b * heights[far] - a * heights[c] - a * b * both <= 0.0:
            break
        last -= 1
    hull[last + 1] = c
    return last + 1


@inlined
def _swept(heights, positions, step, hull, last, winners, values, start, stop, latest):  # type: ignore[no-untyped-def] # pragma: no cover
    if last < 0:
        for i in range(start, stop):
            winners[i], values[i] = -1, np.inf
        return
    at = 0
    for i in range(start, stop):
        length = (positions[hull[at]] - positions[i]) * step
        value = heights[hull[at]] + length * length
        while at < last:
            length = (positions[hull[at + 1]] - positions[i]) * step
            other = heights[hull[at + 1]] + length * length
            if value < other or (value == other and not latest):
                break
            value = other
            at += 1
        winners[i], values[i] = hull[at], value
