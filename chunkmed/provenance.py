"""What was done, with which settings and versions; identifiers only as keyed hashes."""

from __future__ import annotations

import hashlib
import hmac
import importlib.metadata
import json
import os
import platform
import secrets
import stat
from functools import cache
from pathlib import Path

from chunkmed.errors import InputError

__all__ = ["content_hash", "key_file", "keyed_identifier", "step", "versions"]

_KEY_BYTES = 32
_PACKAGES = ("chunkmed", "dask", "zarr", "numpy", "scipy", "pydicom", "xarray", "numba")


def _package_version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@cache
def versions() -> dict[str, str]:
    """Return the versions of chunkmed, of what it computes with, and of Python."""
    found = {name: _package_version(name) for name in _PACKAGES}
    return found | {"python": platform.python_version()}


def step(name: str, /, **settings: object) -> dict[str, object]:
    """Return one history record: what was done, with which settings and versions."""
    return {"step": name, "settings": settings, "versions": dict(versions())}


def content_hash(*parts: object) -> str:
    """Return 16 hex digits that depend on nothing but the JSON text of ``parts``.

    Examples
    --------
    >>> content_hash("gaussian", [1, 2]) == content_hash("gaussian", (1, 2))
    True
    """
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def keyed_identifier(identifier: str) -> str:
    """Return a short keyed hash (HMAC-SHA256) that stands for a UID in every output.

    The key is random, one per user (or per project with ``CHUNKMED_KEY_FILE``), lies in a private
    file (mode 0600) and is never written to a store: the same series gives the same identifier in
    all results of one project, and nobody without the key can look the UID up.
    """
    return hmac.new(_project_key(), identifier.encode(), hashlib.sha256).hexdigest()[:12]


def key_file() -> Path:
    """Return where the key of the identifiers lies: ``CHUNKMED_KEY_FILE``, else one of the user's own."""
    named = os.environ.get("CHUNKMED_KEY_FILE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "chunkmed" / "identifier.key"


@cache
def _project_key() -> bytes:
    path = key_file()
    key = secrets.token_bytes(_KEY_BYTES)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _publish(path, key)
        elif stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
        found = path.read_bytes()
    except OSError:
        # No place to keep a key: identifiers are then stable within this process only.
        return key
    if len(found) < _KEY_BYTES:
        # With a short key anyone could look the UIDs up.
        raise InputError(
            "the key of the identifiers is too short",
            kind="bad-key",
            where=str(path),
            why=f"{len(found)} bytes instead of {_KEY_BYTES}",
            fix="remove the file, and a new key is made",
        )
    return found


def _publish(path: Path, key: bytes) -> None:
    """Write a private file that appears whole; the first of several writers wins."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(key)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
