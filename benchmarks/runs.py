"""Runs in pairs: all peers take turns, each in a fresh process; one JSON line per run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.inputs import fits, reference, stored
from benchmarks.machine import about
from benchmarks.operations import OPERATIONS
from benchmarks.peers import load
from benchmarks.processes import MemorySampler, limited_environment
from benchmarks.worker import WARM_UP

__all__ = ["ROOT", "Plan", "append", "now", "run_pairs", "run_worker"]

ROOT = Path(__file__).parents[1]
_LAST_WORDS = 2000


@dataclass(frozen=True)
class Plan:
    """What is measured against what."""

    case: str
    operation: str
    peers: tuple[str, ...]
    pairs: int
    workers: int
    memory: str | None = None


def now() -> str:
    """Return the time, for the results."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def append(path: Path, row: dict[str, Any]) -> None:
    """Add a line to the results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lines:
        lines.write(json.dumps(row) + "\n")


def run_pairs(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield one row per run: every peer in every variant, in turn, as often as there are pairs.

    Inputs and references are made first. A peer that fails, or has no such step, has rows that say so
    and is left out of later pairs.
    """
    turns = [(peer, variant) for peer in plan.peers for variant in load(peer).VARIANTS]
    _prepare(plan)
    batch = {"batch": now(), **about()}
    for pair in range(plan.pairs):
        # The order alternates: who comes first meets another state of the machine.
        for turn in turns[:: 1 if pair % 2 == 0 else -1]:
            row = batch | {"date": now(), "pair": pair} | _run(plan, *turn)
            if "wall_s" not in row:
                turns = [each for each in turns if each != turn]
            yield row


def _prepare(plan: Plan) -> None:
    operation = OPERATIONS[plan.operation]
    for name in dict.fromkeys([WARM_UP, plan.case]):
        case = CASES[name]
        for kind in sorted({load(peer).FORMAT for peer in plan.peers}):
            stored(case, kind)
        if not reference(case, operation).exists() and fits(case):
            stored(case, "zarr")
            command = [sys.executable, "-m", "benchmarks.inputs", name, plan.operation]
            subprocess.run(command, cwd=ROOT, env=_environment(os.cpu_count() or 1), check=True)


def _environment(workers: int) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return os.environ | limited_environment(workers) | {"PYTHONPATH": path}


def _run(plan: Plan, peer: str, variant: str) -> dict[str, Any]:
    asked = {
        "case": plan.case,
        "operation": plan.operation,
        "peer": peer,
        "variant": variant,
        "workers": plan.workers,
        "memory": plan.memory,
    }
    found = run_worker("benchmarks.worker", asked)
    return found | {"budget": found.pop("memory")}


def run_worker(module: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Run a worker in a process of its own, its memory watched; return what was asked and what it found."""
    command = [sys.executable, "-m", module, json.dumps(asked)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=ROOT, env=_environment(asked["workers"]), **pipes)
    with MemorySampler(process.pid) as sampler:
        out, errors = process.communicate()
    if process.returncode:
        return asked | {"error": errors[-_LAST_WORDS:] or f"ended with {process.returncode}"}
    found = json.loads(out.splitlines()[-1])
    if "wall_s" in found:
        found["peak_mib"] = round(
            sampler.peak_mib(found.pop("start_s"), found.pop("stop_s"), found["peak_rss_mib"]), 1
        )
    return asked | found


def rows_of(path: Path) -> Sequence[dict[str, Any]]:
    """Return all rows of a file of results."""
    return [json.loads(line) for line in path.read_text().splitlines() if line]
