"""A process that a worker started, on the cluster of that worker: its own tasks run on all workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chunkmed.cluster.library import distributed, silence

__all__ = ["joined", "membership", "reaches_others"]

_INSIDE = "inproc:"
_TLS_FILES = {
    "tls_ca_file": "tls_ca_file",
    "tls_client_cert": "tls_worker_cert",
    "tls_client_key": "tls_worker_key",
}


def reaches_others(client: Any) -> bool:
    """Whether processes that are started by workers of a client can reach its scheduler."""
    scheduler = getattr(client, "scheduler", None)
    return scheduler is not None and not str(getattr(scheduler, "address", _INSIDE)).startswith(_INSIDE)


def membership() -> dict[str, Any]:
    """Return, in a task on a worker, what a process needs to join; the task's thread is free for others.

    Plain values, with the worker's own certificates: for a process of the same user on the same machine.
    """
    worker = distributed().get_worker()
    # The task waits for that process, whose tasks run here too.
    distributed().secede()
    files = {ours: getattr(worker.security, theirs) for ours, theirs in _TLS_FILES.items()}
    return {"address": worker.scheduler.address, "tls": {k: v for k, v in files.items() if v}}


@contextmanager
def joined(member: dict[str, Any]) -> Iterator[None]:
    """Run everything inside of the block on the cluster that :func:`membership` told of."""
    silence()
    tls = member["tls"]
    security = distributed().Security(**tls, require_encryption=True) if tls else None
    with distributed().Client(member["address"], security=security, timeout=60.0):
        yield
