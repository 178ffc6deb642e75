"""The nearest background along one axis: two scans over contiguous rows of lines."""

from __future__ import annotations

import numpy as np

from chunkmed.kernels.compiled import kernel, part

__all__ = ["nearest_even", "nearest_uneven"]

#: Lines of a scan: two rows of them stay in the first cache.
_WIDTH = 4096


@kernel
def nearest_even(mask, out, none, latest):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Fill ``out`` with the offset of the nearest zero of each line.

    Parameters
    ----------
    mask : ndarray of uint8, shape (outer, n, inner)
        Lines along the middle axis.
    out : ndarray of int16 or int32
        ``none`` where a line has no zero.
    none : int
        The lowest number of the dtype.
    latest : bool
        Whether the later one of two counts.
    """
    outer, n, inner = mask.shape
    far = -(none // 2) - 384
    for o in range(outer):
        for start in range(0, inner, _WIDTH):
            stop = min(start + _WIDTH, inner)
            run = np.full(stop - start, far, out.dtype)
            for i in range(n):
                _behind(mask[o, i, start:stop], run, out[o, i, start:stop])
            for x in range(stop - start):
                run[x] = far
            for i in range(n - 1, -1, -1):
                _ahead(mask[o, i, start:stop], run, out[o, i, start:stop], far, none, latest)


@part
def _behind(row, run, out):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    for x in range(len(row)):
        run[x] = out.dtype.type(0) if row[x] == 0 else run[x] + out.dtype.type(1)
        out[x] = run[x]


@part
def _ahead(row, run, out, far, none, latest):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    for x in range(len(row)):
        run[x] = 0 if row[x] == 0 else run[x] + 1
        near = run[x] if run[x] < out[x] + latest else -out[x]
        out[x] = none if min(out[x], run[x]) >= far else near


@kernel
def nearest_uneven(mask, out, positions, none, latest):  # type: ignore[no-untyped-def] # pragma: no cover
    """Do the same where the voxels of a line lie at uneven distances."""
    outer, n, inner = mask.shape
    for o in range(outer):
        for x in range(inner):
            last = -1
            for i in range(n):
                last = i if mask[o, i, x] == 0 else last
                out[o, i, x] = none if last < 0 else last - i
            last = -1
            for i in range(n - 1, -1, -1):
                last = i if mask[o, i, x] == 0 else last
                if last >= 0:
                    before = i + out[o, i, x]
                    ahead = abs(positions[last] - positions[i])
                    behind = np.inf if before < 0 else abs(positions[before] - positions[i])
                    if ahead < behind or (latest and ahead == behind):
                        out[o, i, x] = last - i
