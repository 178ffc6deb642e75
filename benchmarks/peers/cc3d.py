"""cc3d, connected components: it labels volumes in memory, one thread."""

from __future__ import annotations

import cc3d
import numpy as np

from benchmarks.peers import Facts, Job
from benchmarks.peers.whole import run_whole, steps_of

__all__ = ["COMPARED", "FORMAT", "STEPS", "VARIANTS", "run"]

FORMAT, VARIANTS, COMPARED = "zarr", ("",), True
STEPS = steps_of(
    {
        "label": lambda mask: cc3d.connected_components(
            np.ascontiguousarray(mask), connectivity=6, out_dtype=np.uint32
        )
    }
)


def run(job: Job) -> Facts:
    """Read all, compute, write all."""
    return run_whole(job, STEPS)
