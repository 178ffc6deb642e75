"""Tables of measures as files: one row per time point and label."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr

from chunkmed.drafts import draft_of
from chunkmed.measures.longform import long_form

__all__ = ["write_json", "write_table"]


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
