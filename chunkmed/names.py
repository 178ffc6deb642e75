"""What people call by name: functions of packages, and things of a list that is known."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from typing import Any

from chunkmed.errors import InputError

__all__ = ["imported", "nearest", "unknown"]


def imported(name: str, fix: str) -> Callable[..., Any]:
    """Return the function that ``package.module:function`` names.

    Raises
    ------
    InputError
        ``no-function``, with this way on.
    """
    module, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        what = f"the function {name!r} cannot be imported"
        raise InputError(what, kind="no-function", why=str(error), fix=fix) from error
    if not callable(found):
        raise InputError(f"{name!r} is not a function", kind="no-function")
    function: Callable[..., Any] = found
    return function


def nearest(name: str, known: Collection[str], otherwise: str = "") -> str:
    """Return what to do about a name that is not known: the nearest that is, else this or all of them."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return otherwise or f"choose of {', '.join(sorted(known))}"


def unknown(what: str, name: str, known: Collection[str], where: str = "") -> InputError:
    """Return the error for a name in a recipe that is not known."""
    return InputError(f"unknown {what} {name!r}", kind="bad-recipe", where=where, fix=nearest(name, known))
