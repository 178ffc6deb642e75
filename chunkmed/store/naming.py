"""Names inside a store: of label images, and of what unfinished and replaced writes leave."""

from __future__ import annotations

import re

from chunkmed.errors import InputError

__all__ = ["LEFT", "OLD", "PARTIAL", "check_name", "is_final"]

PARTIAL = ".partial-"
OLD = ".replaced-"
#: What only our own unfinished and replaced nodes are called: nothing else is ever swept.
LEFT = re.compile(r"\.(partial|replaced)-[0-9a-f]{16}(\.ledger)?")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
#: Endings that the store's own files have.
_RESERVED = (".json", ".draft", ".lock", ".ledger")


def is_final(name: str) -> bool:
    """Whether a name is not one of those that unfinished and replaced nodes have."""
    return PARTIAL not in name and OLD not in name


def check_name(name: str) -> str:
    """Return a name that is safe as one path element, or refuse it."""
    if _NAME.fullmatch(name) is None or not is_final(name) or name.endswith(_RESERVED):
        raise InputError(
            f"{name!r} cannot be the name of a label image",
            kind="bad-name",
            fix=f"use letters, digits, '_', '-' and '.', and none of the endings {', '.join(_RESERVED)}",
        )
    return name
