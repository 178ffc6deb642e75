"""What runs where a case runs, on this machine or another: a child for the case, a line in the ledger."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from chunkmed.cluster import membership
from chunkmed.cohort.casework import Request
from chunkmed.cohort.ledger import Ledger
from chunkmed.cohort.worker import Workers

__all__ = ["WORKERS", "ledger_of", "work_on"]

WORKERS = Workers()
atexit.register(WORKERS.stop)
_LOCK = threading.Lock()


def _after_fork() -> None:
    # The children answer to the parent.
    WORKERS.forget()
    _ledger.cache_clear()


os.register_at_fork(after_in_child=_after_fork)


def work_on(request: Mapping[str, Any], timeout_s: float | None, _number: int) -> dict[str, Any]:
    """Work on a case and return a few words on how it ended; everything else is on disk.

    Parameters
    ----------
    request : mapping
        A :class:`chunkmed.cohort.casework.Request` as plain values.
    timeout_s : float or None
        Longest time of the case.
    _number : int
        Tells this call from others with the same arguments.
    """
    asked = Request.of(request)
    ledger = ledger_of(Path(asked.out))
    ledger.started(asked.spec.case, asked.spec.token)
    if asked.spread is not None:
        asked = replace(asked, spread=replace(asked.spread, member=membership()))
    if asked.workers > 1:
        # It has the memory of several: nobody idle may hold any of it.
        WORKERS.keep(0)
    outcome = WORKERS.run(asked, timeout_s)
    ledger.ended(outcome)
    return {"case": outcome.case, "state": outcome.state, "kind": outcome.kind}


def ledger_of(out: Path) -> Ledger:
    """Return the ledger of this process for a cohort."""
    with _LOCK:
        return _ledger(str(out))


@cache
def _ledger(out: str) -> Ledger:
    return Ledger(Path(out))
