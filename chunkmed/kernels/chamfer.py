"""City-block and chessboard distances of a block, one axis at a time: exact in whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.axes import lines
from chunkmed.kernels.compiled import kernel, part

__all__ = ["chessboard", "taxicab"]

#: Where there is no background; one more still fits int32.
_FAR = 1 << 30
#: Lines that are taken at a time: a line of the processor's cache of int32.
_LANES = 16


def taxicab(block: Array, *, keep: tuple[slice, ...], axis: int, first: bool, nowhere: Any) -> Array:
    """Return city-block distances over one more axis.

    Parameters
    ----------
    block : ndarray of int
        Distances (int32) over the axes before; with ``first`` offsets along one.
    keep : tuple of slice
        The part that is wanted.
    axis : int
        The axis that is added; lines along it are whole.
    first : bool
        Whether the block holds offsets.
    nowhere : int, optional
        What to put where there is no background, in the last pass.
    """
    out = _lengths(block, first)
    _add_steps(out.reshape(lines(out.shape, axis)))
    return _finished(out[keep], nowhere)


def chessboard(block: Array, *, keep: tuple[slice, ...], axis: int, first: bool, nowhere: Any) -> Array:
    """Return chessboard distances over one more axis; parameters as of :func:`taxicab`."""
    block = _lengths(block, first)
    out = np.empty([k.stop - k.start for k in keep], np.int32)
    _widest_steps(
        block.reshape(lines(block.shape, axis)), out.reshape(lines(out.shape, axis)), keep[axis].start
    )
    return _finished(out, nowhere)


def _lengths(block: Array, first: bool) -> Array:
    """Return a copy as int32, offsets without their sign."""
    if not first:
        return np.array(block, np.int32, order="C")
    out = np.abs(block.astype(np.int32))
    out[block == np.iinfo(block.dtype).min] = _FAR
    return out


def _finished(out: Array, nowhere: Any) -> Array:
    if nowhere is None:
        return out
    lost = out >= _FAR
    out = out.astype(np.asarray(nowhere).dtype, copy=False)
    out[lost] = nowhere
    return out


@kernel
def _add_steps(out):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    outer, n = out.shape[:2]
    for o in range(outer):
        for i in range(1, n):
            _one_more(out[o, i - 1], out[o, i])
        for i in range(n - 2, -1, -1):
            _one_more(out[o, i + 1], out[o, i])


@part
def _one_more(other, row):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    for x in range(len(row)):
        row[x] = min(row[x], other[x] + np.int32(1))


@kernel
def _widest_steps(source, out, start):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    outer, n, inner = source.shape
    flat = inner == 1
    tile, found = np.full((n, _LANES), np.int32(_FAR)), np.empty(_LANES, np.int32)
    lowest = np.empty(_LANES, np.int32)
    for o in range(1 if flat else outer):
        for lane in range(0, outer if flat else inner, _LANES):
            count = min(_LANES, (outer if flat else inner) - lane)
            for k in range(_LANES):
                lowest[k] = _FAR
            for i in range(n):
                for k in range(count):
                    tile[i, k] = source[lane + k, i, 0] if flat else source[o, i, lane + k]
                    lowest[k] = min(lowest[k], tile[i, k])
                for k in range(count, _LANES):
                    tile[i, k] = 0
            for i in range(out.shape[1]):
                _nearest(tile, start + i, lowest, found)
                for k in range(count):
                    if flat:
                        out[lane + k, i, 0] = found[k]
                    else:
                        out[o, i, lane + k] = found[k]


@part
def _nearest(tile, i, lowest, out):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Try one step more to both sides, until more steps are wider than what was found in all lines."""
    for x in range(_LANES):
        out[x] = tile[i, x]
    k = 1
    while k < len(tile):
        most = np.int32(0)
        for x in range(_LANES):
            # Lines without any background find nothing, however far they look.
            here = out[x] if lowest[x] < _FAR else np.int32(0)
            most = max(most, here)
        if k >= most:
            break
        for wide in range(k, min(k + 4, len(tile))):
            if i >= wide:
                _wider(tile[i - wide], np.int32(wide), out)
            if i + wide < len(tile):
                _wider(tile[i + wide], np.int32(wide), out)
        k += 4


@part
def _wider(row, k, out):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    for x in range(_LANES):
        out[x] = min(out[x], max(row[x], k))
