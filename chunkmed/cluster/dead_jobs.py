"""Jobs that ended before their workers came: the batch system knows them no more, and nobody else says so."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distributed.core import Status

__all__ = ["replacing_dead_jobs"]

#: How each batch system lists the numbers of all jobs that wait or run, one a line.
_LISTS = {"slurm": ["squeue", "--noheader", "--format", "%i"]}
_LOOK_EVERY_S = 20.0
_PATIENCE_S = 30.0
_log = logging.getLogger(__name__)


@contextmanager
def replacing_dead_jobs(cluster: Any, system: str) -> Iterator[None]:
    """Give up jobs inside the block that ended before a worker came: under adapt() new ones take their place.

    Parameters
    ----------
    cluster : dask_jobqueue.JobQueueCluster
        Adaptive.
    system : str
        Batch system. Of those that cannot be asked which jobs there are, jobs are waited for as they are.
    """
    if system not in _LISTS:
        yield
        return
    task = cluster.sync(_begun, cluster, _LISTS[system])
    try:
        yield
    finally:
        cluster.loop.add_callback(task.cancel)


async def _begun(cluster: Any, words: list[str]) -> asyncio.Task[None]:
    return asyncio.create_task(_watch(cluster, words))


async def _watch(cluster: Any, words: list[str]) -> None:
    while cluster.status == Status.running:
        await asyncio.sleep(_LOOK_EVERY_S)
        # Those first: what is submitted later is not in the list.
        waiting = _waiting(cluster)
        if not waiting or (known := await asyncio.to_thread(_listed, words)) is None:
            continue
        dead = [name for name, job in waiting.items() if job not in known and name in _waiting(cluster)]
        if dead:
            _log.warning("chunkmed: %d jobs ended before their workers came; they are replaced", len(dead))
            await cluster.scale_down(dead)


def _waiting(cluster: Any) -> dict[Any, str]:
    """Return the numbers of jobs whose workers have not come, by their names in the cluster."""
    came = {str(worker["name"]) for worker in cluster.scheduler_info["workers"].values()}
    return {
        name: str(job.job_id)
        for name, job in cluster.workers.items()
        if getattr(job, "job_id", None) and not came & set(_names(name, cluster.worker_spec.get(name, {})))
    }


def _names(name: Any, spec: Any) -> Iterator[str]:
    """Yield what the workers of a job are called."""
    yield from (f"{name}{suffix}" for suffix in spec.get("group", [""]))


def _listed(words: list[str]) -> set[str] | None:
    """Return the numbers of all jobs; None where the batch system does not answer."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            words, capture_output=True, text=True, timeout=_PATIENCE_S, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return set(done.stdout.split())
