"""What a cluster's errors mean, known by their names: only the room for clusters imports distributed."""

from __future__ import annotations

from typing import Any

from chunkmed.errors import ChunkmedError, PlanError
from chunkmed.units import format_bytes

__all__ = ["named"]

_KEPT = "what is finished is kept: the same call goes on from there"
_LOST_SCHEDULER = (
    "CommClosedError",
    "FutureCancelledError",
    "FuturesCancelledError",
    "ClosedClientError",
)
_NO_WORKERS = ("NoWorkerError", "NoValidWorkerError")


def named(error: BaseException) -> ChunkmedError | None:
    """Return the error that a user can act on; None where the cluster is not the cause.

    Parameters
    ----------
    error : BaseException
        What a distributed client raised.
    """
    if not type(error).__module__.startswith("distributed."):
        return None
    name = type(error).__name__
    if name == "KilledWorker":
        return _killed(error)
    if name in _LOST_SCHEDULER:
        return PlanError(
            "the dask scheduler is gone, or was told to cancel",
            kind="scheduler-lost",
            why=str(getattr(error, "reason", "")) or _one_line(error),
            kept=_KEPT,
            fix="start it again and connect",
        )
    if name in _NO_WORKERS:
        return PlanError(
            "the dask cluster has lost all of its workers",
            kind="no-workers",
            why=_one_line(error),
            kept=_KEPT,
            fix="see why they ended, start workers and connect",
        )
    return None


def _killed(error: Any) -> PlanError:
    worker = error.last_worker
    limit = format_bytes(worker.memory_limit) if worker.memory_limit else "no limit"
    return PlanError(
        f"a task ended {error.allowed_failures + 1} workers, one after the other",
        kind="worker-killed",
        where=f"task {_number_of(error.task)}, last worker {worker.name}, memory limit {limit}",
        why="most likely they took more memory than they may, else what they run crashes: see their logs",
        kept=_KEPT,
        fix="give workers more memory, or lower --memory (cm.config) so that blocks are smaller",
    )


def _number_of(key: Any) -> str:
    return str(key[-1]) if isinstance(key, tuple) else str(key)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
