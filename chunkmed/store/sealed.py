"""JSON that carries its own checksum: metadata that changed after it was written is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from chunkmed.errors import InputError, StoreError
from chunkmed.store import files

__all__ = ["damaged_metadata", "dumps", "read_sealed", "sealed_bytes", "write_sealed"]

_KEY = "checksum"


def dumps(content: Any) -> bytes:
    """Return JSON in the one form in which the store writes it."""
    # Without indent, which the C encoder does not know: a manifest has an entry for every shard.
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, default=_plain)
    return f"{text}\n".encode()


def _plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays, which attributes are full of, as JSON knows them."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise InputError(
        f"an attribute of type {type(value).__name__} cannot be stored",
        kind="bad-attribute",
        fix="use numbers, text, lists and dicts",
    )


def _checksum(content: Any) -> str:
    return f"{google_crc32c.value(dumps(content)):08x}"


def _place(content: dict[str, Any]) -> dict[str, Any]:
    """Return the table that holds the checksum: zarr's metadata keeps ours among the attributes."""
    if "zarr_format" not in content:
        return content
    place: dict[str, Any] = content.setdefault("attributes", {}).setdefault("chunkmed", {})
    return place


def sealed_bytes(content: Mapping[str, Any]) -> bytes:
    """Return JSON with the checksum of everything else in it."""
    copy: dict[str, Any] = json.loads(dumps(content))
    _place(copy).pop(_KEY, None)
    value = _checksum(copy)
    _place(copy)[_KEY] = value
    return dumps(copy)


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON with its checksum, in one step."""
    files.write(path, [sealed_bytes(content)], sync=True)


def read_sealed(path: Path) -> dict[str, Any]:
    """Read JSON and refuse it where it is not what was written.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    StoreError
        ``damaged-metadata``.
    """
    raw = path.read_bytes()
    try:
        content = json.loads(raw)
        intact = isinstance(content, dict) and sealed_bytes(content) == raw
    except (ValueError, AttributeError, TypeError, RecursionError):
        intact = False
    if not intact:
        raise damaged_metadata(path, "it does not match its checksum")
    return dict(content)


def damaged_metadata(path: Path, why: str) -> StoreError:
    """Return the error for metadata that is not what was written."""
    return StoreError(
        "the metadata of a store is damaged",
        kind="damaged-metadata",
        where=str(path),
        why=why,
        fix="convert or save again",
    )
