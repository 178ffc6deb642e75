"""Lower envelopes of parabolas along the middle axis of a contiguous array.

Neighbouring lines are taken together, so that loads stay contiguous whatever the axis is. Most voxels
have their nearest background close by: the parabolas around are tried one by one, for all lines at a
time; only where that does not tell is a line looked at as a whole.
"""

from __future__ import annotations

import numba
import numpy as np

from chunkmed.kernels.parabolas import solve

__all__ = ["envelopes", "heights"]

#: Lines that are taken at a time: a few lines of the processor's cache of float64.
_LANES = 16
#: Voxels to each side that are tried one by one, before a line is looked at as a whole.
_REACH = 16
#: What is closer than this to the lowest may be equal, but for rounding.
_MORE = 1 + 1e-12


@numba.njit(nogil=True, cache=True)
def envelopes(source, out, positions, step, even, start, root):  # type: ignore[no-untyped-def] # pragma: no cover
    """Fill ``out`` with the lower envelope of one parabola a voxel, along each line.

    Parameters
    ----------
    source : ndarray, shape (outer, n, inner)
        Height of each parabola, inf where there is none.
    out : ndarray of float64, shape (outer, m, inner)
        From index ``start`` of the lines on.
    positions, step
        Where the voxels lie, in steps.
    even : bool
        Whether they lie at even distances.
    root : bool
        Whether roots are wanted.
    """
    outer, n, inner = source.shape
    # Rows beside the lines hold no parabola: windows need not ask where they end.
    tile = np.full((n + 2 * _REACH, _LANES), np.inf)
    found = np.zeros((n, _LANES))
    line, hull, winners = np.empty(n), np.empty(n + 2, np.int64), np.empty(n, np.int64)
    reach = _REACH if even else 0
    flat = inner == 1
    for o in range(1 if flat else outer):
        for lane in range(0, outer if flat else inner, _LANES):
            count = min(_LANES, (outer if flat else inner) - lane)
            if flat:
                for k in range(count):
                    _copy(source[lane + k, :, 0], tile[_REACH : _REACH + n, k])
            else:
                for i in range(n):
                    _copy(source[o, i, lane : lane + count], tile[_REACH + i])
            flags, second = np.zeros(_LANES), np.empty(_LANES)
            worst = np.zeros(_LANES)
            for i in range(n):
                _near(tile, i, reach, step, flags, second, found[i], worst)
            for k in range(count):
                if worst[k] < 0.0:
                    line[:] = tile[_REACH : _REACH + n, k]
                    solve(line, positions, step, hull, winners, found[:, k], False)
            if flat:
                for k in range(count):
                    _put(found[start : start + out.shape[1], k], out[lane + k, :, 0], root)
            else:
                for i in range(out.shape[1]):
                    _put(found[start + i], out[o, i, lane : lane + count], root)


@numba.njit(nogil=True, cache=True, inline="never")
def _copy(row, out):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    for x in range(len(row)):
        out[x] = row[x]


@numba.njit(nogil=True, cache=True, inline="never")
def _put(row, out, root):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    if root:
        for x in range(len(out)):
            out[x] = np.sqrt(row[x])
    else:
        for x in range(len(out)):
            out[x] = row[x]


@numba.njit(nogil=True, cache=True, inline="never")
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


@numba.njit(nogil=True, cache=True)
def _four_lower(tile, at, k, step, second, out):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Try four parabolas to each side, all lines at a time."""
    for x in range(_LANES):
        best, other = out[x], second[x]
        for j in range(k, k + 4):
            square = (j * step) * (j * step)
            best, other = _lower(tile[at - j, x] + square, best, other)
            best, other = _lower(tile[at + j, x] + square, best, other)
        out[x], second[x] = best, other


@numba.njit(nogil=True, cache=True)
def _lower(value, best, other):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Keep the lowest, and the lowest of those that are higher."""
    higher = value if value > best else best
    higher = np.inf if value == best else higher
    return value if value < best else best, higher if higher < other else other


@numba.njit(nogil=True, cache=True)
def heights(offsets, step, none, out):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Fill ``out`` with the squares of offsets, inf where they say "none"."""
    for i in range(len(offsets)):
        length = offsets[i] * step
        out[i] = np.inf if offsets[i] == none else length * length
