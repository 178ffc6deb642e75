"""The floor: stock zarr-python reads the input once and writes an output once, nothing in between.

The layout is that of chunkmed's stores: the same shards, inner chunks, codec and checksums. What it
writes are true values of the operation, made before the clock starts from one block of the case:
they compress as those of a real run do.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import zarr
from zarr.codecs import BloscCodec

from benchmarks.cases import CASES, Box, Values, blocks
from benchmarks.operations import OPERATIONS, applied
from benchmarks.peers import Facts, Job
from benchmarks.peers.scipy import STEPS
from chunkmed.store.layout import layout_of

__all__ = ["COMPARED", "FORMAT", "VARIANTS", "prepare", "run"]

FORMAT, VARIANTS, COMPARED = "chunkmed", ("unit", "larger"), False


@cache
def template(case: str, operation: str) -> Any:
    """Return what the operation makes of a block in the middle of the case."""
    image = CASES[case]
    sides = [min(n, 2 * s) for n, s in zip(image.shape, layout_of(image.shape).shard, strict=True)]
    box = tuple((0, n) for n in (1, *sides[1:]))
    return applied(OPERATIONS[operation], Values(image).read(box), STEPS)


def prepare(job: Job) -> None:
    """Make the values that are written."""
    template(job.case.name, job.operation.name)


def run(job: Job) -> Facts:
    """Copy every block."""
    source = zarr.open_array(job.source / "0/image", mode="r")
    layout = layout_of(job.case.shape)
    target = zarr.create_array(
        job.target,
        shape=job.case.shape,
        dtype=job.operation.dtype,
        chunks=layout.inner,
        shards=layout.shard,
        compressors=BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle"),
    )
    values = template(job.case.name, job.operation.name)

    def copy(box: Box) -> None:
        cut = tuple(slice(a, b) for a, b in box)
        _ = source[cut]
        target[cut] = values[tuple(slice(0, b - a) for a, b in box)]

    factors = (1, 2, 2, 2) if job.variant == "larger" else (1, 1, 1, 1)
    sides = [
        min(-(-n // s) * s, f * s) for n, s, f in zip(job.case.shape, layout.shard, factors, strict=True)
    ]
    boxes = list(blocks(job.case.shape, sides))
    with ThreadPoolExecutor(job.workers) as pool:
        list(pool.map(copy, boxes))
    return lambda: {"tasks": len(boxes)}
