"""Sums that do not depend on the order of what is added: exact until they are rounded, once.

A float64 is an integer times a power of two. Sums of such integers are kept in words of 32 bits, one
for each place that a float64 can have, in int64 so that carries wait (Neal, "Fast exact summation using
small and large superaccumulators", 2015). Any blocks, in any order, give the same number to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import inlined, kernel, part, relaxed

__all__ = ["ROW_BYTES", "Sums", "number"]

#: Words of a sum: bits 0 (2**-1074) to 2098, and room for carries.
_WORDS = 68
#: Half a word's head room: carries are passed on before it is used up.
_UNTIL_CARRY = 1024
_LANES = 4
_LOWEST_BIT = 1074
#: Beyond these the square of a value, or what rounding takes off it, is no float64.
_LARGEST_SQUARED, _SMALLEST_SQUARED = 1e150, 1e-140
_SPLITTER = 134217729.0  # 2**27 + 1
_COUNT, _NANS, _PLUS, _MINUS = range(4)
#: Memory of the sums of one row.
ROW_BYTES = 2 * _WORDS * 8 + 6 * 8


@dataclass(frozen=True)
class Sums:
    """Sums, sums of squares, counts and ends of the rows of a table; added to in place."""

    words: Array
    """int64, (rows, 2, words): of the values and of their squares."""
    counts: Array
    """int64, (rows, 4): values that are finite, NaN, plus and minus infinity."""
    ends: Array
    """float64, (rows, 2): lowest and highest but for NaN."""

    @classmethod
    def of_nothing(cls, rows: int) -> Sums:
        """Return the sums of empty rows."""
        ends = np.full((rows, 2), np.inf)
        ends[:, 1] = -np.inf
        return cls(np.zeros((rows, 2, _WORDS), np.int64), np.zeros((rows, 4), np.int64), ends)

    def add(self, values: Array, squares: bool) -> None:
        """Add values, shape (rows, n), any real dtype that float64 holds."""
        native = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("="), copy=False))
        if native.dtype.kind in "biu" and native.dtype.itemsize <= 2:
            _add_small(self.words, self.counts, self.ends, native)
        else:
            # Squares of 26 bits are float64s.
            rounds = native.dtype != np.float32
            bits = native.view(np.int32) if not rounds else np.empty((1, 1), np.int32)
            _add_values(self.words, self.counts, self.ends, native, bits, squares, rounds)

    def merge(self, other: Sums, rows: slice | Array) -> None:
        """Add the sums of other rows to some of these."""
        self.words[rows] += other.words
        _carry(self.words)
        self.counts[rows] += other.counts
        self.ends[rows, 0] = np.minimum(self.ends[rows, 0], other.ends[:, 0])
        self.ends[rows, 1] = np.maximum(self.ends[rows, 1], other.ends[:, 1])


def number(sums: Sums, row: int, kind: str, skipna: bool, ddof: float = 0) -> float | int:
    """Return one statistic of a row, rounded once from the exact value.

    Parameters
    ----------
    sums : Sums
        The statistics.
    row : int
        Which row.
    kind : {"total", "mean", "variance", "minimum", "maximum"}
        Which statistic.
    skipna : bool
        Whether NaN is left out, or makes the result NaN.
    ddof : float
        What is taken off the count of values for a variance.
    """
    finite, nans, plus, minus = (int(n) for n in sums.counts[row])
    count = finite + plus + minus
    if nans and not skipna:
        return np.nan
    if kind in ("minimum", "maximum"):
        return float(sums.ends[row, int(kind == "maximum")]) if count else np.nan
    if plus or minus:
        return np.nan if kind == "variance" or (plus and minus) else np.inf if plus else -np.inf
    total = _fraction(sums.words[row, 0])
    if kind == "total":
        return int(total) if total.denominator == 1 and abs(total) < 2**63 else _rounded(total)
    if kind == "mean":
        return _rounded(total / count) if count else np.nan
    rest = count - Fraction(ddof)
    if rest < 0 or not count:
        return np.nan
    if np.abs(sums.ends[row]).max() >= _LARGEST_SQUARED:
        return np.inf
    spread = _fraction(sums.words[row, 1]) - total * total / count
    if rest == 0:
        return np.nan if spread == 0 else np.inf
    return _rounded(spread / rest)


def _fraction(words: Array) -> Fraction:
    whole = sum(int(word) << (32 * place) for place, word in enumerate(words.tolist()) if word)
    return Fraction(whole, 1 << _LOWEST_BIT)


def _rounded(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return float(np.copysign(np.inf, -1.0 if value < 0 else 1.0))


@kernel
def _carry(words):  # type: ignore[no-untyped-def] # pragma: no cover
    flat = words.reshape(-1, words.shape[-1])
    for row in range(flat.shape[0]):
        _carry_one(flat[row])


@part
def _carry_one(words):  # type: ignore[no-untyped-def] # pragma: no cover
    for place in range(len(words) - 1):
        over = words[place] >> 32
        words[place] -= over << 32
        words[place + 1] += over


@inlined
def _put(words, bits):  # type: ignore[no-untyped-def] # pragma: no cover
    """Add a finite float64, given by its bits."""
    # No branches: the processor could not foresee the signs.
    exponent = (bits >> 52) & 0x7FF
    normal = np.int64(exponent > 0)
    fraction = (bits & 0xFFFFFFFFFFFFF) | (normal << 52)
    bit = exponent - normal
    place, shift = np.uint64(bit >> 5), bit & 31
    sign = bits >> 63
    low = (fraction << shift) & 0xFFFFFFFF
    high = fraction >> (32 - shift)
    words[place] += (low ^ sign) - sign
    words[place + np.uint64(1)] += (high ^ sign) - sign


@part
def _put_one(words, value):  # type: ignore[no-untyped-def] # pragma: no cover
    one = np.empty(1, np.float64)
    one[0] = value
    _put(words, one.view(np.int64)[0])


@kernel
def _add_small(words, counts, ends, values):  # type: ignore[no-untyped-def] # pragma: no cover
    # Integers of 16 bits: int64 holds the squares of 2**31 of them, and LLVM vectorises the loop.
    for row in range(values.shape[0]):
        low, high = np.int64(1 << 62), np.int64(-(1 << 62))
        for start in range(0, values.shape[1], 1 << 30):
            part = values[row, start : start + (1 << 30)]
            total, squares = np.int64(0), np.int64(0)
            for i in range(len(part)):
                value = np.int64(part[i])
                total += value
                squares += value * value
                low, high = min(low, value), max(high, value)
            # In halves: a float64 holds 53 bits.
            for which, part_sum in ((0, total), (1, squares)):
                upper = (part_sum >> 32) << 32
                _put_one(words[row, which], np.float64(upper))
                _put_one(words[row, which], np.float64(part_sum - upper))
        counts[row, _COUNT] += values.shape[1]
        if values.shape[1]:
            ends[row, 0], ends[row, 1] = min(ends[row, 0], low), max(ends[row, 1], high)
        _carry_one(words[row, 0])
        _carry_one(words[row, 1])


@kernel
def _add_values(words, counts, ends, values, bits, squares, rounds):  # type: ignore[no-untyped-def] # pragma: no cover
    buffer = np.empty(_UNTIL_CARRY, np.float64)
    # Neighbours go to different lanes: each would wait for what the one before wrote to the same word.
    lanes = np.zeros((_LANES, _WORDS), np.int64)
    for row in range(values.shape[0]):
        for start in range(0, values.shape[1], _UNTIL_CARRY):
            size = min(_UNTIL_CARRY, values.shape[1] - start)
            for i in range(size):
                buffer[i] = values[row, start + i]
            if not rounds and _fit_together(bits[row, start : start + size], ends[row]):
                counts[row, _COUNT] += size
                _put_one(words[row, 0], _plain_sum(buffer[:size]))
                _carry_one(words[row, 0])
            else:
                _take_out(counts[row], ends[row], buffer[:size])
                _add_all(lanes, buffer[:size])
                _gather(lanes, words[row, 0])
            if not squares:
                continue
            for i in range(size if rounds else 0):
                buffer[i] = _rest_of_square(buffer[i])
            if rounds:
                _add_all(lanes, buffer[:size])
                for i in range(size):
                    buffer[i] = values[row, start + i]
            for i in range(size):
                square = buffer[i] * buffer[i]
                # What is no number was counted; too large ones are told from the ends.
                buffer[i] = square if square < np.inf else 0.0
            _add_all(lanes, buffer[:size])
            _gather(lanes, words[row, 1])


@part
def _take_out(counts, ends, values):  # type: ignore[no-untyped-def] # pragma: no cover
    """Count values and put 0 for what is no finite number."""
    for i in range(len(values)):
        value = values[i]
        if value != value:
            counts[_NANS] += 1
            values[i] = 0.0
            continue
        ends[0], ends[1] = min(ends[0], value), max(ends[1], value)
        if abs(value) == np.inf:
            counts[_PLUS if value > 0 else _MINUS] += 1
            values[i] = 0.0
        else:
            counts[_COUNT] += 1


@part
def _add_all(lanes, values):  # type: ignore[no-untyped-def] # pragma: no cover
    bits = values.view(np.int64)
    for i in range(len(values)):
        _put(lanes[i % _LANES], bits[i])


@part
def _fit_together(bits, ends):  # type: ignore[no-untyped-def] # pragma: no cover
    """Whether float64 holds every sum of these float32 values; then their ends are noted too."""
    # As integers, which LLVM vectorises: without its sign the bits of a float32 are ordered as it is.
    highest, lowest = np.int32(0), np.int32(0x7FFFFFFF)
    low, high = np.int32(0x7FFFFFFF), np.int32(-0x80000000)
    for i in range(len(bits)):
        size = np.int32(bits[i] & 0x7FFFFFFF)
        highest = max(highest, size)
        lowest = min(lowest, np.int32(0x7FFFFFFF) if size == 0 else size)
        ordered = np.int32(bits[i] ^ ((bits[i] >> 31) & 0x7FFFFFFF))
        low, high = min(low, ordered), max(high, ordered)
    # 24 bits of the lowest, 10 for 1,024 values, and the rest of 53 between lowest and highest.
    if highest >= 0x7F800000 or ((highest >> 23) - (max(lowest, np.int32(1 << 23)) >> 23)) > 18:
        return False
    pair = np.empty(2, np.int32)
    pair[0], pair[1] = low ^ ((low >> 31) & 0x7FFFFFFF), high ^ ((high >> 31) & 0x7FFFFFFF)
    values = pair.view(np.float32)
    ends[0], ends[1] = min(ends[0], np.float64(values[0])), max(ends[1], np.float64(values[1]))
    return True


@relaxed("reassoc", "nsz")
def _plain_sum(values):  # type: ignore[no-untyped-def] # pragma: no cover
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    return total


@part
def _gather(lanes, words):  # type: ignore[no-untyped-def] # pragma: no cover
    for lane in range(_LANES):
        _carry_one(lanes[lane])
        for place in range(_WORDS):
            words[place] += lanes[lane, place]
            lanes[lane, place] = 0
    _carry_one(words)


@inlined
def _rest_of_square(value):  # type: ignore[no-untyped-def] # pragma: no cover
    """Return what rounding takes off a square (Dekker 1971, with Veltkamp's splitting)."""
    if not (_SMALLEST_SQUARED < abs(value) < _LARGEST_SQUARED):
        return 0.0
    scaled = _SPLITTER * value
    upper = scaled - (scaled - value)
    lower = value - upper
    return ((upper * upper - value * value) + 2.0 * upper * lower) + lower * lower
