"""Weights of any shape: correlation as scipy.ndimage does it, to the last bit.

The block is padded as the border mode says and held as float64, a few planes at a time; a weight is
then a shift of whole rows, and scipy's order of additions, C order of the weights, is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import kernel
from chunkmed.kernels.outside import standing_for
from chunkmed.kernels.taps import convert, tap, taps4
from chunkmed.reused import empty

__all__ = ["correlate"]

#: Elements of the padded planes: they stay in the processor's second or third cache.
_PLANES = 1 << 19
_EPSILON = float(np.finfo(np.float64).eps)


def correlate(
    block: Array, weights: Array, mode: str, cval: float, origin: Sequence[int], output: Any
) -> Array:
    """Return :func:`scipy.ndimage.correlate` of a block.

    Parameters
    ----------
    block : ndarray
        At least one axis, of a dtype that :func:`chunkmed.kernels.convolve.supports`.
    weights : ndarray
        As many axes as the block.
    mode, cval, origin, output
        As in scipy; one origin per axis, ``output`` a dtype.
    """
    out = empty(block.shape, output)
    leads = [n // 2 + shift for n, shift in zip(weights.shape, origin, strict=True)]
    indices = [
        standing_for(np.arange(-lead, n + size - 1 - lead), n, mode)
        for n, size, lead in zip(block.shape, weights.shape, leads, strict=True)
    ]
    rest = indices[1:]
    size = max(1, int(np.prod([len(index) for index in rest])))
    planes = max(1, _PLANES // size)
    for start in range(0, block.shape[0], planes):
        stop = min(start + planes, block.shape[0])
        near = [indices[0][start : stop + weights.shape[0] - 1], *rest]
        _correlate_padded(_padded(block, near, cval), weights, out[start:stop])
    return out


def _padded(block: Array, indices: Sequence[Array], cval: float) -> Array:
    """Return what the indices stand for, as float64; the constant where an index is below 0."""
    inner = [index[index >= 0] if (index < 0).any() else index for index in indices]
    if all(len(part) == len(index) for part, index in zip(inner, indices, strict=True)):
        return _taken(block, indices)
    out = np.full([len(index) for index in indices], cval, np.float64)
    place = []
    for index in indices:
        found = np.flatnonzero(index >= 0)
        place.append(slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0))
    out[tuple(place)] = _taken(block, inner)
    return out


def _taken(block: Array, indices: Sequence[Array]) -> Array:
    for axis, index in enumerate(indices):
        if len(index) != block.shape[axis] or (np.diff(index) != 1).any() or (len(index) and index[0]):
            block = block.take(index, axis)
    return np.ascontiguousarray(block, np.float64)


def _correlate_padded(padded: Array, weights: Array, out: Array) -> None:
    strides = np.array(padded.strides, np.int64) // padded.itemsize
    used = np.abs(weights) > _EPSILON
    offsets = np.stack(np.nonzero(used), -1).astype(np.int64) @ strides
    rows = np.zeros(1, np.int64)
    for n, stride in zip(out.shape[:-1], strides[:-1], strict=True):
        rows = (rows[:, None] + np.arange(n) * stride).ravel()
    target = out.reshape(-1, out.shape[-1])
    _run(padded.reshape(-1), rows, offsets, weights[used].astype(np.float64), target, out.dtype.kind in "iu")


@kernel
def _run(padded, rows, offsets, weights, out, whole):  # type: ignore[no-untyped-def] # pragma: no cover
    n = out.shape[1]
    sums = np.empty(n, np.float64)
    for r in range(rows.shape[0]):
        sums[:] = 0.0
        k = 0
        while k + 4 <= weights.shape[0]:
            line, at, w = padded[rows[r] :], offsets[k : k + 4], weights[k : k + 4]
            taps4(sums, line[at[0] :], line[at[1] :], line[at[2] :], line[at[3] :], w[0], w[1], w[2], w[3])
            k += 4
        while k < weights.shape[0]:
            tap(sums, padded[rows[r] + offsets[k] :], weights[k])
            k += 1
        convert(out[r], 0, n, sums, 0, whole)
