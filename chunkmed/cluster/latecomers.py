"""Workers that come later are looked at too: one that does not see the files leaves again."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from distributed.diagnostics.plugin import WorkerPlugin

from chunkmed.cluster.sight import Evidence, look

__all__ = ["Doorkeeper"]

_log = logging.getLogger(__name__)


class Doorkeeper(WorkerPlugin):
    """Sends a worker away that does not see what the others see.

    Parameters
    ----------
    evidence : Evidence
        What it must find.
    """

    name = "chunkmed-doorkeeper"

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    async def setup(self, worker: Any) -> None:
        """Look; the worker closes where something is missing."""
        seen = await asyncio.to_thread(look, self.evidence)
        if seen.unlike or seen.unseen:
            _log.error("chunkmed: this worker does not see the files of the others, and leaves")
            worker.loop.add_callback(worker.close, nanny=True, reason="chunkmed-unseen-files")
