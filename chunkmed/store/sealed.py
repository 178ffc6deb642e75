"""JSON that carries its own checksum: metadata that changed after it was written is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import google_crc32c
import numpy as np

from chunkmed.errors import InputError, StoreError
from chunkmed.store import files
from chunkmed.store.place import Place

__all__ = [
    "check_attributes",
    "damaged_metadata",
    "dumps",
    "open_sealed",
    "read_sealed",
    "sealed_bytes",
    "write_sealed",
]

_KEY = "checksum"
#: Attributes by which xarray decodes values and coordinates.
_MEANT_FOR_XARRAY = {"_FillValue", "add_offset", "coordinates", "missing_value", "scale_factor"}
#: What stands in the place of a checksum while it is computed.
_BLANK = "--------"


def dumps(content: Any) -> bytes:
    """Return JSON in the one form in which the store writes it."""
    # Without indent, which the C encoder does not know: a manifest has an entry for every shard.
    try:
        text = json.dumps(content, sort_keys=True, ensure_ascii=True, allow_nan=False, default=_plain)
    except InputError:
        raise
    except (ValueError, TypeError, RecursionError) as error:
        # Other readers take JSON by its standard: no NaN, keys that are text.
        raise InputError(
            "an attribute cannot be stored",
            kind="bad-attribute",
            why=str(error),
            fix="leave NaN and infinity out of the image's attrs; keys are text",
        ) from error
    return f"{text}\n".encode()


def check_attributes(attributes: Mapping[str, Any]) -> None:
    """Refuse attributes that JSON does not hold, or that mean something else to xarray.

    Raises
    ------
    InputError
        ``bad-attribute``.
    """
    dumps(attributes)
    if taken := sorted(_MEANT_FOR_XARRAY & set(attributes)):
        raise InputError(
            f"an image cannot have the attribute {taken[0]!r}",
            kind="bad-attribute",
            why="xarray would change the values by it when it opens the store",
            fix=f"image.attrs.pop({taken[0]!r})",
        )


def _plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays, which attributes are full of, as JSON knows them."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise InputError(
        f"an attribute of type {type(value).__name__} cannot be stored",
        kind="bad-attribute",
        fix="use numbers, text, lists and dicts",
    )


def sealed_bytes(content: Mapping[str, Any]) -> bytes:
    """Return JSON with the checksum of everything else in it."""
    if "zarr_format" in content:
        # zarr's metadata keeps ours among the attributes.
        attributes = dict(content.get("attributes", {}))
        attributes["chunkmed"] = {**attributes.get("chunkmed", {}), _KEY: _BLANK}
        text = dumps({**content, "attributes": attributes})
    else:
        text = dumps({**content, _KEY: _BLANK})
    if text.count(_entry(_BLANK)) != 1:
        raise InputError("an attribute says what marks checksums", kind="bad-attribute", fix="rename it")
    return text.replace(_entry(_BLANK), _entry(_checksum(text)))


def _entry(value: str) -> bytes:
    return f'"{_KEY}": "{value}"'.encode()


def _checksum(text: bytes) -> str:
    return f"{google_crc32c.value(text):08x}"


def _is_intact(raw: bytes, content: Mapping[str, Any]) -> bool:
    """Whether bytes are those that were sealed: all but the checksum itself count."""
    own = content
    if "zarr_format" in content:
        own = content["attributes"]["chunkmed"]
    entry = _entry(own[_KEY])
    start = raw.find(entry)
    # Copies of other nodes' metadata hold checksums too, by chance even an equal one.
    while start >= 0:
        blank = b"".join((raw[:start], _entry(_BLANK), raw[start + len(entry) :]))
        if _checksum(blank) == own[_KEY]:
            return True
        start = raw.find(entry, start + 1)
    return False


def write_sealed(path: Place, content: Mapping[str, Any], *, sync: bool = True) -> None:
    """Write JSON with its checksum, in one step; without ``sync`` it is a commit's to wait for."""
    files.write(path, [sealed_bytes(content)], sync=sync)


def read_sealed(path: Place) -> dict[str, Any]:
    """Read JSON and refuse it where it is not what was written.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    StoreError
        ``damaged-metadata``.
    """
    return open_sealed(path.read_bytes(), path)


def open_sealed(raw: bytes, path: Place) -> dict[str, Any]:
    """Return the JSON that bytes hold; ``damaged-metadata`` where it is not what was written."""
    try:
        content = json.loads(raw)
        intact = isinstance(content, dict) and _is_intact(raw, content)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        intact = False
    if not intact:
        raise damaged_metadata(path, "it does not match its checksum")
    return dict(content)


def damaged_metadata(path: Place, why: str) -> StoreError:
    """Return the error for metadata that is not what was written."""
    return StoreError(
        "the metadata of a store is damaged",
        kind="damaged-metadata",
        where=str(path),
        why=why,
        fix="convert or save again",
    )
