"""Where the elements of a file lie: as much of DICOM as mutations need, apart from the readers under test."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SYNTAX = b"\x02\x00\x10\x00UI"
_MOST = 4000


class Element(NamedTuple):
    """One element of the outermost level."""

    start: int
    length_at: int
    """Where its length stands."""
    length_size: int
    value: int
    stop: int
    order: str


@lru_cache(maxsize=512)
def elements_of(raw: bytes) -> tuple[Element, ...]:
    """Return the elements of a file up to its pixel data; fewer where it is odd."""
    return tuple(_elements(raw))


def _elements(raw: bytes) -> list[Element]:
    found: list[Element] = []
    at = 132 if raw[128:132] == b"DICM" else 0
    order, implicit = "<", False
    while at + 12 <= len(raw) and len(found) < _MOST:
        if raw[at : at + 2] not in (b"\x02\x00", b"\x00\x02"):
            order, implicit = _encoding(raw, at, order)
        element = _element(raw, at, order, implicit)
        if element is None or element.stop > len(raw):
            break
        found.append(element)
        at = element.stop
    return found


def _encoding(raw: bytes, at: int, order: str) -> tuple[str, bool]:
    if raw[at] == 0 and raw[at + 1]:
        order = ">"
    return order, not raw[at + 4 : at + 6].isalpha()


def _element(raw: bytes, at: int, order: str, implicit: bool) -> Element | None:
    if implicit or raw[at + 4 : at + 6] in _LONG:
        place = at + (4 if implicit else 8)
        (length,) = struct.unpack_from(order + "I", raw, place)
        if length == 0xFFFFFFFF:
            return None
        return Element(at, place, 4, place + 4, place + 4 + length, order)
    (length,) = struct.unpack_from(order + "H", raw, at + 6)
    return Element(at, at + 6, 2, at + 8, at + 8 + length, order)


def syntax_place(raw: bytes) -> tuple[int, int] | None:
    """Return where the transfer syntax stands: start and stop of its value."""
    at = raw.find(_SYNTAX, 132, 2048)
    if at < 0:
        return None
    return at + 8, at + 8 + int.from_bytes(raw[at + 6 : at + 8], "little")
