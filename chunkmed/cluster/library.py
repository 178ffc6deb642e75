"""The door: distributed and dask-jobqueue, imported when a cluster is asked for."""

from __future__ import annotations

import importlib
import logging
from typing import Any

import dask.config

from chunkmed.errors import InputError

__all__ = ["NO_PAGES", "distributed", "jobqueue", "silence", "temporary_security"]

#: dask's configuration for schedulers and workers that show nothing: without a dashboard they would still
#: answer whoever asks this machine who works on what.
NO_PAGES: dict[str, list[str]] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
_NOISY = ("distributed", "tornado", "asyncio")


def distributed() -> Any:
    """Return the library that schedules tasks on many processes."""
    return _imported("distributed")


def jobqueue() -> Any:
    """Return the library that makes workers of the jobs of a batch system."""
    return _imported("dask_jobqueue")


def temporary_security() -> Any:
    """Return a key and a certificate that exist in memory only, for this cluster alone."""
    _imported("cryptography")
    return distributed().Security.temporary()


def silence() -> None:
    """Let nothing be logged by this process, nor by workers that it starts as processes of its own."""
    distributed()
    for name in [*logging.root.manager.loggerDict, *_NOISY]:
        if name.partition(".")[0] in _NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    dask.config.set({"distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical"})


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"{name} is not installed",
            kind="missing-extra",
            why="clusters need it",
            fix='pip install "chunkmed[cluster]"',
        ) from error
