"""Counts of one block: how often each value, each bin, each range of keys occurs in each group of voxels.

Voxels come flat, with the number of their group (-1 for none); without numbers all are one group.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import kernel
from chunkmed.kernels.keys import FLOAT, Keys

__all__ = ["count_bins", "count_keys", "count_patterns", "gather_keys", "number_groups"]

#: Floats are converted in pieces that stay in the cache.
_PIECE = 1 << 15
_NOBODY = np.empty(0, np.int32)


def number_groups(labels: Array, names: Array | None) -> Array:
    """Return the place of each label among ``names``, int32; -1 where it has none.

    Parameters
    ----------
    labels : ndarray, flat
        Any dtype.
    names : ndarray, ascending, or None
        None: 0 for labels above zero.
    """
    if names is None:
        return np.asarray(np.where(labels > 0, np.int32(0), np.int32(-1)))
    whole = labels.dtype.kind in "bi" or (labels.dtype.kind == "u" and labels.dtype.itemsize < 8)
    span = int(names[-1]) - int(names[0]) + 1 if len(names) and whole and names.dtype.kind in "bi" else 0
    if not 0 < span <= 4 * len(names) + (1 << 16):
        place = np.minimum(np.searchsorted(names, labels), max(0, len(names) - 1))
        found = names[place] == labels if len(names) else np.zeros(labels.shape, bool)
        return np.asarray(np.where(found, place, -1), np.int32)
    table = np.full(span + 1, -1, np.int32)
    table[(names.astype(np.int64) - int(names[0]))] = np.arange(len(names))
    wide = labels.dtype.itemsize > 4 or labels.dtype == np.uint32
    plain = np.ascontiguousarray(labels, dtype=np.int64 if wide else np.int32)
    out: Array = _number(plain, np.int64(names[0]), table)
    return out


def count_patterns(values: Array, keys: Keys) -> Array:
    """Return how often each pattern of 8 or 16 bits occurs, int64."""
    # Four tables: equal neighbours would wait for one another.
    tables = np.zeros((4, 1 << keys.width), np.uint32)
    _count_patterns(keys.bits(values), tables)
    out: Array = tables.sum(axis=0, dtype=np.int64)
    return out


def count_keys(
    values: Array,
    groups: Array | None,
    keys: Keys,
    starts: Array,
    prefixes: Array,
    below: int,
    digits: int,
) -> tuple[Array, Array]:
    """Count the next ``digits`` bits of keys that begin with one of the prefixes of their group.

    Parameters
    ----------
    values : ndarray, flat
        Any dtype that has keys.
    groups : ndarray of int32, flat, or None
        Group of each value, -1 for none.
    keys : Keys
        Of the dtype.
    starts : ndarray of int64, shape (groups + 1,)
        Place of each group's prefixes.
    prefixes : ndarray of uint64
        The upper bits of keys, all but ``below``.
    below : int
        Bits after the prefix.
    digits : int
        Bits that are counted.

    Returns
    -------
    counts : ndarray of uint32, shape (prefixes, 2**digits)
    nans : ndarray of int64, shape (groups,)
    """
    table = np.zeros((len(prefixes), 1 << digits), np.uint32)
    nans = np.zeros(len(starts) - 1, np.int64)
    shifts = np.uint64(below - digits), np.uint64(0 if below == keys.width else below)
    for part, turned in _pieces(values, keys):
        which = _NOBODY if groups is None else groups[part]
        end = keys.kind == FLOAT, turned.dtype.type(keys.ones)
        if below == keys.width:
            _count_first(turned, end, which, groups is None, shifts[0], table, nans)
        else:
            _count_next(turned, end, which, groups is None, starts, prefixes, shifts, table, nans)
    return table, nans


def _pieces(values: Array, keys: Keys) -> Iterator[tuple[slice, Array]]:
    """Yield parts of values and their keys, in one of two dtypes so that few kernels are compiled."""
    bits = keys.bits(values)
    dtype = np.dtype(np.uint64 if keys.width == 64 else np.uint32)
    about = tuple(dtype.type(each) for each in (keys.sign, keys.ones, keys.infinity))
    for start in range(0, bits.size, _PIECE):
        part = slice(start, start + _PIECE)
        turned = bits[part].astype(dtype)
        if keys.kind:
            _turn(turned, keys.kind == FLOAT, *about)
        yield part, turned


def gather_keys(
    values: Array, groups: Array | None, keys: Keys, starts: Array, prefixes: Array, below: int
) -> tuple[Array, Array, Array]:
    """Return the place of the prefix (int32) and the key of every value that begins with it; NaN by group.

    Parameters
    ----------
    values, groups, keys, starts, prefixes, below
        As in :func:`count_keys`.
    """
    nans = np.zeros(len(starts) - 1, np.int64)
    first = below == keys.width
    shift = np.uint64(0 if first else below)
    places, found = [np.empty(0, np.int32)], [np.empty(0, np.uint64)]
    for part, turned in _pieces(values, keys):
        which = _NOBODY if groups is None else groups[part]
        end = keys.kind == FLOAT, turned.dtype.type(keys.ones)
        place, key = np.empty(len(turned), np.int32), np.empty(len(turned), np.uint64)
        more = which, groups is None, first, starts, prefixes, shift
        count = _gather_keys(turned, end, *more, place, key, nans)
        places.append(place[:count].copy())
        found.append(key[:count].copy())
    return np.concatenate(places), np.concatenate(found), nans


def count_bins(values: Array, groups: Array | None, edges: Array, count: int) -> Array:
    """Count values per bin and group: edges[i] <= value < edges[i + 1], the last edge included.

    Parameters
    ----------
    values : ndarray, flat
        Compared as float64. NaN is in no bin.
    groups : ndarray of int32, flat, or None
        Group of each value, -1 for none.
    edges : ndarray of float64, ascending
        Of the bins.
    count : int
        Number of groups.

    Returns
    -------
    ndarray of uint32, shape (count, bins)
    """
    table = np.zeros((count, len(edges) - 1), np.uint32)
    steps = np.diff(edges)
    even = len(steps) > 0 and 0 < steps[0] < np.inf and bool(np.allclose(steps, steps[0], rtol=1e-3, atol=0))
    scale = 1.0 / float(steps.mean()) if even else 0.0
    for start in range(0, values.size, _PIECE):
        part = slice(start, start + _PIECE)
        plain = np.ascontiguousarray(values[part], dtype=np.float64)
        which = _NOBODY if groups is None else groups[part]
        _count_bins(plain, which, groups is None, edges, scale, table)
    return table


@kernel
def _number(labels: Any, base: Any, table: Any) -> Any:  # pragma: no cover
    out, last = np.empty(len(labels), np.int32), np.uint64(len(table) - 1)
    for i in range(len(labels)):
        # The last entry is that of all others: no branch that the processor could not foresee.
        place = np.uint64(np.int64(labels[i]) - base)
        out[i] = table[min(place, last)]
    return out


@kernel
def _count_patterns(bits: Any, tables: Any) -> None:  # pragma: no cover
    a, b, c, d = tables[0], tables[1], tables[2], tables[3]
    whole = len(bits) // 4 * 4
    for i in range(0, whole, 4):
        a[bits[i]] += np.uint32(1)
        b[bits[i + 1]] += np.uint32(1)
        c[bits[i + 2]] += np.uint32(1)
        d[bits[i + 3]] += np.uint32(1)
    for i in range(whole, len(bits)):
        a[bits[i]] += np.uint32(1)


@kernel
def _turn(bits, floats, sign, ones, infinity):  # type: ignore[no-untyped-def] # pragma: no cover
    # Without branches, so that LLVM vectorises it. What is no number becomes the highest key.
    for i in range(len(bits)):
        raw = bits[i]
        if floats:
            turned = (raw ^ ones) if raw & sign else (raw | sign)
            bits[i] = ones if (raw & (sign ^ ones)) > infinity else turned
        else:
            bits[i] = raw ^ sign


@kernel
def _count_first(keys, end, groups, alone, shift, table, nans):  # type: ignore[no-untyped-def] # pragma: no cover
    floats, ones = end
    if alone:
        row = table[0]
        for i in range(len(keys)):
            if floats and keys[i] == ones:
                nans[0] += 1
            else:
                row[np.uint64(keys[i]) >> shift] += np.uint32(1)
        return
    for i in range(len(keys)):
        group = groups[i]
        if group >= 0:
            if floats and keys[i] == ones:
                nans[group] += 1
            else:
                table[group, np.uint64(keys[i]) >> shift] += np.uint32(1)


@kernel
def _count_next(keys, end, groups, alone, starts, prefixes, shifts, table, nans):  # type: ignore[no-untyped-def] # pragma: no cover
    floats, ones = end
    mask = np.uint64(table.shape[1] - 1)
    for i in range(len(keys)):
        group = 0 if alone else groups[i]
        if group < 0:
            continue
        if floats and keys[i] == ones:
            nans[group] += 1
            continue
        value = np.uint64(keys[i])
        for slot in range(starts[group], starts[group + 1]):
            if prefixes[slot] == value >> shifts[1]:
                table[slot, (value >> shifts[0]) & mask] += np.uint32(1)
                break


@kernel
def _gather_keys(keys, end, groups, alone, first, starts, prefixes, shift, places, found, nans):  # type: ignore[no-untyped-def] # pragma: no cover
    floats, ones = end
    count = 0
    for i in range(len(keys)):
        group = 0 if alone else groups[i]
        if group < 0:
            continue
        if floats and keys[i] == ones:
            nans[group] += 1
            continue
        value = np.uint64(keys[i])
        for slot in range(starts[group], starts[group + 1]):
            if first or prefixes[slot] == value >> shift:
                places[count], found[count] = slot, value
                count += 1
                break
    return count


@kernel
def _count_bins(values, groups, alone, edges, scale, table):  # type: ignore[no-untyped-def] # pragma: no cover
    last = np.int64(len(edges) - 2)
    for i in range(len(values)):
        group = 0 if alone else groups[i]
        value = values[i]
        if group < 0 or not (edges[0] <= value <= edges[last + 1]):
            continue
        if scale > 0.0:
            # A guess, put right by comparison with the edges themselves.
            place = np.int64((value - edges[0]) * scale)
            place = min(last, max(np.int64(0), place))
            while place > 0 and value < edges[place]:
                place -= 1
            while place < last and value >= edges[place + 1]:
                place += 1
        else:
            place = min(last, np.int64(np.searchsorted(edges, value, side="right") - 1))
        table[group, place] += np.uint32(1)
