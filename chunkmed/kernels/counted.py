"""Counts of the values of several blocks become one table: a row per label and value, both ascending."""

from __future__ import annotations

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import kernel, writable
from chunkmed.kernels.distinct import distinct

__all__ = ["Columns", "merge_counts"]

#: Label, value, count.
Columns = tuple[Array, Array, Array]


def merge_counts(parts: list[Columns]) -> Columns:
    """Return the counts of all parts.

    Parameters
    ----------
    parts : list of (label, value, count)
        Integers of one length each; in any order, and the same label and value more than once.
    """
    ready = [_ordered(part) for part in parts if len(part[0])]
    # Two and two: each row is moved as often as the number of parts can be halved.
    while len(ready) > 1:
        pairs = zip(ready[::2], ready[1::2], strict=False)
        ready = [_joined(*pair) for pair in pairs] + ready[len(ready) // 2 * 2 :]
    return ready[0] if ready else parts[0]


def _ordered(part: Columns) -> Columns:
    label, value, count = map(writable, part)
    if _is_ordered(label, value):
        return label, value, count
    labels, values = distinct(label), distinct(value)
    key = np.searchsorted(labels, label) * len(values) + np.searchsorted(values, value)
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    chosen = order[first]
    return label[chosen], value[chosen], np.add.reduceat(count[order], first)


def _joined(first: Columns, second: Columns) -> Columns:
    room = len(first[0]) + len(second[0])
    out = tuple(np.empty(room, column.dtype) for column in first)
    used = _join(*first, *second, *out)
    label, value, count = (column[:used] for column in out)
    return label, value, count


@kernel
def _is_ordered(label, value):  # type: ignore[no-untyped-def] # pragma: no cover
    for k in range(1, len(label)):
        if label[k] < label[k - 1] or (label[k] == label[k - 1] and value[k] <= value[k - 1]):
            return False
    return True


@kernel
def _join(label, value, count, labels, values, counts, to_label, to_value, to_count):  # type: ignore[no-untyped-def] # pragma: no cover
    i, j, used = 0, 0, 0
    while i < len(label) or j < len(labels):
        mine = j == len(labels) or (
            i < len(label) and (label[i] < labels[j] or (label[i] == labels[j] and value[i] <= values[j]))
        )
        both = mine and i < len(label) and j < len(labels)
        both = both and label[i] == labels[j] and value[i] == values[j]
        if mine:
            to_label[used], to_value[used], to_count[used] = label[i], value[i], count[i]
            i += 1
            if both:
                to_count[used] += counts[j]
                j += 1
        else:
            to_label[used], to_value[used], to_count[used] = labels[j], values[j], counts[j]
            j += 1
        used += 1
    return used
