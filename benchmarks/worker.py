"""One run in a process of its own: warm up on ``tiny``, start the clock, do it once, compare.

    python -m benchmarks.worker '{"case": "small", "operation": "chain", "peer": "scipy", ...}'

The last line of its output is JSON. Comparing comes after the clock has stopped, on the very output
that was timed, so that what it imports and holds is not charged to the peer.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, blocks
from benchmarks.inputs import fresh_folder, reference, stored
from benchmarks.operations import UnsupportedStepError
from benchmarks.peers import Job, job_of, load
from benchmarks.processes import (
    cpu_seconds,
    machine_cpu_seconds,
    peak_rss_mib,
    pin,
    reset_peak_rss,
    touch_memory,
)

__all__ = ["measured", "size_mib", "timed"]

WARM_UP = "tiny"


def measured(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what one run of a peer took and whether its output is scipy's.

    Parameters
    ----------
    asked : dict
        ``case``, ``operation``, ``peer``, ``variant``, ``workers``, ``memory``.
    """
    pin(asked["workers"])
    peer = load(asked["peer"])
    with fresh_folder() as folder:
        warm = _job(peer, {**asked, "case": WARM_UP}, folder / "warm.zarr")
        job = _job(peer, asked, folder / "out.zarr")
        for each in (warm, job):
            if hasattr(peer, "prepare"):
                peer.prepare(each)
        peer.run(warm)
        found, facts = timed(peer.run, job)
        found |= facts()
        found["output_mib"] = size_mib(job.target)
        return found | (_compared(peer, [warm, job]) if peer.COMPARED else {"differs": None, "compared": []})


def _job(peer: Any, asked: dict[str, Any], target: Path) -> Job:
    return job_of(asked, stored(CASES[asked["case"]], peer.FORMAT), target)


def timed(run: Callable[[Any], Any], job: Any) -> tuple[dict[str, Any], Any]:
    """Run a job; return what it took, and what ``run`` returned."""
    gc.collect()
    # What was written before is on the disk: nobody waits for another's pages.
    os.sync()
    touch_memory()
    reset_peak_rss()
    all_before, cpu_before, start_s = machine_cpu_seconds(), cpu_seconds(), time.monotonic()
    facts = run(job)
    stop_s, cpu_s = time.monotonic(), cpu_seconds() - cpu_before
    return {
        "wall_s": round(stop_s - start_s, 4),
        "cpu_s": round(cpu_s, 4),
        # A run that shared its cores with others is no good witness.
        "others_cpu_s": round(max(0.0, machine_cpu_seconds() - all_before - cpu_s), 2),
        "peak_rss_mib": round(peak_rss_mib(), 1),
        "start_s": start_s,
        "stop_s": stop_s,
    }, facts


def size_mib(folder: Path) -> float:
    """Return the size of all files below a folder."""
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20, 2)


def _compared(peer: Any, jobs: list[Job]) -> dict[str, Any]:
    """Return how many voxels differ from scipy's, and on which cases that is known."""
    known = {job.case.name: job for job in jobs if reference(job.case, job.operation).exists()}
    counts = [_differing(job, peer.FORMAT) for job in known.values()]
    return {"differs": sum(counts), "compared": list(known)}


def _differing(job: Job, kind: str) -> int:
    import numpy as np
    import zarr

    own = zarr.open_array(job.target / "0/image" if kind == "chunkmed" else job.target, mode="r")
    theirs = zarr.open_array(reference(job.case, job.operation), mode="r")
    if (own.shape, own.dtype) != (theirs.shape, theirs.dtype):
        return int(np.prod(theirs.shape))
    cuts = (tuple(slice(a, b) for a, b in box) for box in blocks(job.case.shape, job.case.larger))
    return sum(int(np.count_nonzero(own[cut] != theirs[cut])) for cut in cuts)


def main(asked: dict[str, Any]) -> None:
    """Run and print one line of JSON."""
    try:
        found = measured(asked)
    except UnsupportedStepError as error:
        found = {"unsupported": str(error)}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
