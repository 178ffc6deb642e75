"""Errors for outputs that are not written."""

from __future__ import annotations

from typing import Literal, TypeAlias

from chunkmed.errors import StoreError
from chunkmed.store.place import Place

__all__ = ["Overwrite", "exists_already", "not_replaceable"]

#: Whether what is there is replaced: never, always, or unless the very same write made it.
Overwrite: TypeAlias = bool | Literal["changed"]


def exists_already(target: Place) -> StoreError:
    """Return the error for an output that is there."""
    return StoreError(
        "the output exists already",
        kind="exists",
        where=str(target),
        fix="choose another name, or pass overwrite=True (--overwrite)",
    )


def not_replaceable(target: Place) -> StoreError:
    """Return the error for an output in whose place something else lies."""
    return StoreError(
        "what is there is not a store that chunkmed wrote",
        kind="not-a-store",
        where=str(target),
        kept="nothing was touched",
        fix="choose another name, or remove it yourself",
    )
