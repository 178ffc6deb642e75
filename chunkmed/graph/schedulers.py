"""Which of dask's schedulers runs what is asked for here."""

from __future__ import annotations

import sys
from typing import Any

import dask
import dask.base
import dask.threaded

__all__ = ["scheduler_in_use", "scheduler_of_arrays"]


def scheduler_in_use() -> Any:
    """Return the ``get`` of dask's scheduler, None for the default, as :func:`dask.base.get_scheduler` does.

    That imports distributed to look for a client, a third of a second where it is installed; who has a
    client has imported it.
    """
    chosen = dask.config.get("scheduler", None) or dask.config.get("get", None)
    if chosen is None and "distributed" not in sys.modules:
        return None
    return dask.base.get_scheduler()


def scheduler_of_arrays() -> Any:
    """Return what dask computes arrays with, to be handed to ``compute``: it would look for it."""
    return scheduler_in_use() or dask.threaded.get
