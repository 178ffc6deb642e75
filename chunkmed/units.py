"""Lengths and sizes as people write them: ``"2.5 mm"``, ``"2 GB"``."""

from __future__ import annotations

import contextlib
import math
import numbers
import re
from collections.abc import Sequence

from chunkmed.errors import InputError

__all__ = ["extent_mm", "format_bytes", "format_number", "is_whole", "length_mm", "parse_bytes", "to_voxels"]

_LENGTHS_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "nm": 1e-6}
#: Areas and volumes: square or cubic millimetres, and the power of a length.
_EXTENTS = {"mm2": (1.0, 2), "cm2": (100.0, 2), "mm²": (1.0, 2), "cm²": (100.0, 2)}
_EXTENTS |= {"mm3": (1.0, 3), "cm3": (1e3, 3), "mm³": (1.0, 3), "cm³": (1e3, 3)}
_EXTENTS |= {"ul": (1.0, 3), "µl": (1.0, 3), "μl": (1.0, 3), "ml": (1e3, 3), "l": (1e6, 3)}
_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BYTES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_EXTENT = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([a-zµμ]+[23²³]?)\s*", re.IGNORECASE)
_QUANTITY = re.compile(r"\s*([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([a-zA-Zµμ]*)\s*")


def length_mm(text: str) -> float:
    """Read a length with its unit and return millimetres.

    Examples
    --------
    >>> length_mm("1.5 mm"), length_mm("2cm")
    (1.5, 20.0)
    """
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in _LENGTHS_MM:
        known = ", ".join(_LENGTHS_MM)
        raise InputError(
            f"{text!r} is not a length", kind="bad-length", fix=f"write a number and one of {known}"
        )
    return float(match[1]) * _LENGTHS_MM[match[2]]


def to_voxels(value: float | str, spacing_mm: float) -> float:
    """Return a length in voxels: numbers are voxels already, text carries its unit.

    Examples
    --------
    >>> to_voxels(2, 0.5), to_voxels("2 mm", 0.5)
    (2.0, 4.0)
    """
    return length_mm(value) / spacing_mm if isinstance(value, str) else float(value)


def extent_mm(text: str) -> tuple[float, int]:
    """Read an area or a volume with its unit; return mm2 and 2, or mm3 and 3.

    Examples
    --------
    >>> extent_mm("2 ml"), extent_mm("1.5 cm2")
    ((2000.0, 3), (150.0, 2))
    """
    match = _EXTENT.fullmatch(text)
    if match is None or match[2].lower() not in _EXTENTS:
        known = ", ".join(name for name in _EXTENTS if name.isascii())
        raise InputError(
            f"{text!r} is not an area or a volume",
            kind="bad-extent",
            fix=f"write a number and one of {known}, or a number of voxels",
        )
    unit_mm, power = _EXTENTS[match[2].lower()]
    return float(match[1]) * unit_mm, power


def is_whole(value: object) -> bool:
    """Whether a value is an integer of Python's or NumPy's, and no truth value.

    Examples
    --------
    >>> is_whole(3), is_whole(3.0), is_whole(True)
    (True, False, False)
    """
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def parse_bytes(value: int | float | str) -> int:
    """Return a number of bytes from ``"2 GB"``, ``"512 MiB"`` or a plain number.

    Examples
    --------
    >>> parse_bytes("2 GB"), parse_bytes("1 MiB"), parse_bytes(10)
    (2000000000, 1048576, 10)
    """
    count = math.nan
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        if match is not None and match[2].lower() in _BYTES:
            count = float(match[1]) * _BYTES[match[2].lower()]
    elif type(value) not in (bool, bytes):
        with contextlib.suppress(TypeError, ValueError):
            count = float(value)
    if not (math.isfinite(count) and count > 0):
        raise InputError(f"{value!r} is not an amount of memory", kind="bad-size", fix='write it like "2 GB"')
    return int(count)


def format_bytes(count: float, units: Sequence[str] = ("B", "kB", "MB", "GB", "TB")) -> str:
    """Return a short text for a number of bytes.

    Examples
    --------
    >>> format_bytes(999), format_bytes(2_140_000_000)
    ('999 B', '2.14 GB')
    """
    power = 0
    while float(f"{count:.3g}") >= 1000 and power < len(units) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.3g} {units[power]}"


def format_number(value: float) -> str:
    """Return a short text for a number that people read: five digits, large ones whole.

    Examples
    --------
    >>> format_number(788068.0), format_number(0.123456), format_number(40.0)
    ('788,068', '0.12346', '40')
    """
    # Above, a float is no whole number that means something.
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.5g}"
