"""chunkmed, store to store: the whole commit protocol included, without coarser levels."""

from __future__ import annotations

import chunkmed as cm
import chunkmed.ndimage as ndi
from benchmarks.operations import ARITHMETIC, Steps, applied
from benchmarks.peers import Facts, Job
from chunkmed.graph.plan import Plan
from chunkmed.graph.run import observing

__all__ = ["COMPARED", "FORMAT", "STEPS", "VARIANTS", "planned", "run"]

FORMAT, VARIANTS, COMPARED = "chunkmed", ("",), True

#: A DataArray is filtered along z, y, x at every time point.
STEPS: Steps = {**ARITHMETIC, "gaussian": ndi.gaussian_filter, "closing": ndi.binary_closing}


class Plans:
    """An observer that keeps the plan of every pass."""

    def __init__(self) -> None:
        self.tasks = 0
        self.plans: list[Plan] = []

    def start(self, name: str, tasks: int, plan: Plan) -> None:
        """Take note of a pass that begins."""
        self.tasks += tasks
        self.plans.append(plan)

    def advance(self, voxels: int, nbytes: int) -> None:
        """Take no note of a block."""

    def finish(self) -> None:
        """Take no note of the end."""

    @property
    def predicted_mib(self) -> float:
        """Peak memory as it was planned."""
        return round(max(plan.peak_bytes for plan in self.plans) / 2**20, 1)


def planned(job: Job) -> Plans:
    """Open, compute block by block, save; return what was planned."""
    plans = Plans()
    with cm.config(memory=job.memory, workers=job.workers), observing(plans):
        cm.save(applied(job.operation, cm.open(job.source), STEPS), job.target, pyramid=False)
    return plans


def run(job: Job) -> Facts:
    """Open, compute block by block, save."""
    plans = planned(job)
    return lambda: {"tasks": plans.tasks, "passes": len(plans.plans), "predicted_mib": plans.predicted_mib}
