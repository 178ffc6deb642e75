"""How object stores are reached: what ``chunkmed.config`` was given, for all places that follow."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["storage_options", "use_storage_options"]

_options: dict[str, str] = {}


def storage_options() -> dict[str, str]:
    """Return the options that are in force; the environment variables of the provider come after them."""
    return dict(_options)


def use_storage_options(options: Mapping[str, object]) -> dict[str, str]:
    """Set the options of all places that are named from now on; return those that were in force."""
    before = storage_options()
    _options.clear()
    _options.update({str(key): _text(value) for key, value in options.items()})
    return before


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
