"""Names of labels: ``{1: "LV"}`` on a label image, and never on what was made of it.

Attributes of an image go with it through operators and filters. A name says something of the very
labels it was given for, so it carries the token of their values: it counts for those and for views of them
(crops, other directions), not for ``labels == 2`` or objects labelled anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from chunkmed.errors import InputError
from chunkmed.graph.flipped import Flipped
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Crop, Node

__all__ = ["ATTRIBUTE", "LABELS", "named", "names_of"]

ATTRIBUTE = "label_names"
#: Name of every image of labels, whatever it is called in its store: what tells it from other integers.
LABELS = "labels"
_OF = "of"


def named(labels: xr.DataArray, names: Mapping[Any, str] | None) -> xr.DataArray:
    """Return labels with names.

    Parameters
    ----------
    labels : xarray.DataArray
        Integers.
    names : mapping of int to str, optional
        ``{1: "LV", 2: "RV"}``; labels without one keep their number.

    Raises
    ------
    InputError
        ``bad-names``.

    Examples
    --------
    >>> import numpy as np
    >>> labels = xr.DataArray(np.array([0, 1, 2]), dims="x")
    >>> names_of(named(labels, {2: "RV"})), names_of(labels * 2)
    ({2: 'RV'}, {})
    """
    if not names:
        return labels
    found = _checked(names)
    token = lift(labels).node.token
    return labels.assign_attrs({ATTRIBUTE: {_OF: token, **{str(n): name for n, name in found.items()}}})


def names_of(labels: xr.DataArray) -> dict[int, str]:
    """Return the name of each label that has one."""
    about = labels.attrs.get(ATTRIBUTE)
    if not isinstance(about, Mapping) or labels.dtype.kind not in "iu":
        return {}
    if about.get(_OF) not in _tokens(lift(labels).node):
        return {}
    return {int(number): str(name) for number, name in about.items() if number != _OF}


def _tokens(node: Node) -> set[str]:
    """Return the tokens of a node and of all that it is a view of."""
    found = {node.token}
    while isinstance(node, Crop | Flipped):
        (node,) = node.inputs
        found.add(node.token)
    return found


def _checked(names: Mapping[Any, str]) -> dict[int, str]:
    try:
        found = {int(number): name for number, name in names.items()}
    except (AttributeError, TypeError, ValueError):
        found = {}
    texts = list(found.values())
    fits = found and all(number > 0 for number in found) and all(isinstance(t, str) and t for t in texts)
    if not fits or len(set(texts)) < len(texts):
        raise InputError(
            f"names = {names!r}",
            kind="bad-names",
            fix='give each label above 0 a name of its own: names={1: "LV", 2: "RV"}',
        )
    return found
