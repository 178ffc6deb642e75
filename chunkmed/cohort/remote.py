"""What runs where a case runs, on this machine or another: a child for the case, a line in the ledger."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from chunkmed.cohort.casework import Request
from chunkmed.cohort.ledger import Ledger
from chunkmed.cohort.worker import Workers

__all__ = ["WORKERS", "work_on"]

WORKERS = Workers()
atexit.register(WORKERS.stop)
_LOCK = threading.Lock()


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
    with _LOCK:
        ledger = _ledger(asked.out)
    ledger.started(asked.spec.case, asked.spec.token)
    if asked.workers > 1:
        # It has the memory of several: nobody idle may hold any of it.
        WORKERS.keep(0)
    outcome = WORKERS.run(asked, timeout_s)
    if outcome.kind != "locked":
        ledger.ended(outcome)
    return {"case": outcome.case, "state": outcome.state, "kind": outcome.kind}


@cache
def _ledger(out: str) -> Ledger:
    return Ledger(Path(out))
