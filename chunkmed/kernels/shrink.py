"""Halve an image along some of its axes: the mean of each window, or its most frequent value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import inlined, kernel, part

__all__ = ["shrink_mean", "shrink_mode"]


def shrink_mean(values: Array, factors: Sequence[int], padding: float | None = None) -> Array:
    """Return the mean of every window, padding and NaN left out.

    Parameters
    ----------
    values : ndarray, shape (t, z, y, x)
        Integers or floats.
    factors : sequence of 1 or 2
        Size of the window along z, y, x; windows at the end of an axis may be smaller.
    padding : float, optional
        Value that says that a voxel is outside what was measured.

    Returns
    -------
    ndarray, dtype of values
        Integers rounded to the nearest, halves to the even one, as ``np.rint``. A window without a
        value is padding where it holds any, else NaN.
    """
    plain = np.ascontiguousarray(_supported(values))
    out = np.empty(_shrunk(plain.shape, factors), plain.dtype)
    mark = None if padding is None else _as_value(padding, values.dtype)
    fz, fy, fx = (int(n) for n in factors)
    value, padded = np.zeros(1, plain.dtype)[0] if mark is None else plain.dtype.type(mark), mark is not None
    if plain.dtype.kind in "iu" and plain.dtype.itemsize == 8:
        wide = [array.view(np.int64) for array in (plain, out, value)]
        _mean_of_wide(wide[0], wide[1], fz, fy, fx, wide[2], padded, plain.dtype.kind == "u")
    elif plain.dtype.kind != "f" and mark is None:
        _mean_of_all(plain, out, fz, fy, fx, _zero(plain.dtype))
    else:
        _mean_of_valid(plain, out, fz, fy, fx, value, padded)
    return out.astype(values.dtype, copy=False)


def _supported(values: Array) -> Array:
    """Return values in a dtype that numba knows."""
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    return native.astype(np.float32) if native.dtype == np.float16 else native


def _as_value(padding: Any, dtype: np.dtype[Any]) -> Any:
    """Return the padding as a value of the image, None where no value can equal it."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            value = np.array(padding).astype(dtype.newbyteorder("="))[()]
            # A float is compared as the image holds it: -1000.1 is not the same number in float32.
            return value if np.ndim(value) == 0 and (dtype.kind == "f" or value == padding) else None
    except (ValueError, TypeError, OverflowError):
        return None


def _zero(dtype: np.dtype[Any]) -> Any:
    """Return the zero of a sum of eight values."""
    return np.int32(0) if dtype.itemsize <= 2 else np.int64(0)


def _shrunk(shape: Sequence[int], factors: Sequence[int]) -> list[int]:
    return [shape[0], *(-(-n // f) for n, f in zip(shape[1:], factors, strict=True))]


@kernel
def _mean_of_all(values, out, fz, fy, fx, zero):  # type: ignore[no-untyped-def] # pragma: no cover
    sums = np.empty(out.shape[3], type(zero))
    for t in range(out.shape[0]):
        for z in range(out.shape[1]):
            for y in range(out.shape[2]):
                z1 = min((z + 1) * fz, values.shape[1])
                y1 = min((y + 1) * fy, values.shape[2])
                sums[:] = zero
                for i in range(z * fz, z1):
                    for j in range(y * fy, y1):
                        _add_row(values[t, i, j], sums, fx)
                rows = (z1 - z * fz) * (y1 - y * fy)
                _divide_row(sums, out[t, z, y], rows, fx, values.shape[3])


@part
def _add_row(row, sums, fx):  # type: ignore[no-untyped-def] # pragma: no cover
    # Apart, on 1-D rows: LLVM vectorises these loops.
    if fx == 1:
        for x in range(len(row)):
            sums[x] += row[x]
        return
    for x in range(len(row) // 2):
        sums[x] += row[2 * x]
        sums[x] += row[2 * x + 1]
    if len(row) % 2:
        sums[len(sums) - 1] += row[len(row) - 1]


@part
def _divide_row(sums, out, rows, fx, n):  # type: ignore[no-untyped-def] # pragma: no cover
    scale = 1.0 / (rows * fx)
    for x in range(len(out)):
        # Windows hold 1, 2, 4 or 8 voxels: the product is exact, and so is the half.
        out[x] = np.rint(sums[x] * scale)
    if n % fx:
        out[len(out) - 1] = np.rint(sums[len(out) - 1] / rows)


@kernel
def _mean_of_valid(values, out, fz, fy, fx, padding, padded):  # type: ignore[no-untyped-def] # pragma: no cover
    sums, counts = np.empty(out.shape[3], np.float64), np.empty(out.shape[3], np.float64)
    pads = np.empty(out.shape[3], np.float64)
    for t in range(out.shape[0]):
        for z in range(out.shape[1]):
            for y in range(out.shape[2]):
                sums[:], counts[:], pads[:] = 0.0, 0.0, 0.0
                for i in range(z * fz, min((z + 1) * fz, values.shape[1])):
                    for j in range(y * fy, min((y + 1) * fy, values.shape[2])):
                        _add_valid_row(values[t, i, j], sums, counts, pads, fx, padding, padded)
                _divide_valid_row(sums, counts, pads, out[t, z, y], padding)


@part
def _add_valid_row(row, sums, counts, pads, fx, padding, padded):  # type: ignore[no-untyped-def] # pragma: no cover
    # With the step written out LLVM vectorises these loops.
    if fx == 1:
        for x in range(len(row)):
            _add_valid(row[x], x, sums, counts, pads, padding, padded)
        return
    for x in range(len(row) // 2):
        _add_valid(row[2 * x], x, sums, counts, pads, padding, padded)
        _add_valid(row[2 * x + 1], x, sums, counts, pads, padding, padded)
    if len(row) % 2:
        _add_valid(row[len(row) - 1], len(sums) - 1, sums, counts, pads, padding, padded)


@inlined
def _add_valid(value, x, sums, counts, pads, padding, padded):  # type: ignore[no-untyped-def] # pragma: no cover
    # NaN differs from itself.
    pad = padded & (value == padding)
    valid = (value == value) & (not pad)
    sums[x] += np.float64(value) if valid else 0.0
    counts[x] += 1.0 if valid else 0.0
    pads[x] += 1.0 if pad else 0.0


@part
def _divide_valid_row(sums, counts, pads, out, padding):  # type: ignore[no-untyped-def] # pragma: no cover
    whole = type(padding)(0.5) == 0
    for x in range(len(out)):
        if counts[x] > 0:
            mean = sums[x] / counts[x]
            out[x] = np.rint(mean) if whole else mean
        elif pads[x] > 0:
            out[x] = padding
        else:
            out[x] = np.nan


@kernel
def _mean_of_wide(values, out, fz, fy, fx, padding, padded, unsigned):  # type: ignore[no-untyped-def] # pragma: no cover
    # Sums of upper and lower halves: eight 64-bit integers do not fit into one, nor into a float64.
    for t in range(out.shape[0]):
        for z in range(out.shape[1]):
            for y in range(out.shape[2]):
                for x in range(out.shape[3]):
                    upper, lower, count = 0, 0, 0
                    for i in range(z * fz, min((z + 1) * fz, values.shape[1])):
                        for j in range(y * fy, min((y + 1) * fy, values.shape[2])):
                            for k in range(x * fx, min((x + 1) * fx, values.shape[3])):
                                value = values[t, i, j, k]
                                if padded and value == padding:
                                    continue
                                half = value >> 32
                                upper += half & 0xFFFFFFFF if unsigned else half
                                lower += value & 0xFFFFFFFF
                                count += 1
                    if count == 0:
                        out[t, z, y, x] = padding
                        continue
                    rest = ((upper % count) << 32) + lower
                    mean = ((upper // count) << 32) + rest // count
                    # Halves to the even one.
                    twice = 2 * (rest % count)
                    out[t, z, y, x] = mean + (twice > count or (twice == count and mean & 1 == 1))


def shrink_mode(values: Array, factors: Sequence[int]) -> Array:
    """Return the most frequent value of every window, of equally frequent ones the lowest.

    Parameters
    ----------
    values : ndarray of integers or bool, shape (t, z, y, x)
        Labels or a mask.
    factors : sequence of 1 or 2
        Size of the window along z, y, x; windows at the end of an axis may be smaller.
    """
    plain = np.ascontiguousarray(_supported(values))
    out = np.empty(_shrunk(plain.shape, factors), plain.dtype)
    fz, fy, fx = (int(n) for n in factors)
    _mode(plain, out, fz, fy, fx)
    return out.astype(values.dtype, copy=False)


@kernel
def _mode(values, out, fz, fy, fx):  # type: ignore[no-untyped-def] # pragma: no cover
    found, mixed = np.empty(8, values.dtype), np.empty(out.shape[3], np.bool_)
    for t in range(out.shape[0]):
        for z in range(out.shape[1]):
            for y in range(out.shape[2]):
                z1, y1 = min((z + 1) * fz, values.shape[1]), min((y + 1) * fy, values.shape[2])
                row = out[t, z, y]
                _first_of_window(values[t, z * fz, y * fy], row, mixed, fx)
                for i in range(z * fz, z1):
                    for j in range(y * fy, y1):
                        _compare_row(values[t, i, j], row, mixed, fx)
                # Nearly all windows lie inside one object or outside of all.
                for x in np.flatnonzero(mixed):
                    n = 0
                    for i in range(z * fz, z1):
                        for j in range(y * fy, y1):
                            for k in range(x * fx, min((x + 1) * fx, values.shape[3])):
                                found[n] = values[t, i, j, k]
                                n += 1
                    row[x] = _most_frequent(found, n)


@part
def _first_of_window(row, first, mixed, fx):  # type: ignore[no-untyped-def] # pragma: no cover
    for x in range(len(first)):
        first[x] = row[x * fx]
        mixed[x] = False


@part
def _compare_row(row, first, mixed, fx):  # type: ignore[no-untyped-def] # pragma: no cover
    for start in range(fx):
        for x in range((len(row) - start + fx - 1) // fx):
            mixed[x] |= row[x * fx + start] != first[x]


@part
def _most_frequent(found, n):  # type: ignore[no-untyped-def] # pragma: no cover
    best, most = found[0], 0
    for i in range(n):
        count = 0
        for j in range(n):
            count += found[j] == found[i]
        if count > most or (count == most and found[i] < best):
            best, most = found[i], count
    return best
