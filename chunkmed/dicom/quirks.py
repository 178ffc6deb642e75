"""Vendor quirks as rows of data."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["PRIVATE_TAGS", "QUIRKS", "Quirk"]


@dataclass(frozen=True, slots=True)
class Quirk:
    """A private element that stands in for a standard one where that is absent."""

    manufacturer: str
    """First letters of Manufacturer, upper case."""
    tag: int
    """The private element."""
    key: str
    """Name of the standard element, as in ``tags.KEYS``."""
    decode: Callable[[Any], float | tuple[float, ...] | None]


def _parts(raw: Any, code: str) -> list[float]:
    # Private elements arrive as bytes where the file names no VR.
    if isinstance(raw, bytes):
        size = struct.calcsize(code)
        if len(raw) % size == 0 and code != "s":
            return [float(part[0]) for part in struct.iter_unpack("<" + code, raw)]
        raw = raw.decode("ascii").strip(" \0").split("\\")
    return [float(part) for part in (raw if isinstance(raw, list | tuple) else [raw])]


def _siemens_b(raw: Any) -> float | None:
    text = raw.decode("ascii") if isinstance(raw, bytes) else str(raw)
    return float(text.strip(" \0"))


def _ge_b(raw: Any) -> float | None:
    # GE adds 1e9 to mark a direction set.
    text = raw.decode("ascii") if isinstance(raw, bytes) else raw
    first = text.split("\\")[0] if isinstance(text, str) else next(iter(text))
    return float(first) % 100000.0


def _philips_b(raw: Any) -> float | None:
    return _parts(raw, "f")[0]


def _vector(raw: Any) -> tuple[float, ...] | None:
    parts = _parts(raw, "d")
    return tuple(parts) if len(parts) == 3 else None


QUIRKS: tuple[Quirk, ...] = (
    Quirk("SIEMENS", 0x0019100C, "DiffusionBValue", _siemens_b),
    Quirk("SIEMENS", 0x0019100E, "DiffusionGradientOrientation", _vector),
    Quirk("GE", 0x00431039, "DiffusionBValue", _ge_b),
    Quirk("PHILIPS", 0x20011003, "DiffusionBValue", _philips_b),
)

PRIVATE_TAGS: tuple[int, ...] = (*(row.tag for row in QUIRKS), 0x0019100A, 0x00291010)
