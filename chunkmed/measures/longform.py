"""The long form of a table: one row per time point and label, columns of plain numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from chunkmed.drafts import draft_of
from chunkmed.measures.about import About
from chunkmed.measures.dataset import dataset_of
from chunkmed.measures.parts import Found
from chunkmed.measures.records import Measure

__all__ = ["Columns", "long_form", "write_rows"]

Columns = dict[str, npt.NDArray[Any]]

_UNIT_AT_END = re.compile(r"(?P<quantity>.+)_(?P<unit>mm|mm2|mm3|ml|ms|px|vox|percent)")
#: Rows that are finished and written at a time.
_ROWS = 1 << 16


def write_rows(
    path: Path,
    found: Sequence[Found],
    records: Sequence[Measure],
    about: About,
    like: xr.DataArray,
    units: str,
) -> Path:
    """Write a Parquet file, whole or not at all: the columns of :func:`long_form`, some rows at a time.

    Parameters
    ----------
    path : Path
        The file.
    found, records, about, like, units
        As :func:`chunkmed.measures.dataset.dataset_of` takes them.
    """
    # Here, for it takes time to import and most tables are small.
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    with draft_of(path) as draft:
        try:
            for part in _parts(found, records, about, like, units):
                table = pa.table({name: pa.array(values) for name, values in part.items()})
                writer = writer or pq.ParquetWriter(draft, table.schema)
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()
    return path


def _parts(
    found: Sequence[Found], records: Sequence[Measure], about: About, like: xr.DataArray, units: str
) -> Iterator[Columns]:
    dim = None if about.axes.time is None else str(like.dims[about.axes.time])
    for t, each in enumerate(found):
        frame = like if dim is None else like.isel({dim: [t]})
        for start in range(0, max(1, len(each)), _ROWS):
            rows = each.rows(slice(start, start + _ROWS))
            columns = long_form(dataset_of([rows], records, about, frame, units, {}))
            # The index of the time point, which a table of one does not know.
            yield columns if dim is None else columns | {dim: columns[dim] + t}


def long_form(table: xr.Dataset) -> Columns:
    """Return the columns of a table, one entry per time point and label."""
    dims = _row_dims(table)
    shape = tuple(table.sizes[dim] for dim in dims)
    columns = _keys(table, dims)
    for name, values in table.data_vars.items():
        for column, part in _scalars(str(name), values, dims):
            spread = part.expand_dims({dim: table.sizes[dim] for dim in dims if dim not in part.dims})
            columns[column] = spread.transpose(*dims).values.reshape(math.prod(shape))
    if "count" not in columns:
        return columns
    present = columns["count"] > 0
    return {name: values[present] for name, values in columns.items()}


def _row_dims(table: xr.Dataset) -> list[str]:
    """Return the dims that make rows: time (or what stands for it) before label."""
    if "count" in table:
        return [str(dim) for dim in table["count"].dims]
    found = [str(dim) for dim in table.sizes]
    first = [dim for dim in found if dim == "t"] or [dim for dim in found if not _makes_columns(dim)]
    return first[:1] + [dim for dim in found if dim == "label"]


def _makes_columns(dim: str) -> bool:
    return dim in ("label", "axis", "side", "principal", "extreme") or dim.endswith("bin")


def _keys(table: xr.Dataset, dims: list[str]) -> Columns:
    """Return the columns that say which row is which."""
    indices = np.indices(tuple(table.sizes[dim] for dim in dims)).reshape(len(dims), -1 if dims else 1)
    columns: Columns = {}
    for dim, index in zip(dims, indices, strict=True):
        known = table.coords.get(dim)
        if dim == "label":
            columns[dim] = index if known is None else known.values[index]
            continue
        columns[dim] = index
        if known is not None and dim != "t":
            columns[f"{dim}_value"] = known.values[index]
        elif known is not None and known.attrs.get("units") == "ms":
            columns["time_ms"] = known.values[index]
    return columns


def _scalars(name: str, values: xr.DataArray, dims: list[str]) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield a measure as it is, or the components of a vector."""
    vector_dim = next((dim for dim in values.dims if dim not in dims), None)
    if vector_dim is None:
        yield name, values.reset_coords(drop=True)
        return
    match = _UNIT_AT_END.fullmatch(name)
    quantity, unit = (match["quantity"], "_" + match["unit"]) if match else (name, "")
    for i, axis in enumerate(values[vector_dim].values.tolist()):
        part = values.isel({vector_dim: i}, drop=True)
        yield from _scalars(f"{quantity}_{axis}{unit}", part, dims)
