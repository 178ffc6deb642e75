"""Two label images on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import broadcast, canonical
from chunkmed.errors import InputError
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Node
from chunkmed.kernels.distinct import distinct
from chunkmed.measures.about import About
from chunkmed.measures.measuring import about_of

__all__ = ["Pair", "pair_of", "table_of"]


@dataclass(frozen=True)
class Pair:
    """Two label images as nodes with the same axes."""

    labels: Node
    reference: Node
    about: About
    like: xr.DataArray


def pair_of(labels: xr.DataArray, reference: xr.DataArray) -> Pair:
    """Return two label images with the same axes.

    Raises
    ------
    InputError
        ``not-labels``, ``other-grid`` or ``shape-mismatch``.
    """
    for image in (labels, reference):
        if image.dtype.kind not in "iub":
            raise InputError(
                f"labels of dtype {image.dtype}", kind="not-labels", fix="give integers or a mask"
            )
    both = broadcast(labels, reference, "the reference", "the label images")
    first, second = (canonical(image) for image in both)
    one, other = lift(first).one_channel(), lift(second).one_channel()
    return Pair(one.node, other.node, about_of(first, one), first)


def table_of(pair: Pair, names: Sequence[Array], columns: dict[str, Any]) -> xr.Dataset:
    """Return a Dataset (t, label) from columns of each time point.

    Parameters
    ----------
    pair : Pair
        The images.
    names : sequence of ndarray
        Labels of each time point, ascending.
    columns : dict
        ``{name: (unit, [one array per time point])}``.
    """
    every = distinct(np.concatenate(names))
    dim = None if pair.about.axes.time is None else pair.like.dims[pair.about.axes.time]
    variables: dict[Any, Any] = {}
    for name, (units, parts) in columns.items():
        values = np.full((len(names), len(every)), np.nan)
        for row, labels, part in zip(values, names, parts, strict=True):
            row[np.searchsorted(every, labels)] = part
        dims = ["label"] if dim is None else [dim, "label"]
        variables[name] = (dims, values[0] if dim is None else values, {"units": units})
    coords: dict[Any, Any] = {"label": every}
    if dim is not None and dim in pair.like.coords:
        coords[dim] = pair.like.coords[dim].variable
    return xr.Dataset(variables, coords=coords)
