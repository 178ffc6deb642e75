"""Arguments that are passed on to matplotlib: those that nobody takes are refused before anything is read."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from functools import cache
from typing import Any

from matplotlib.artist import ArtistInspector

from chunkmed.errors import InputError, refusal
from chunkmed.names import nearest

__all__ = ["check_keywords"]

#: What the options of the command line, and other programs, call it.
_ALSO = {"labels": "contours", "fill": "overlay", "count": "n", "time": "t", "size": "figure"}


def check_keywords(
    function: Callable[..., Any],
    given: Collection[str],
    method: Any,
    artist: Any,
    *also: Callable[..., Any],
) -> None:
    """Refuse names that neither a function nor what it passes them on to takes.

    Parameters
    ----------
    function
        Of chunkmed: its own arguments.
    given : collection of str
        What it was given beside them.
    method, artist
        Of matplotlib: what draws, and what is drawn.
    also
        Further functions whose arguments are taken.

    Raises
    ------
    InputError
        ``bad-argument``, also a ``TypeError``, as of Python itself.
    """
    own = set[str]().union(*(inspect.signature(each).parameters for each in (function, *also)))
    for name in given:
        if name not in own and name not in _of_matplotlib(method, artist):
            raise _unexpected(function.__name__, name, own)


def _unexpected(function: str, name: str, own: Collection[str]) -> InputError:
    what, fix = f"{function}() got an unexpected argument {name!r}", f"see help(cm.plot.{function})"
    if name not in _ALSO:
        fix = nearest(name, own, fix)
    elif _ALSO[name] in own:
        fix = f"did you mean {_ALSO[name]!r}?"
    return refusal(TypeError, what, kind="bad-argument", fix=fix)


@cache
def _of_matplotlib(method: Any, artist: Any) -> frozenset[str]:
    """Return what a method of axes takes: its own arguments, and the properties of what it draws."""
    inspector = ArtistInspector(artist)
    short = (name for names in inspector.get_aliases().values() for name in names)
    return frozenset((*inspect.signature(method).parameters, *inspector.get_setters(), *short))
