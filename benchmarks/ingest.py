"""Ingest: peers read a DICOM series in turns, each run in a fresh process; one JSON line per run.

python -m benchmarks ingest --slices 600 --peers chunkmed:convert,pydicom,floor --pairs 3
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.ingest_job import turns_of
from benchmarks.ingest_tables import latest, rendered
from benchmarks.machine import about
from benchmarks.runs import append, now, rows_of, run_worker
from benchmarks.series import Series, smallest, stored_series

__all__ = ["IngestPlan", "command", "run_rounds"]


@dataclass(frozen=True)
class IngestPlan:
    """What is read by whom."""

    series: Series
    turns: tuple[tuple[str, str], ...]
    """Peers and variants."""
    pairs: int
    workers: int
    memory: str | None = None


def run_rounds(plan: IngestPlan) -> Iterator[dict[str, Any]]:
    """Yield one row per run: everybody in turn, the order alternating; who fails is left out later."""
    for series in (smallest(plan.series), plan.series):
        stored_series(series)
    turns = list(plan.turns)
    batch = {"batch": now(), **about()}
    for pair in range(plan.pairs):
        for peer, variant in turns[:: 1 if pair % 2 == 0 else -1]:
            asked = asdict(plan.series) | {"peer": peer, "variant": variant}
            asked |= {"workers": plan.workers, "memory": plan.memory}
            row = batch | {"date": now(), "pair": pair} | run_worker("benchmarks.ingest_worker", asked)
            if "error" in row:
                # The rest names places on this machine.
                row["error"] = row["error"].strip().splitlines()[-1]
            if "wall_s" not in row:
                turns.remove((peer, variant))
            yield row


def command(options: argparse.Namespace) -> None:
    """Measure reading a DICOM series, add lines to the results, print the table."""
    if options.report:
        for rows in latest(rows_of(options.results)):
            print(rendered(rows), end="\n\n")
        return
    series = Series(options.slices, options.side, options.syntax)
    plan = IngestPlan(series, tuple(turns_of(options.peers)), options.pairs, options.workers, options.memory)
    rows = []
    for row in run_rounds(plan):
        append(options.results, row)
        rows.append(row)
        print(_progress(row), file=sys.stderr, flush=True)
    print(rendered(rows))


def _progress(row: dict[str, Any]) -> str:
    if "wall_s" not in row:
        took = row.get("unsupported") or row["error"]
    else:
        wrong = f", {row['differs']} voxels DIFFER" if row["differs"] else ""
        took = f"{row['wall_s']:.3f} s, CPU {row['cpu_s']:.3f} s, {row['peak_mib']:.0f} MiB{wrong}"
    return f"round {row['pair']}: {row['peer']} {row['variant']}: {took}"
