"""Command line: ``python -m benchmarks run|report|plot|efficiency|functions|ingest``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks import functions, tables
from benchmarks.cases import CASES
from benchmarks.operations import OPERATIONS
from benchmarks.peers import MORE, NAMES
from benchmarks.processes import limited_environment
from benchmarks.runs import Plan, append, rows_of, run_pairs

RESULTS = Path(__file__).parent / "results"


def run(options: argparse.Namespace) -> None:
    """Measure peers in turns, add lines to the results, print the table."""
    peers = tuple(options.peers.split(","))
    plan = Plan(options.case, options.operation, peers, options.pairs, options.workers, options.memory)
    rows = []
    for row in run_pairs(plan):
        append(options.results, row)
        rows.append(row)
        print(_progress(row), file=sys.stderr, flush=True)
    print(tables.rendered(rows))


def _progress(row: dict[str, Any]) -> str:
    took = f"{row['wall_s']:.3f} s, {row['peak_mib']:.0f} MiB" if "wall_s" in row else "nothing"
    wrong = f", {row['differs']} voxels DIFFER" if row.get("differs") else ""
    error = f"\n{row['error']}" if "error" in row else ""
    return f"pair {row['pair']}: {row['peer']} {row['variant']}: {took}{wrong}{error}"


def report(options: argparse.Namespace) -> None:
    """Print the table of the last batch of everything that was measured."""
    for rows in tables.latest(rows_of(options.results)):
        print(tables.rendered(rows), end="\n\n")


def plot(options: argparse.Namespace) -> None:
    """Draw time and memory against size, of the last batch of each size."""
    from benchmarks.plots import draw

    draw(rows_of(options.results), options.operation, options.out)
    print(options.out)


def efficiency(options: argparse.Namespace) -> None:
    """Measure the parts and the whole, add lines to the results, print medians."""
    # Before numba reads it.
    os.environ.update(limited_environment(options.workers))
    from benchmarks.efficiency import measure, median_line

    about = {"repeats": options.pairs, "workers": options.workers, "memory": options.memory}
    rows = []
    for row in measure(options.case, options.operation, **about):
        append(options.results, row)
        rows.append(row)
    print(median_line(rows))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    whole = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = whole.add_subparsers(required=True)
    about = {"run": (run, "runs"), "report": (report, "runs"), "efficiency": (efficiency, "efficiency")}
    for name, (action, results) in about.items():
        command = commands.add_parser(name, help=action.__doc__)
        command.set_defaults(action=action)
        command.add_argument("--results", type=Path, default=RESULTS / f"{results}.jsonl")
        if name != "report":
            _add_choices(command)
        if name == "run":
            command.add_argument(
                "--peers",
                default=",".join(NAMES),
                help=f"names (also {', '.join(MORE)}), or modules with a dot",
            )
    command = commands.add_parser("plot", help=plot.__doc__)
    command.set_defaults(action=plot)
    command.add_argument("out", type=Path)
    command.add_argument("--operation", choices=OPERATIONS, default="chain")
    command.add_argument("--results", type=Path, default=RESULTS / "runs.jsonl")
    functions.add_arguments(commands.add_parser("functions", help=functions.__doc__.splitlines()[0]))
    _add_ingest(commands.add_parser("ingest", help="read DICOM series: chunkmed beside its peers"))
    return whole


def _add_ingest(command: argparse.ArgumentParser) -> None:
    from benchmarks import ingest, ingest_job, series

    command.set_defaults(action=ingest.command)
    command.add_argument("--results", type=Path, default=RESULTS / "ingest.jsonl")
    command.add_argument("--slices", type=int, default=60)
    command.add_argument("--side", type=int, default=512, help="rows and columns")
    command.add_argument("--syntax", choices=series.SYNTAXES, default="plain")
    command.add_argument("--peers", default=",".join(ingest_job.NAMES), help="like chunkmed:convert,pydicom")
    command.add_argument("--pairs", type=int, default=3, help="rounds: how often everything is measured")
    command.add_argument("--workers", type=int, default=2, help="tasks at a time, and cores")
    command.add_argument("--memory", help='budget of chunkmed, like "2 GB"')
    command.add_argument("--report", action="store_true", help="only print the last table of every series")


def _add_choices(command: argparse.ArgumentParser) -> None:
    command.add_argument("--case", choices=CASES, default="small")
    command.add_argument("--operation", choices=OPERATIONS, default="chain")
    command.add_argument("--pairs", type=int, default=5, help="how often everything is measured")
    command.add_argument("--workers", type=int, default=2, help="tasks at a time, and cores")
    command.add_argument("--memory", help='budget of chunkmed, like "2 GB"')


if __name__ == "__main__":
    options = parser().parse_args()
    options.action(options)
