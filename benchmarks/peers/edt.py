"""edt, Euclidean distances: of volumes in memory, in float32."""

from __future__ import annotations

from functools import partial
from typing import Any

import edt
import numpy as np

from benchmarks.peers import Facts, Job
from benchmarks.peers.whole import run_whole, steps_of

__all__ = ["COMPARED", "FORMAT", "VARIANTS", "run"]

FORMAT, VARIANTS, COMPARED = "zarr", ("",), True


def distances(mask: Any, sampling: tuple[float, ...], threads: int) -> Any:
    """Return the distance to the background, which does not begin beyond the border."""
    return edt.edt(np.ascontiguousarray(mask), anisotropy=sampling, black_border=False, parallel=threads)


def run(job: Job) -> Facts:
    """Read all, compute, write all."""
    return run_whole(job, steps_of({"distance_transform_edt": partial(distances, threads=job.workers)}))
