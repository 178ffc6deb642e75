"""The cases of a cohort as a table on disk, and where each comes from in a private file beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chunkmed.drafts import draft_of
from chunkmed.errors import StoreError

__all__ = [
    "COLUMNS",
    "Case",
    "Spec",
    "read_cases",
    "read_columns",
    "read_groups",
    "read_specs",
    "write_cases",
]

CASES, SOURCES = "cases.parquet", "sources.private.parquet"
_TYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}


@dataclass
class Case:
    """One image of a cohort: one row of ``cases.parquet``. Nothing in it names a person or a path."""

    case: str
    """Keyed identifier of source and series: the name of the folder of its results."""
    case_id: str
    """The user's own name of it; several series of one folder share it."""
    selected: bool = True
    """Whether it is part of the cohort."""
    series: str | None = None
    """Keyed identifier of the series."""
    form: str = "dicom"
    """``dicom`` or ``store``."""
    modality: str | None = None
    plane: str | None = None
    n_times: int | None = None
    n_slices: int | None = None
    n_rows: int | None = None
    n_columns: int | None = None
    dtype: str | None = None
    spacing_z_mm: float | None = None
    spacing_y_mm: float | None = None
    spacing_x_mm: float | None = None
    n_files: int | None = None
    n_skipped: int = 0
    """Files of the folder that are no images."""
    localizer: bool = False
    flags: str = ""
    """What to know of its quality, separated by blanks."""
    problem: str = ""
    """Kind of the error that it will end with, as far as its headers tell."""
    why: str = ""
    """The error in words."""
    image_bytes: int | None = None
    """Size of the image, uncompressed."""
    peak_bytes: int | None = None
    """Predicted memory of the process that works on it."""
    disk_bytes: int | None = None
    """Predicted size of its results, at most."""
    token: str = ""
    """Changes with the input, the recipe, its settings and chunkmed's version."""
    groups: dict[str, str] = field(default_factory=dict)
    """More columns: what the pattern of the case id names beside ``case``."""

    def row(self) -> dict[str, Any]:
        """Return the columns of the row."""
        out: dict[str, Any] = asdict(self)
        out.pop("groups")
        return out | self.groups


@dataclass(frozen=True, slots=True)
class Spec:
    """What working on a case takes: the row of the private file."""

    case: str
    case_id: str
    token: str
    form: str
    source: str
    """Absolute path."""
    series: str | None = None
    image_bytes: int = 0
    input: str = ""
    """Token of the input alone."""
    labels: tuple[tuple[str, str], ...] = ()
    """Steps and the label images that stand in for them."""

    @classmethod
    def of(cls, row: dict[str, Any]) -> Spec:
        """Return it from plain values."""
        return cls(**{**row, "labels": tuple(tuple(pair) for pair in row["labels"])})


#: Names of the columns that every cohort has, in order.
COLUMNS = tuple(item.name for item in fields(Case) if item.name != "groups")


def _schema(cases: Sequence[Case]) -> pa.Schema:
    known = [
        (item.name, _TYPES[str(item.type).split(" ")[0]]) for item in fields(Case) if item.name in COLUMNS
    ]
    more = sorted({name for case in cases for name in case.groups})
    return pa.schema([*known, *((name, pa.string()) for name in more)])


def write_cases(out: Path, cases: Sequence[Case], specs: Sequence[Spec]) -> None:
    """Write both tables, each whole or not at all; the paths only for the user's own eyes."""
    rows = [asdict(spec) | {"labels": json.dumps(spec.labels)} for spec in specs]
    names = [item.name for item in fields(Spec)]
    kinds = [(name, pa.int64() if name == "image_bytes" else pa.string()) for name in names]
    private = pa.Table.from_pylist(rows, pa.schema(kinds))
    with draft_of(out / SOURCES) as draft:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        pq.write_table(private, draft)
    # Last: with it the plan is there.
    table = pa.Table.from_pylist([case.row() for case in cases], _schema(cases))
    with draft_of(out / CASES) as draft:
        pq.write_table(table, draft)


def read_columns(out: Path, *names: str) -> dict[str, list[Any]]:
    """Return some columns of the cases, in order."""
    table = _read(out / CASES, list(names))
    return {name: table[name].to_pylist() for name in names}


def group_names(out: Path) -> list[str]:
    """Return what the pattern of the case id names beside ``case``: columns of ``cases.parquet``."""
    path = out / CASES
    if not path.is_file():
        raise no_cohort(out)
    return [name for name in pq.read_schema(path).names if name not in COLUMNS]


def read_groups(out: Path) -> dict[str, dict[str, str]]:
    """Return the values of these, by case: ``{"visit": "base"}``."""
    names = group_names(out)
    columns = read_columns(out, "case", *names)
    values = zip(*(columns[name] for name in names), strict=True) if names else ((),) * len(columns["case"])
    return {
        case: {name: value or "" for name, value in zip(names, row, strict=True)}
        for case, row in zip(columns["case"], values, strict=True)
    }


def read_cases(out: Path) -> list[dict[str, Any]]:
    """Return the rows of ``cases.parquet``."""
    rows: list[dict[str, Any]] = _read(out / CASES, None).to_pylist()
    return rows


def read_specs(out: Path) -> Iterator[Spec]:
    """Yield what each selected case takes, in order."""
    path = out / SOURCES
    if not path.is_file():
        raise no_cohort(path.parent)
    for batch in pq.ParquetFile(path).iter_batches(4096):
        for row in batch.to_pylist():
            yield Spec.of({**row, "labels": json.loads(row["labels"])})


def _read(path: Path, names: list[str] | None) -> pa.Table:
    if not path.is_file():
        raise no_cohort(path.parent)
    try:
        return pq.read_table(path, columns=names)
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(
            "the table of cases cannot be read",
            kind="damaged",
            where=str(path),
            why=str(error),
            fix="plan the cohort again: results are kept",
        ) from error


def no_cohort(out: Path) -> StoreError:
    """Return the error for a folder that holds no cohort."""
    return StoreError("there is no cohort here", kind="no-cohort", where=str(out), fix="chunkmed cohort plan")
