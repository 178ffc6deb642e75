"""Modality LUTs: tables that make output values of stored ones, where no slope and intercept do.

Source: DICOM PS3.3, C.11.1 (Modality LUT Module).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.tags import value

__all__ = ["ModalityLut", "has_modality_lut", "modality_lut"]

Array = npt.NDArray[Any]
_FULL = 1 << 16


@dataclass(frozen=True, slots=True)
class ModalityLut:
    """One table."""

    first: int
    """Stored value of the first entry; lower ones get it too, higher ones than the last get the last."""
    bits: int
    entries: bytes
    """Output values, uint16, little-endian."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of output values: they have no sign."""
        return np.dtype(np.uint8 if self.bits <= 8 else np.uint16)

    def apply(self, stored: Array) -> Array:
        """Return the output values of stored ones; any shape."""
        table = np.frombuffer(self.entries, "<u2").astype(self.dtype)
        return np.asarray(np.take(table, stored.astype(np.int64) - self.first, mode="clip"))


def has_modality_lut(dataset: Any) -> bool:
    """Whether a table counts, and slope and intercept do not."""
    return bool(value(dataset, "ModalityLUTSequence", len))


def modality_lut(dataset: Any, *, signed: bool, little_endian: bool) -> ModalityLut | None:
    """Return the table of a file; None where there is none, or one that contradicts itself."""
    if not has_modality_lut(dataset):
        return None
    item, order = value(dataset, "ModalityLUTSequence", lambda items: items[0]), "<" if little_endian else ">"
    told = value(item, "LUTDescriptor", lambda raw: _words(raw, order))
    if told is None or len(told) != 3:
        return None
    count, first, bits = int(told[0]) or _FULL, int(told[1]), int(told[2])
    entries = value(item, "LUTData", lambda raw: _entries(raw, count, bits, order))
    if entries is None or not 8 <= bits <= 16 or int(entries.max()) >= 1 << bits:
        return None
    return _shared(first - _FULL if signed and first >= _FULL // 2 else first, bits, entries.tobytes())


@lru_cache(16)
def _shared(first: int, bits: int, entries: bytes) -> ModalityLut:
    """Return one table for all files that hold the same: a thousand may."""
    return ModalityLut(first, bits, entries)


def _words(raw: Any, order: str) -> Array:
    """Return what may be bytes, or numbers with or without a sign, as 16 bits each."""
    if isinstance(raw, bytes):
        return np.frombuffer(raw, f"{order}u2").astype("<u2")
    return (np.atleast_1d(np.asarray(raw, dtype=np.int64)) % _FULL).astype("<u2")


def _entries(raw: Any, count: int, bits: int, order: str) -> Array | None:
    """Return so many entries; of 8 bits they may lie two to a word, the first in the lower half."""
    if bits <= 8 and isinstance(raw, bytes) and len(raw) == count + count % 2:
        return np.frombuffer(raw, np.uint8)[:count].astype("<u2")
    words = _words(raw, order)
    if bits <= 8 and len(words) != count:
        words = words.view(np.uint8)[:count].astype("<u2")
    return words if len(words) == count else None
