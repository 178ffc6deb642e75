"""What 10^5 blocks cost before and beside their work: first task, memory, bytes that travel.

    python -m benchmarks.many_blocks [TASKS]

The image is made as it is read and blocks are tiny: what is measured is the engine alone.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cloudpickle
import dask
import dask.threaded
import numpy as np

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Source
from chunkmed.graph.passes import make_program
from chunkmed.graph.views import view

SIDE = 8
#: A task of the size that plans choose on `small`, seconds of one core.
USUAL_TASK_S = 0.25


class Zeros:
    """An image of nothing, in as many blocks as one likes."""

    def __init__(self, blocks: int) -> None:
        self.shape, self.chunks, self.dtype = (
            (blocks, SIDE, SIDE, SIDE),
            (1, SIDE, SIDE, SIDE),
            np.dtype("i2"),
        )
        self.token = f"zeros {blocks}"

    def read(self, box: Any) -> Any:
        """Return zeros."""
        return np.zeros([b - a for a, b in box], self.dtype)


def resident_mb() -> float:
    """Return the memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def measured(blocks: int) -> dict[str, float]:
    """Return what a run over so many blocks takes; the second, when kernels are loaded."""
    image = view(Source(Zeros(blocks)))
    chain = (ndi.gaussian_filter(image, (0, 1, 1, 1)) > 3) & (image < 5)
    first: list[tuple[float, float]] = []

    def task(box: Any, arrays: Any) -> int:  # noqa: ARG001 - the work is what comes before
        if not first:
            first.append((time.perf_counter(), resident_mb()))
        return 1

    with patch("chunkmed.graph.plan.MAX_BLOCK_BYTES", SIDE**3), cm.config(memory="2 GB", workers=2):
        before_mb, start_s, cpu_s = resident_mb(), time.perf_counter(), time.process_time()
        program = make_program([lift(chain).node], unit=(1, SIDE, SIDE, SIDE))
        tasks = sum(1 for _ in program.run(task, name="many"))
    per_task_s = (time.process_time() - cpu_s) / tasks
    return {
        "tasks": tasks,
        "first_task_s": round(first[0][0] - start_s, 3),
        "added_mb_at_first_task": round(first[0][1] - before_mb, 1),
        "added_mb_at_the_end": round(resident_mb() - before_mb, 1),
        "cpu_ms_per_task": round(per_task_s * 1e3, 3),
        "share_of_a_usual_task": round(per_task_s / USUAL_TASK_S, 4),
    }


def travelling_bytes(blocks: int = 1000) -> float:
    """Return the bytes per task that a scheduler elsewhere would be sent."""
    sizes: list[tuple[int, int]] = []

    def get(graph: Any, keys: Any, **_: Any) -> Any:
        sizes.append((len(keys), len(cloudpickle.dumps(graph))))
        return dask.threaded.get(graph, keys)

    with dask.config.set(scheduler=get):
        measured(blocks)
    return round(sum(nbytes for _, nbytes in sizes) / sum(tasks for tasks, _ in sizes), 1)


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    runs = [measured(100), measured(wanted)]
    print(json.dumps({"cold": runs[0], "warm": runs[1], "bytes_per_task": travelling_bytes()}, indent=2))
