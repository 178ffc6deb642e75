"""Flood from voxel to voxel: which are reached in the end, whatever the neighbourhood."""

from __future__ import annotations

import numpy as np

from chunkmed.kernels.compiled import kernel

__all__ = ["flood"]


@kernel
def flood(state, shape, steps):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Set bit 0 of voxels whose bit 1 is set and that a voxel with bit 0 leads to, by steps (n, ndim)."""
    ndim = len(shape)
    strides = np.ones(ndim, np.int64)
    for axis in range(ndim - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    # Every voxel is put on the stack once at most.
    stack, place = np.empty(state.size, np.int64), np.empty(ndim, np.int64)
    top = 0
    for i in range(state.size):
        if state[i] & 1:
            stack[top] = i
            top += 1
    while top > 0:
        top -= 1
        at = rest = stack[top]
        for axis in range(ndim):
            place[axis] = rest // strides[axis]
            rest -= place[axis] * strides[axis]
        for k in range(len(steps)):
            other, inside = at, True
            for axis in range(ndim):
                there = place[axis] + steps[k, axis]
                inside = inside and 0 <= there < shape[axis]
                other += steps[k, axis] * strides[axis]
            if inside and state[other] == 2:
                state[other] = 3
                stack[top] = other
                top += 1
