"""Filters of a Fourier transform, box by box: factors that depend on the frequency of a voxel.

Frequencies count from 0 up to half the length of an axis and then from below up to -1, as a transform
puts them; along the axis of a real transform they only count up. scipy.ndimage is the reference:
tables along the axes are scipy's own, or made as it makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.ndimage
import scipy.special

from chunkmed.kernels import Array

__all__ = ["ellipsoid", "frequencies", "product", "scipys_table", "shifted"]

Box = Sequence[tuple[int, int]]

#: Elements that are made at a time.
_PIECE = 1 << 15


def frequencies(length: int, real: bool) -> Array:
    """Return the frequency of each element of an axis."""
    count = np.arange(length)
    return count if real else np.where(count < (length + 1) // 2, count, count - length)


def scipys_table(name: str, length: int, value: float, n: int) -> Array:
    """Return the factors of one axis: what scipy makes of a line of ones."""
    return np.asarray(getattr(scipy.ndimage, name)(np.ones(length), value, n))


def _near(tables: Sequence[Array | None], box: Box) -> list[Array | float]:
    """Return the part of each axis' table that a box needs, ready to broadcast; axes of None have none."""
    ndim = len(box)
    return [
        table[start:stop].reshape([-1 if other == axis else 1 for other in range(ndim)])
        for axis, (table, (start, stop)) in enumerate(zip(tables, box, strict=True))
        if table is not None
    ]


def product(block: Array, *, tables: Sequence[Array | None], output: Any, box: Box) -> Array:
    """Return a block times the product of a factor per axis.

    Parameters
    ----------
    block : ndarray
        Real or complex, any number of axes.
    tables : sequence of ndarray or None
        Factors along each axis.
    output : dtype
        Of the result.
    box : sequence of (start, stop)
        Where the block lies.
    """
    return _in_pieces(_product, block, tables, output, box)


def ellipsoid(block: Array, *, tables: Sequence[Array | None], output: Any, box: Box) -> Array:
    """Return a block times the transform of an ellipse or an ellipsoid.

    ``tables`` hold squares of phases along two or three axes; the rest is as in :func:`product`.
    """
    return _in_pieces(_ellipsoid, block, tables, output, box)


def shifted(block: Array, *, tables: Sequence[Array | None], output: Any, box: Box) -> Array:
    """Return a block times a phase, as complex numbers: the transform of a shifted image.

    ``tables`` hold phases along each axis; the rest is as in :func:`product`.
    """
    return _in_pieces(_shifted, block, tables, output, box)


def _in_pieces(
    make: Callable[[Array, Sequence[Any], Array], None],
    block: Array,
    tables: Sequence[Array | None],
    output: Any,
    box: Box,
) -> Array:
    """Make a block plane after plane: what is made on the way fits into the processor's cache."""
    out = np.empty(block.shape, output)
    length = block.shape[0]
    step = max(1, _PIECE // max(1, block.size // max(1, length)))
    for start in range(0, length, step):
        stop = min(start + step, length)
        near = ((box[0][0] + start, box[0][0] + stop), *box[1:])
        make(block[start:stop], _near(tables, near), out[start:stop])
    return out


def _product(block: Array, parts: Sequence[Any], out: Array) -> None:
    factor: Any = 1.0
    for part in parts:
        factor = factor * part
    _scale(block, factor, out)


def _ellipsoid(block: Array, parts: Sequence[Any], out: Array) -> None:
    squares: Any = 0.0
    for part in parts:
        squares = squares + part
    r = np.sqrt(squares)
    with np.errstate(invalid="ignore", divide="ignore"):
        if len(parts) == 2:
            factor = 2.0 * scipy.special.j1(r) / r
        else:
            factor = 3.0 * (np.sin(r) - r * np.cos(r)) / (r * r * r)
    _scale(block, np.where(r > 0.0, factor, 1.0), out)


def _shifted(block: Array, parts: Sequence[Any], out: Array) -> None:
    phase: Any = 0.0
    for part in parts:
        phase = phase + part
    cosine, sine = np.cos(phase), np.sin(phase)
    if block.dtype.kind == "c":
        real, imaginary = _double(block.real), _double(block.imag)
        out.real, out.imag = real * cosine - imaginary * sine, real * sine + imaginary * cosine
    else:
        out.real, out.imag = _double(block) * cosine, _double(block) * sine


def _scale(block: Array, factor: Any, out: Array) -> None:
    if block.dtype.kind != "c":
        out[...] = _double(block) * factor
    else:
        # Apart: a complex product would turn an infinite part into NaN.
        out.real, out.imag = _double(block.real) * factor, _double(block.imag) * factor


def _double(values: Array) -> Array:
    return values.astype(np.float64, copy=False)
