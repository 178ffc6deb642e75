"""Numbers as unsigned integers of the same order: ranks of any dtype are ranks of keys.

The bits of a float are ordered as the float is once negative ones are turned over and the sign is
flipped (Herf, "Radix tricks", 2001; Terdiman, "Radix sort revisited", 2000); those of a signed integer
once the sign is flipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmed.kernels import Array

__all__ = ["FLOAT", "Keys", "keys_of"]

#: Kinds of values.
UNSIGNED, SIGNED, FLOAT = range(3)


@dataclass(frozen=True)
class Keys:
    """How values of a dtype become keys."""

    dtype: np.dtype[Any]
    """In native byte order."""

    @property
    def width(self) -> int:
        """Bits of a key."""
        return self.dtype.itemsize * 8

    @property
    def kind(self) -> int:
        """0 for unsigned integers and masks, 1 for signed ones, 2 for floats."""
        return {"b": UNSIGNED, "u": UNSIGNED, "i": SIGNED, "f": FLOAT}[self.dtype.kind]

    @property
    def sign(self) -> np.uint64:
        """The bit of the sign."""
        return np.uint64(1 << (self.width - 1))

    @property
    def ones(self) -> np.uint64:
        """All bits of a key."""
        return np.uint64((1 << self.width) - 1)

    @property
    def infinity(self) -> np.uint64:
        """Bits of infinity: larger ones, but for the sign, are no numbers."""
        if self.kind != FLOAT:
            return self.ones
        return np.uint64(np.array(np.inf, self.dtype).view(self._unsigned).item())

    @property
    def _unsigned(self) -> np.dtype[Any]:
        return np.dtype(f"u{self.dtype.itemsize}")

    def bits(self, values: Array) -> Array:
        """Return the bits of values, flat, C-contiguous."""
        native = np.ascontiguousarray(values, dtype=self.dtype)
        return native.reshape(-1).view(self._unsigned)

    def keys(self, values: Array) -> Array:
        """Return the keys of values as uint64; NaN has none that means anything."""
        bits = self.bits(values).astype(np.uint64)
        if self.kind == UNSIGNED:
            return bits
        if self.kind == SIGNED:
            return bits ^ self.sign
        return np.where(bits & self.sign, ~bits & self.ones, bits | self.sign)

    def values(self, keys: Array) -> Array:
        """Return the values of keys."""
        keys = np.asarray(keys, np.uint64)
        bits = keys
        if self.kind == SIGNED:
            bits = keys ^ self.sign
        elif self.kind == FLOAT:
            bits = np.where(keys & self.sign, keys ^ self.sign, ~keys & self.ones)
        out: Array = bits.astype(self._unsigned).view(self.dtype)
        return out

    def every_value(self) -> Array:
        """Return the value of every pattern of bits, for dtypes of at most 16."""
        patterns = np.arange(1 << self.width, dtype=np.uint64).astype(self._unsigned)
        if self.dtype.kind == "b":
            return patterns > 0
        out: Array = patterns.view(self.dtype)
        return out


def keys_of(dtype: Any) -> Keys | None:
    """Return how values of a dtype become keys, None for what has no order of 64 bits.

    Examples
    --------
    >>> found = keys_of("float32")
    >>> keys = found.keys(np.array([-1.5, 0.0, 2.0], np.float32))
    >>> bool(np.all(np.diff(keys.astype(np.int64)) > 0)), found.values(keys).tolist()
    (True, [-1.5, 0.0, 2.0])
    """
    dtype = np.dtype(dtype).newbyteorder("=")
    return Keys(dtype) if dtype.kind in "biuf" and dtype.itemsize <= 8 else None
