"""What a cohort comes to: one table with the user's ids, failures, a summary, outliers, a page."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from chunkmed.cohort.cases import group_names, read_columns, read_groups
from chunkmed.cohort.gathering import gathered, outcomes, parts, schemas
from chunkmed.cohort.outcomes import Outcome, case_folder
from chunkmed.cohort.outliers import Distribution, Outlier, distributions, keys_of, outliers_of
from chunkmed.drafts import draft_of
from chunkmed.errors import StoreError
from chunkmed.report import Card, Group, write_group_page, write_json

__all__ = ["grouped"]

_RECORD = ("state", "kind", "message", "seconds", "peak_bytes", "attempts", "memory_bytes")
_NOTHING = "nothing was found: no row in the table"


def grouped(out: Path, *, page: bool = True) -> dict[str, Any]:
    """Write everything about the group into ``group/``; return its summary."""
    folder = out / "group"
    try:
        folder.mkdir(exist_ok=True)
        for name, schema in schemas(out).items():
            _write_table(folder / name, parts(out, name, schema), schema)
        ended = list(outcomes(out))
        names = _Names(group_names(out), read_groups(out))
        failed = [outcome for outcome in ended if outcome.failed]
        _write_outcomes(folder / "failures.csv", names, ("kind", "message"), failed)
        table = gathered(out)
        rows = Counter(table["case"].to_pylist())
        _write_outcomes(folder / "cases.csv", names, _RECORD, ended, rows)
        empty = {o.case for o in ended if not o.failed and "table" in o.tables and not rows[o.case]}
        measured = list(distributions(table))
        far = [each for distribution in measured for each in outliers_of(distribution)]
        _write_rows(
            folder / "outliers.csv", [f.name for f in fields(Outlier)], (asdict(o).values() for o in far)
        )
        summary = _summary(out, ended, measured, far, empty)
        write_json(folder / "summary.json", summary)
        if page:
            write_group_page(folder, _group(out, names, ended, measured, far, summary, empty))
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError(
            "the tables of the group cannot be written", kind="unwritable", where=str(folder), why=why
        ) from error
    return summary


def _write_table(stem: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> None:
    """Write Parquet and CSV, some cases at a time."""
    parquet, text = stem.with_name(stem.name + ".parquet"), stem.with_name(stem.name + ".csv")
    with (
        draft_of(parquet) as draft,
        draft_of(text) as draft_text,
        pq.ParquetWriter(draft, schema) as rows,
        pa_csv.CSVWriter(draft_text, schema) as lines,
    ):
        for table in _batches(tables):
            rows.write_table(table)
            lines.write_table(table)


def _batches(tables: Iterable[pa.Table], rows: int = 1 << 16) -> Iterator[pa.Table]:
    """Yield tables of many rows: a group of rows for each case would make reading slow."""
    kept: list[pa.Table] = []
    for table in tables:
        kept.append(table)
        if sum(map(len, kept)) >= rows:
            yield pa.concat_tables(kept)
            kept = []
    if kept:
        yield pa.concat_tables(kept)


def _write_rows(path: Path, names: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    with draft_of(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)


@dataclass(frozen=True)
class _Names:
    """What the pattern of the case id names beside ``case``."""

    columns: list[str]
    values: dict[str, dict[str, str]]
    """By case."""


def _write_outcomes(
    path: Path,
    names: _Names,
    facts: Sequence[str],
    ended: Sequence[Outcome],
    rows: Mapping[str, int] | None = None,
) -> None:
    """Write a line for each case: its names, some facts, and how many rows of the table are its."""
    more = [name for name in names.columns if name not in facts]
    counted = [] if rows is None else ["rows"]
    _write_rows(
        path,
        ["case_id", "case", *more, *facts, *counted],
        (
            [
                *(o.case_id, o.case),
                *(names.values[o.case][name] for name in more),
                *(getattr(o, name) for name in facts),
                *([] if rows is None else [rows.get(o.case, 0)]),
            ]
            for o in ended
        ),
    )


def _summary(
    out: Path, ended: list[Outcome], measured: list[Distribution], far: list[Outlier], empty: Collection[str]
) -> dict[str, Any]:
    columns = read_columns(out, "selected")
    kinds = Counter(outcome.kind for outcome in ended if outcome.failed)
    done = [outcome for outcome in ended if not outcome.failed]
    return {
        "cases": sum(columns["selected"]),
        "found": len(columns["selected"]),
        "done": len(done),
        "failed": len(ended) - len(done),
        "failures": dict(sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))),
        "without_objects": len(empty),
        "outliers": len(far),
        "measures": {each.name: _numbers(each.values) for each in measured},
        "seconds": round(sum(outcome.seconds for outcome in ended), 3),
        "peak_memory_bytes": max((outcome.peak_bytes for outcome in ended), default=0),
    }


def _numbers(values: Any) -> dict[str, int | float]:
    known = values[np.isfinite(values)]
    if not known.size:
        return {"cases": 0}
    low, median, high = np.percentile(known, [25, 50, 75])
    out = {"mean": known.mean()} | ({"standard_deviation": known.std(ddof=1)} if known.size > 1 else {})
    out |= {"minimum": known.min(), "quartile_1": low, "median": median, "quartile_3": high}
    numbers = {name: float(value) for name, value in (out | {"maximum": known.max()}).items()}
    return {"cases": int(known.size), **numbers}


def _group(
    out: Path,
    names: _Names,
    ended: list[Outcome],
    measured: list[Distribution],
    far: list[Outlier],
    summary: dict[str, Any],
    empty: Collection[str],
) -> Group:
    marks = {case: [_NOTHING] for case in empty}
    for outlier in far:
        marks.setdefault(outlier.case, []).append(
            f"{outlier.measure} of {outlier.label} is {outlier.value:.4g}"
            if outlier.label
            else f"{outlier.measure} is {outlier.value:.4g}"
        )
    cards = []
    for outcome in ended:
        folder = case_folder(out, outcome.case)
        picture = folder / "picture.png"
        cards.append(
            Card(
                outcome.case,
                " / ".join((outcome.case_id, *names.values[outcome.case].values())),
                picture if picture.is_file() else None,
                folder,
                kind=outcome.kind,
                message=outcome.message,
                seconds=outcome.seconds,
                peak_bytes=outcome.peak_bytes,
                facts={k: v for k, v in outcome.summary.items() if k.endswith(("_ml", "_percent"))},
                marks=tuple(marks.get(outcome.case, ())),
                notes=tuple(map(str, outcome.notes)),
            )
        )
    values = [(each.name, each.values) for each in measured]
    outliers = [tuple(asdict(each).values()) for each in far]
    return Group(cards, values, _curves(out), outliers, summary)


def _curves(out: Path) -> list[tuple[str, str, Any, Any]]:
    """Return what there is over time: case, measure, times or indices, values."""
    known = schemas(out)
    if "curve" not in known:
        return []
    found = [curve for table in parts(out, "curve", known["curve"]) if (curve := _curve(table)) is not None]
    # Volumes and areas have no axis in common: the measure that most cases have.
    most = Counter(measure for _, measure, _, _ in found).most_common(1)
    return [curve for curve in found if curve[1] == most[0][0]]


def _curve(table: pa.Table) -> tuple[str, str, Any, Any] | None:
    """Return the curve of one case; columns that only other cases have hold nothing."""
    keys = keys_of(table)
    names = [n for n in table.column_names if n not in keys and table[n].null_count < len(table)]
    if not names:
        return None
    time = next((name for name in ("time_ms", "t") if name in table.column_names), None)
    times = np.arange(len(table)) if time is None else table[time].to_numpy(zero_copy_only=False)
    return table["case_id"][0].as_py(), names[-1], times, table[names[-1]].to_numpy(zero_copy_only=False)
