"""Plain values of plain elements; whatever is out of the ordinary is left to pydicom."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

__all__ = ["UNUSUAL", "decoded"]

#: Stands for a value that pydicom has to decode.
UNUSUAL: Any = object()

_PRINTABLE = re.compile(rb"[ -~]*\0*")
_DECIMAL = rb" *[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)? *"
_INTEGER = rb" *[+-]?\d{1,10} *"
_DECIMALS = re.compile(_DECIMAL + rb"(?:\\" + _DECIMAL + rb")*")
_INTEGERS = re.compile(_INTEGER + rb"(?:\\" + _INTEGER + rb")*")


def _one_or_more(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else parts


def _texts(raw: bytes, order: str) -> Any:  # noqa: ARG001
    if _PRINTABLE.fullmatch(raw) is None:
        return UNUSUAL
    # Of several values pydicom trims each one or only the last, by VR: here there is nothing to trim.
    parts = raw.rstrip(b" \0").decode("ascii").split("\\")
    return _one_or_more(parts) if all(part == part.rstrip(" ") for part in parts) else UNUSUAL


def _decimals(raw: bytes, order: str) -> Any:  # noqa: ARG001
    if _DECIMALS.fullmatch(raw) is None:
        return UNUSUAL
    return _one_or_more([float(part) for part in raw.split(b"\\")])


def _integers(raw: bytes, order: str) -> Any:  # noqa: ARG001
    if _INTEGERS.fullmatch(raw) is None:
        return UNUSUAL
    return _one_or_more([int(part) for part in raw.split(b"\\")])


def _binary(code: str) -> Callable[[bytes, str], Any]:
    size = struct.calcsize("<" + code)

    def numbers(raw: bytes, order: str) -> Any:
        count = len(raw) // size
        if count * size != len(raw):
            return UNUSUAL
        return _one_or_more(list(struct.unpack(f"{order}{count}{code}", raw)))

    return numbers


_TEXT_VRS = ("CS", "SH", "LO", "UI", "TM", "DA", "DT")
_BINARY_VRS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_DECODERS: dict[str, Callable[[bytes, str], Any]] = {
    "DS": _decimals,
    "IS": _integers,
    **dict.fromkeys(_TEXT_VRS, _texts),
    **{vr: _binary(code) for vr, code in _BINARY_VRS.items()},
}


def decoded(vr: str, raw: bytes, order: str) -> Any:
    r"""Return the value of one element: a number or text, or a list of them.

    Parameters
    ----------
    vr : str
        Value representation.
    raw : bytes
        The element's value as it is in the file.
    order : {"<", ">"}
        Byte order of binary numbers.

    Returns
    -------
    object
        ``UNUSUAL`` where this is not plain: pydicom knows the many ways in which files are odd.

    Examples
    --------
    >>> decoded("DS", b"0.5\\ 1e1", "<"), decoded("US", b"\x00\x02", ">"), decoded("CS", b"MR  ", "<")
    ([0.5, 10.0], 2, 'MR')
    """
    decoder = _DECODERS.get(vr)
    if decoder is None:
        return UNUSUAL
    if not raw:
        return "" if vr in _TEXT_VRS else None
    return decoder(raw, order)
