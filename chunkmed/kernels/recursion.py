"""Recursive filters along an axis, forward and backward, many lines side by side."""

from __future__ import annotations

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import kernel, part

__all__ = ["filter_lines"]

#: Lines that are taken side by side.
_LINES = 256


def filter_lines(values: Array, gain: float, poles: Array, ends: int) -> None:
    """Filter along the middle axis, in place.

    Parameters
    ----------
    values : ndarray of float64, shape (outer, n, inner)
        Contiguous.
    gain : float
        Factor of all values.
    poles : ndarray of float64
        One pass forward and one backward for each.
    ends : int
        How lines go on: 0 mirrored at the last voxel, 3 mirrored behind it (1: as scipy before 1.18 did),
        2 from the other side.
    """
    if values.shape[2] == 1:
        _filter_rows(values.reshape(values.shape[0], values.shape[1]), gain, poles, ends)
    else:
        _filter_columns(values, gain, poles, ends)


@kernel
def _filter_rows(rows, gain, poles, ends):  # type: ignore[no-untyped-def] # pragma: no cover
    count, n = rows.shape
    tile = np.empty((n, 16))
    for first in range(0, count, 16):
        lines = min(16, count - first)
        # Turned round: a line after the other would wait for each of its own results.
        for i in range(lines):
            for k in range(n):
                tile[k, i] = rows[first + i, k]
        _filter(tile, gain, poles, ends)
        for i in range(lines):
            for k in range(n):
                rows[first + i, k] = tile[k, i]


@kernel
def _filter_columns(values, gain, poles, ends):  # type: ignore[no-untyped-def] # pragma: no cover
    n, inner = values.shape[1], values.shape[2]
    tile = np.empty((n, min(_LINES, inner)))
    for o in range(values.shape[0]):
        for left in range(0, inner, _LINES):
            side = min(_LINES, inner - left)
            part = tile if side == tile.shape[1] else np.empty((n, side))
            for k in range(n):
                part[k] = values[o, k, left : left + side]
            _filter(part, gain, poles, ends)
            for k in range(n):
                values[o, k, left : left + side] = part[k]


@part
def _filter(tile, gain, poles, ends):  # type: ignore[no-untyped-def] # pragma: no cover
    n = tile.shape[0]
    for k in range(n):
        _scale(tile[k], gain)
    for j in range(poles.shape[0]):
        z = poles[j]
        _first(tile, z, ends)
        for k in range(1, n):
            _add(tile[k], tile[k - 1], z)
        _last(tile, z, ends)
        for k in range(n - 2, -1, -1):
            _subtract_from(tile[k], tile[k + 1], z)


@part
def _first(tile, z, ends):  # type: ignore[no-untyped-def] # pragma: no cover
    """Set the first value of the pass forward: a sum over the line as it goes on before its start."""
    n, power = tile.shape[0], z
    first = tile[0].copy() if ends == 1 or ends == 3 else tile[0]
    whole = z ** (n - 1 if ends == 0 else n)
    if ends == 2:
        for i in range(1, n):
            _add(tile[0], tile[n - i], power)
            power *= z
        _scale(tile[0], 1 / (1 - power))
        return
    _add(tile[0], tile[n - 1], whole)
    for i in range(1, n - 1 if ends == 0 else n):
        # Further away nothing changes any more.
        if abs(power) < 1e-40:
            break
        other = first if ends == 3 and i == n - 1 else tile[n - 1 - i]
        _add_both(tile[0], tile[i], other, power, whole)
        power *= z
    if ends == 0:
        _scale(tile[0], 1 / (1 - whole * whole))
    else:
        _scale(tile[0], z / (1 - whole * whole))
        _add(tile[0], first, 1.0)


@part
def _last(tile, z, ends):  # type: ignore[no-untyped-def] # pragma: no cover
    n, power = tile.shape[0], z
    if ends == 0:
        _add(tile[n - 1], tile[n - 2], z)
        _scale(tile[n - 1], z / (z * z - 1))
    elif ends == 1 or ends == 3:
        _scale(tile[n - 1], z / (z - 1))
    else:
        for i in range(n - 1):
            _add(tile[n - 1], tile[i], power)
            power *= z
        _scale(tile[n - 1], z / (power - 1))


@part
def _scale(out, factor):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] *= factor


@part
def _add(out, line, factor):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] += factor * line[i]


@part
def _add_both(out, line, other, factor, share):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] += factor * (line[i] + share * other[i])


@part
def _subtract_from(out, line, factor):  # type: ignore[no-untyped-def] # pragma: no cover
    for i in range(out.shape[0]):
        out[i] = factor * (line[i] - out[i])
