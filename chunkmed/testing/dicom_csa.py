"""The private CSA header of Siemens: a list of named texts in a format of its own."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

__all__ = ["csa_header"]

_CHECK = 77


def csa_header(elements: Mapping[str, tuple[str, Sequence[str]]]) -> bytes:
    """Return a header of version 2 (``SV10``).

    Parameters
    ----------
    elements : mapping
        Name -> (value representation, values as text).

    Returns
    -------
    bytes
        What belongs into (0029,xx10) of the block ``SIEMENS CSA HEADER``.
    """
    parts = [b"SV10\4\3\2\1", struct.pack("<II", len(elements), _CHECK)]
    for name, (kind, values) in elements.items():
        head = (name.encode(), len(values), kind.encode(), 0, len(values), _CHECK)
        parts.append(struct.pack("<64si4siii", *head))
        parts += [_item(value) for value in values]
    out = b"".join(parts)
    return out + bytes(len(out) % 2)


def _item(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return struct.pack("<iiii", len(raw), len(raw), _CHECK, len(raw)) + raw + bytes(-len(raw) % 4)
