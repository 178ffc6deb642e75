"""Tables of measures as files: one row per time point and label."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr

from chunkmed.report.files import draft_of

__all__ = ["write_json", "write_table"]

Columns = dict[str, npt.NDArray[Any]]

_UNIT_AT_END = re.compile(r"(?P<quantity>.+)_(?P<unit>mm|mm2|mm3|ml|ms|px|vox|percent)")
_VECTOR_DIM = "axis"


def write_table(table: xr.Dataset, stem: Path | str) -> tuple[Path, Path]:
    """Write ``<stem>.parquet`` and ``<stem>.csv``, each whole or not at all.

    Parameters
    ----------
    table : Dataset (t, label)
        Measures as :func:`chunkmed.measure` gives them; either dim may be missing. Vectors with the
        extra dim ``axis`` become one column per axis, the unit last: ``center_of_mass_z_mm``.
    stem : Path or str
        Path without ending.

    Returns
    -------
    tuple of Path
        The Parquet file and the CSV file: the same columns ``t`` (index), ``time_ms`` (if the table
        knows it), ``label`` and one per measure. Floats in CSV read back as the same numbers. Rows
        whose ``count`` is 0 are left out.
    """
    columns = long_form(table)
    stem = Path(stem)
    parquet, text = (stem.with_name(stem.name + ending) for ending in (".parquet", ".csv"))
    with draft_of(parquet) as draft:
        pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), draft)
    with draft_of(text) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        # Python floats, because their text reads back as the same number.
        writer.writerows(zip(*(values.tolist() for values in columns.values()), strict=True))
    return parquet, text


def write_json(path: Path | str, obj: Any) -> Path:
    """Write JSON, whole or not at all: NumPy values as plain ones, NaN and infinities as null."""
    path = Path(path)
    with draft_of(path) as draft:
        text = json.dumps(plain(obj), indent=2, ensure_ascii=False, allow_nan=False)
        draft.write_text(text + "\n", encoding="utf-8")
    return path


def plain(obj: Any) -> Any:
    """Return ``obj`` with nothing in it that JSON does not know.

    Examples
    --------
    >>> plain({"ef": np.float32(0.5), "times": np.array([1.0, np.nan]), "path": Path("a")})
    {'ef': 0.5, 'times': [1.0, None], 'path': 'a'}
    """
    if isinstance(obj, xr.Dataset):
        return {str(name): plain(values) for name, values in obj.data_vars.items()}
    if isinstance(obj, Mapping):
        return {str(key): plain(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple | set | frozenset):
        return [plain(value) for value in obj]
    if hasattr(obj, "__array__"):
        return plain(np.asarray(obj).tolist())
    if isinstance(obj, float):
        return obj if math.isfinite(obj) else None
    return obj if isinstance(obj, str | int | None) else str(obj)


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
    found = [str(dim) for dim in table.sizes]
    vectors = {_VECTOR_DIM, "label"}
    first = [dim for dim in found if dim == "t"] or [dim for dim in found if dim not in vectors]
    return first[:1] + [dim for dim in found if dim == "label"]


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
