"""The door: distributed and dask-jobqueue, imported when a cluster is asked for."""

from __future__ import annotations

import importlib
from typing import Any

from chunkmed.errors import PlanError

__all__ = ["distributed", "jobqueue", "temporary_security"]


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


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise PlanError(
            f"{name} is not installed",
            kind="missing-extra",
            why="clusters need it",
            fix='pip install "chunkmed[cluster]"',
        ) from error
