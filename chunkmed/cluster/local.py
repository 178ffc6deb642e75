"""Workers on this machine: processes behind 127.0.0.1, or threads of this process."""

from __future__ import annotations

from typing import Any

import dask.config

from chunkmed.cluster.library import NO_PAGES, distributed
from chunkmed.graph.budget import Budget

__all__ = ["local_cluster"]


def local_cluster(processes: bool, workers: int | None, memory: int | float | str | None) -> Any:
    """Start workers that nobody outside of this machine can reach.

    Parameters
    ----------
    processes : bool
        A process for each worker, or one worker with a thread for each.
    workers : int, optional
        Tasks at a time; all cores by default.
    memory : int or str, optional
        What all of them may take together; by default half of what is free.

    Returns
    -------
    distributed.LocalCluster
    """
    whole = Budget.of(memory, workers)
    count, threads = (whole.workers, 1) if processes else (1, whole.workers)
    make = distributed().LocalCluster
    with dask.config.set(NO_PAGES):
        return make(
            n_workers=count,
            threads_per_worker=threads,
            processes=processes,
            memory_limit=whole.memory // count,
            host="127.0.0.1" if processes else None,
            protocol="tcp://" if processes else "inproc://",
            # Nothing at a port that another cluster may have.
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            worker_dashboard_address=None,
        )
