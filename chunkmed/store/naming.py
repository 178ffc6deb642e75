"""Names inside a store: of label images, and of what unfinished and replaced writes leave."""

from __future__ import annotations

import os
import re
from pathlib import Path

from chunkmed.errors import InputError

__all__ = ["LEFT", "OLD", "PARTIAL", "check_name", "is_final", "resolved"]

PARTIAL = ".partial-"
OLD = ".replaced-"
#: What only our own unfinished and replaced nodes are called: nothing else is ever swept.
LEFT = re.compile(r"\.(partial|replaced)-[0-9a-f]{16}(\.ledger)?")
#: A name of a partial write has 33 characters more, and must not be taken for an option of a command.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
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
            fix="use at most 128 letters, digits, '_', '-' and '.', the first no sign, and none of the "
            f"endings {', '.join(_RESERVED)}",
        )
    return name


def resolved(path: str | os.PathLike[str]) -> Path:
    """Return where a store really lies: through a link it would have a second lock.

    Raises
    ------
    InputError
        ``bad-path`` for what is no name of a file: nothing at all, the root, names that are kept for
        unfinished writes, links in a circle.
    """
    text = os.fspath(path)
    try:
        found = Path(text).resolve() if text and "\0" not in text else None
        os.fsencode(text)
    except (OSError, RuntimeError, UnicodeError):  # links in a circle, half a character
        found = None
    if found is None or not found.name or LEFT.search(found.name):
        raise InputError(f"{text!r} cannot be the path of a store", kind="bad-path", fix="give another path")
    return found
