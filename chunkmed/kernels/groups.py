"""Labels of a block as rows of a table, and the runs of equal labels along its rows of voxels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import kernel, part
from chunkmed.kernels.distinct import distinct

__all__ = ["Groups", "groups_of", "run_ends"]


@dataclass(frozen=True)
class Groups:
    """Labels of a block as rows of a table."""

    ids: Array
    """int32, (z, y, x)."""
    base: int
    """Lowest id."""
    rows: Array
    """int32, the row of each id from the lowest on; -1 for what is not counted."""
    names: Array
    """int64, the label of each row, ascending."""

    def __len__(self) -> int:
        return len(self.names)


def groups_of(labels: Array, *, background: bool = True) -> Groups:
    """Return the labels of a block as rows of a table.

    Parameters
    ----------
    labels : ndarray of integers or bool, shape (z, y, x)
        May be broadcast (strides of zero).
    background : bool
        Whether label 0 is counted.
    """
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, -1)
    # Numbers far apart: a table of all between would be larger than the block.
    groups = _far_apart(labels) if high - low > labels.size + 1024 else _dense(labels, low, high)
    zero = np.flatnonzero(groups.names == 0)
    if background or not len(zero):
        return groups
    groups.rows[groups.rows == zero[0]] = -1
    groups.rows[groups.rows > zero[0]] -= 1
    return replace(groups, names=np.delete(groups.names, zero))


def _far_apart(labels: Array) -> Groups:
    flat = np.ascontiguousarray(labels).reshape(-1)
    # Runs of the same label as one, for sorting takes long.
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    found = flat[starts]
    names = distinct(found)
    ids = np.repeat(np.searchsorted(names, found).astype(np.int32), np.diff(starts, append=flat.size))
    rows = np.arange(len(names), dtype=np.int32)
    return Groups(ids.reshape(labels.shape), 0, rows, names.astype(np.int64))


def _dense(labels: Array, low: int, high: int) -> Groups:
    if labels.dtype.itemsize < 4 or labels.dtype == np.int32:
        ids, base = np.ascontiguousarray(labels, dtype=np.int32), low
    else:
        ids, base = np.ascontiguousarray(labels - labels.dtype.type(low), dtype=np.int32), 0
    seen = np.zeros(high - low + 1, bool)
    _mark(ids, base, seen)
    return Groups(ids, base, np.cumsum(seen, dtype=np.int32) - np.int32(1), np.flatnonzero(seen) + low)


@part
def run_ends(line, ends):  # type: ignore[no-untyped-def] # pragma: no cover
    """Write the ends of runs of equal labels; return how many there are."""
    # Without branches, which the processor could not foresee.
    count, last = 0, len(line) - 1
    for k in range(last):
        ends[count] = k + 1
        count += line[k] != line[k + 1]
    if last >= 0:
        ends[count] = last + 1
        count += 1
    return count


@kernel
def _mark(ids, base, seen):  # type: ignore[no-untyped-def] # pragma: no cover
    ends = np.empty(ids.shape[2] + 1, np.int64)
    for i in range(ids.shape[0]):
        for j in range(ids.shape[1]):
            line, a = ids[i, j], 0
            for run in range(run_ends(line, ends)):
                seen[line[a] - base] = True
                a = ends[run]
