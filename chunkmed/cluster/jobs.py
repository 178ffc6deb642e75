"""A job that cannot be submitted is a failed worker, and no obstacle to closing the cluster."""

from __future__ import annotations

import asyncio
from typing import Any

from distributed.core import Status

__all__ = ["job_class", "submit_first"]

_TRIES = 3
_PAUSE_S = 2.0


def job_class(base: Any) -> Any:
    """Return a class of jobs that are submitted again where the batch system refuses them in passing.

    Parameters
    ----------
    base : type
        The ``job_cls`` of a cluster of dask-jobqueue.
    """

    class Job(base):  # type: ignore[misc]
        async def start(self) -> None:
            for left in reversed(range(_TRIES)):
                try:
                    await super().start()
                    return
                except RuntimeError:
                    if not left:
                        self.status = Status.failed
                        raise
                    await asyncio.sleep(_PAUSE_S)

    return Job


async def submit_first(cluster: Any) -> None:
    """Submit one job of a cluster that has none, and say so where it is refused."""
    cluster.worker_spec.update(cluster.new_worker_spec())
    await cluster
