"""Lower envelopes of parabolas along the middle axis of a contiguous array.

Neighbouring lines are taken together, so that loads stay contiguous whatever the axis is. Most voxels
have their nearest background close by: the parabolas around are tried one by one, for all lines at a
time; only where that does not tell is a line looked at as a whole.
"""

from __future__ import annotations

import numpy as np

from chunkmed.kernels.compiled import kernel, part
from chunkmed.kernels.parabolas import solve

__all__ = ["envelopes", "heights"]

#: Lines that are taken at a time: a few lines of the processor's cache of float64.
_LANES = 16
#: float64 in a line of the processor's cache.
_LINE = 8
#: Voxels to each side that are tried one by one, before a line is looked at as a whole.
_REACH = 24
#: What is closer than this to the lowest may be equal, but for rounding.
_MORE = 1 + 1e-12


@kernel
def envelopes(source, sides, out, length, positions, step, even, start, root):  # type: ignore[no-untyped-def] # pragma: no cover
    """Fill ``out`` with the lower envelope of one parabola a voxel, along each line.

    Parameters
    ----------
    source : ndarray of float64
        Height of each parabola, inf where there is none, in C order.
    sides : (int, int, int)
        Shape of it; lines lie along the middle axis.
    out : ndarray of float64
        The same with ``length`` voxels of each line, from index ``start`` on.
    positions, step
        Where the voxels lie, in steps.
    even : bool
        Whether they lie at even distances.
    root : bool
        Whether roots are wanted.
    """
    outer, n, inner = sides
    # Rows beside the lines hold no parabola: windows need not ask where they end.
    tile, found = np.full((n + 2 * _REACH, _LANES), np.inf), np.zeros((n, _LANES))
    line, values = np.empty(n), np.empty(n)
    hull, winners = np.empty(n + 2, np.int64), np.empty(n, np.int64)
    flags, second, worst = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    # Along the last axis lines are taken from rows that follow each other.
    lanes, rounds = (outer, 1) if inner == 1 else (inner, outer)
    for o in range(rounds):
        for lane in range(0, lanes, _LANES):
            count = min(_LANES, lanes - lane)
            apart = n if inner == 1 else 1
            _take(source, o * n * inner + lane * apart, inner, apart, count, tile[_REACH : _REACH + n])
            for k in range(_LANES):
                flags[k], worst[k] = 0.0, 0.0
            for i in range(n):
                _near(tile, i, _REACH if even else 0, step, flags, second, found[i], worst)
            for k in range(count):
                if worst[k] < 0.0:
                    for i in range(n):
                        line[i], values[i] = tile[_REACH + i, k], found[i, k]
                    solve(line, positions, step, hull, winners, values, False)
                    for i in range(n):
                        found[i, k] = values[i]
            apart = length if inner == 1 else 1
            place = o * length * inner + lane * apart
            _put(found[start : start + length], out, place, inner, apart, count, root)


@part
def _take(source, first, step, apart, count, tile):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    # Of lines that lie apart a whole cache line at a time: they may all fall on one place of the cache.
    if apart == 1:
        for i in range(len(tile)):
            for x in range(count):
                tile[i, x] = source[first + i * step + x]
        return
    for begin in range(0, len(tile), _LINE):
        for x in range(count):
            for i in range(begin, min(begin + _LINE, len(tile))):
                tile[i, x] = source[first + i * step + x * apart]


@part
def _put(found, out, first, step, apart, count, root):  # type: ignore[no-untyped-def] # pragma: no cover
    if apart == 1:
        for i in range(len(found)):
            for x in range(count):
                out[first + i * step + x] = np.sqrt(found[i, x]) if root else found[i, x]
        return
    for begin in range(0, len(found), _LINE):
        for x in range(count):
            for i in range(begin, min(begin + _LINE, len(found))):
                out[first + i * step + x * apart] = np.sqrt(found[i, x]) if root else found[i, x]


@part
def _near(tile, i, reach, step, flags, second, out, worst):  # type: ignore[no-untyped-def] # pragma: no cover
    """Find the lowest of the parabolas that begin up to ``reach`` voxels away, of all lines.

    -1 where that does not tell: where the lowest may begin further away, where another one is as low
    but for rounding (scipy then has a choice of its own), and in what follows up to the next background.
    """
    at, most = i + _REACH, 0.0
    for x in range(_LANES):
        out[x], second[x] = tile[at, x], np.inf
        flags[x] = 0.0 if out[x] == 0.0 else flags[x]
        open_ = out[x] if flags[x] == 0.0 else 0.0
        most = max(most, open_)
    k = 1
    while k <= reach and most > 0.0 and (k * step) ** 2 <= most * _MORE:
        _four_lower(tile, at, k, step, second, out)
        k += 4
        most = 0.0
        for x in range(_LANES):
            open_ = out[x] if flags[x] == 0.0 else 0.0
            most = open_ if open_ > most else most
    enough = (reach * step) ** 2
    for x in range(_LANES):
        unsure = (second[x] <= out[x] * _MORE) | (out[x] > enough)
        flags[x] = 1.0 if unsure else flags[x]
        out[x] = -1.0 if flags[x] != 0.0 else out[x]
        worst[x] = out[x] if out[x] < worst[x] else worst[x]


@part
def _four_lower(tile, at, k, step, second, out):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Try four parabolas to each side, all lines at a time."""
    for x in range(_LANES):
        best, other = out[x], second[x]
        for j in range(k, k + 4):
            square = (j * step) * (j * step)
            best, other = _lower(tile[at - j, x] + square, best, other)
            best, other = _lower(tile[at + j, x] + square, best, other)
        out[x], second[x] = best, other


@part
def _lower(value, best, other):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Keep the lowest, and the lowest of those that are higher."""
    higher = value if value > best else best
    higher = np.inf if value == best else higher
    return value if value < best else best, higher if higher < other else other


@kernel
def heights(offsets, step, none, out):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Fill ``out`` with the squares of offsets, inf where they say "none"."""
    for i in range(len(offsets)):
        length = offsets[i] * step
        out[i] = np.inf if offsets[i] == none else length * length
