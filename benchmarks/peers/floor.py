"""The floor: stock zarr-python reads the input once and writes an output once, nothing in between.

What it writes are true values of the operation, made before the clock starts from one block of the
case: they compress as those of a real run do.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import zarr

from benchmarks.cases import CASES, Box, Values, blocks
from benchmarks.inputs import create_zarr
from benchmarks.operations import OPERATIONS, applied
from benchmarks.peers import Facts, Job
from benchmarks.peers.scipy import STEPS

__all__ = ["COMPARED", "FORMAT", "VARIANTS", "prepare", "run"]

FORMAT, VARIANTS, COMPARED = "zarr", ("unit", "larger"), False


@cache
def template(case: str, operation: str) -> Any:
    """Return what the operation makes of a block in the middle of the case."""
    image = CASES[case]
    corner = [n // 2 // b * b for n, b in zip(image.shape, image.larger, strict=True)]
    box = tuple((a, min(a + b, n)) for a, b, n in zip(corner, image.larger, image.shape, strict=True))
    return applied(OPERATIONS[operation], Values(image).read(box), STEPS)


def prepare(job: Job) -> None:
    """Make the values that are written."""
    template(job.case.name, job.operation.name)


def run(job: Job) -> Facts:
    """Copy every block."""
    source = zarr.open_array(job.source, mode="r")
    target = create_zarr(job.target, job.case, job.operation.dtype)
    values = template(job.case.name, job.operation.name)

    def copy(box: Box) -> None:
        cut = tuple(slice(a, b) for a, b in box)
        _ = source[cut]
        target[cut] = values[tuple(slice(0, b - a) for a, b in box)]

    boxes = list(blocks(job.case.shape, job.block))
    with ThreadPoolExecutor(job.workers) as pool:
        list(pool.map(copy, boxes))
    return lambda: {"tasks": len(boxes)}
