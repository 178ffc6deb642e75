"""Tables of what was found -> a Dataset with the dims t and label, and units."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.graph.nodes import Array
from chunkmed.kernels.distinct import distinct
from chunkmed.measures.about import About
from chunkmed.measures.parts import Found
from chunkmed.measures.records import Measure

__all__ = ["dataset_of"]


def dataset_of(
    found: Sequence[Found],
    records: Sequence[Measure],
    about: About,
    like: xr.DataArray,
    units: str,
    known: Mapping[int, str],
) -> xr.Dataset:
    """Return the measures of all time points.

    Parameters
    ----------
    found : sequence of Found
        One per time point.
    records : sequence of Measure
        What to say of it.
    about : About
        Grid and axes.
    like : xarray.DataArray
        The label image.
    units : str
        Of the values.
    known : mapping of int to str
        Names of labels.
    """
    # The labels of one time point are sorted as they are.
    labels = [each.moments.label for each in found]
    names = labels[0] if len(labels) == 1 else distinct(np.concatenate(labels))
    rows = [np.searchsorted(names, each.moments.label) for each in found]
    dim = None if about.axes.time is None else like.dims[about.axes.time]
    variables: dict[Any, Any] = {}
    for record in records:
        values = _placed([record.finish(each, about) for each in found], rows, len(names), record)
        values = values[0] if dim is None else values
        dims = [*([] if dim is None else [dim]), "label", *record.dims]
        variables[record.name] = (dims, values, _attributes(record, units))
    coords = _coords(records, names, dim, about, like)
    if known:
        texts = [known.get(int(number), str(number)) for number in names]
        coords |= {"label": np.array(texts, dtype=str), "number": ("label", names)}
    return xr.Dataset(variables, coords=coords, attrs={"n_slices": about.axes.volume[0]})


def _attributes(record: Measure, units: str) -> dict[str, str]:
    return {"units": record.units or units or "1", "long_name": record.about}


def _coords(
    records: Sequence[Measure], names: Array, dim: Hashable | None, about: About, like: xr.DataArray
) -> dict[Any, Any]:
    coords: dict[Any, Any] = {"label": names}
    if dim is not None and dim in like.coords:
        coords[dim] = like.coords[dim].variable
    for record in records:
        coords |= record.coords
        if "axis" in record.dims:
            coords["axis"] = [str(like.dims[axis]) for axis in about.axes.space]
        if "principal" in record.dims:
            coords["principal"] = list(record.coords["principal"][: about.ndim])
    return coords


def _placed(columns: Sequence[Array], rows: Sequence[Array], n: int, record: Measure) -> Array:
    """Put the rows of all time points in their places; NaN, no voxels or False where a label is absent."""
    # One dtype for all time points, whether a label is absent there or not.
    dtype = np.asarray(record.missing).dtype
    out = np.empty((len(columns), n, *columns[0].shape[1:]), dtype)
    for place, column, row in zip(out, columns, rows, strict=True):
        if len(row) == n:
            # All of them, and rows are sorted.
            place[...] = column
        else:
            place[...] = record.missing
            place[row] = column
    return out
