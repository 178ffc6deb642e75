"""The tables of all cases as one: in the order of the plan, with the user's own ids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chunkmed.cohort.cases import group_names, read_columns, read_groups
from chunkmed.cohort.outcomes import Outcome, case_folder, read_outcome
from chunkmed.errors import InputError, StoreError

__all__ = ["gathered", "outcomes", "parts", "schemas"]

_KEYS = (("case_id", pa.string()), ("case", pa.string()))
_TYPES = {"double": pa.float64(), "float": pa.float64(), "bool": pa.bool_(), "string": pa.string()}


def outcomes(out: Path) -> Iterator[Outcome]:
    """Yield the outcome of each selected case that ended, in the order of the plan."""
    columns = read_columns(out, "case", "token", "selected")
    for case, token, selected in zip(columns["case"], columns["token"], columns["selected"], strict=True):
        outcome = read_outcome(out, case) if selected else None
        # Of other inputs, or an earlier recipe: no result of this cohort.
        if outcome is not None and outcome.token == token:
            yield outcome


def schemas(out: Path) -> dict[str, pa.Schema]:
    """Return the columns of each table, those of all cases together."""
    found: dict[str, dict[str, pa.DataType]] = {}
    for outcome in outcomes(out):
        for name, columns in outcome.tables.items():
            known = found.setdefault(name, {})
            for column, kind in columns:
                known[column] = _wider(known.get(column), _TYPES.get(kind, pa.int64()))
    groups = group_names(out)
    return {
        # A column of the table itself comes before one of the same name in the pattern of the case id.
        name: pa.schema([*_KEYS, *((g, pa.string()) for g in groups if g not in columns), *columns.items()])
        for name, columns in sorted(found.items())
    }


def _wider(known: pa.DataType | None, new: pa.DataType) -> pa.DataType:
    if known is None or known == new:
        return new
    return pa.string() if pa.string() in (known, new) else pa.float64()


def parts(out: Path, name: str, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of one case after the other."""
    groups = read_groups(out)
    for outcome in outcomes(out):
        if name not in outcome.tables:
            continue
        path = case_folder(out, outcome.case) / f"{name}.parquet"
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise StoreError(
                "a table of the cohort cannot be read",
                kind="damaged",
                where=f"case {outcome.case_id}, {path}",
                why=str(error),
                kept="the other cases are as they were",
                fix=f"remove the folder {path.parent} and resume: the case runs again",
            ) from error
        keys = {**groups[outcome.case], "case_id": outcome.case_id, "case": outcome.case}
        arrays = [
            table[field.name].cast(field.type)
            if field.name in table.column_names
            else pa.array([keys[field.name]] * len(table), pa.string())
            if field.name in keys
            else pa.nulls(len(table), field.type)
            for field in schema
        ]
        yield pa.table(arrays, schema=schema)


def gathered(out: Path, name: str = "table") -> pa.Table:
    """Return a table of all cases; see :func:`chunkmed.cohort.table`."""
    known = schemas(out)
    if name not in known:
        if not known and name == "table":
            return pa.schema(_KEYS).empty_table()
        raise InputError(
            f"there is no table {name!r}", kind="no-table", fix=f"choose of {', '.join(known) or 'none yet'}"
        )
    found = list(parts(out, name, known[name]))
    return pa.concat_tables(found) if found else known[name].empty_table()
