"""Efficiency: what fusion, halos and scheduling cost.

E = (read + write + kernel core-seconds, each measured apart by one thread, without halo)
/ (wall seconds of ``chunkmed.save`` x cores). All in one process, in turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import xarray as xr

from benchmarks.cases import CASES, Box, blocks
from benchmarks.inputs import fresh_folder, remove, stored
from benchmarks.machine import about
from benchmarks.operations import OPERATIONS, applied
from benchmarks.peers import Job, chunkmed
from benchmarks.processes import machine_cpu_seconds, pin
from benchmarks.runs import now
from benchmarks.worker import WARM_UP
from chunkmed.graph.box import whole
from chunkmed.graph.evaluate import evaluate
from chunkmed.graph.lift import lift
from chunkmed.graph.trace import ArrayReader
from chunkmed.graph.views import from_reader
from chunkmed.store import create_array, open_image

__all__ = ["measure"]

Seconds = dict[str, float]


def measure(
    case: str, operation: str, *, repeats: int, workers: int, memory: str | None
) -> Iterator[dict[str, Any]]:
    """Yield one row per turn: seconds of each part, and E of the turn."""
    pin(workers)
    with fresh_folder() as folder:
        warm, job = (
            Job(CASES[name], OPERATIONS[operation], stored(CASES[name], "chunkmed"), folder, workers, memory)
            for name in (WARM_UP, case)
        )
        _turn(warm)
        batch = {"batch": now(), **about()}
        for number in range(repeats):
            row = {"date": now(), "pair": number, "case": case, "operation": operation}
            yield batch | row | {"workers": workers, "budget": memory} | _turn(job)


def _turn(job: Job) -> dict[str, Any]:
    target = job.target / "whole.zarr"
    all_before, own_before, start_s = machine_cpu_seconds(), time.process_time(), time.perf_counter()
    plans = chunkmed.planned(replace(job, target=target))
    wall_s = time.perf_counter() - start_s
    others_cpu_s = machine_cpu_seconds() - all_before - (time.process_time() - own_before)
    remove(target)
    # The blocks that the last pass had: whole shards of the output.
    block = plans.plans[-1].block
    # Not the main thread: blosc would use threads of its own there.
    with ThreadPoolExecutor(1) as pool:
        parts = pool.submit(_parts, job, blocks(job.case.shape, block)).result()
    found = {f"{name}_s": value for name, value in parts.items()}
    found |= {"wall_s": wall_s, "others_cpu_s": max(0.0, others_cpu_s)}
    found["efficiency"] = sum(parts.values()) / (wall_s * job.workers)
    return {name: round(value, 4) for name, value in found.items()} | {"block": block}


def _parts(job: Job, boxes: Iterable[Box]) -> Seconds:
    """Return the seconds that one thread takes to read, compute and write all blocks, each apart."""
    source, target = open_image(job.source).array, job.target / "parts"
    writer, _ = create_array(target, job.case.shape, job.operation.dtype, commit="benchmark")
    total = dict.fromkeys(("read", "kernel", "write"), 0.0)
    for box in boxes:
        start_s = time.perf_counter()
        values = source.read(box)
        total["read"] += time.perf_counter() - start_s
        request = _in_memory(job, values)
        start_s = time.perf_counter()
        (result,) = evaluate([request])
        total["kernel"] += time.perf_counter() - start_s
        total["write"] += _seconds(lambda box=box, result=result: writer.write(box, result))
    remove(target)
    return total


def _in_memory(job: Job, values: Any) -> tuple[Any, Box]:
    """Return the node of the operation on a block alone: its borders are the image's, no halo."""
    image = xr.DataArray(from_reader(ArrayReader(values)), dims=("t", "z", "y", "x"))
    node = lift(applied(job.operation, image, chunkmed.STEPS)).node
    return node, whole(values.shape)


def _seconds(action: Callable[[], Any]) -> float:
    start_s = time.perf_counter()
    action()
    return time.perf_counter() - start_s


def median_line(rows: list[dict[str, Any]]) -> str:
    """Return the medians of all turns in one line."""
    names = ("read_s", "kernel_s", "write_s", "wall_s", "others_cpu_s", "efficiency")
    values = ", ".join(f"{name} {statistics.median(row[name] for row in rows):.3f}" for name in names)
    first = rows[0]
    title = f"{first['case']}, {first['operation']}, {first['workers']} workers, block {first['block']}"
    return f"{title}, {len(rows)} turns: {values}"
