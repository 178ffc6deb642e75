"""chunkmed, store to store: the whole commit protocol included, without coarser levels."""

from __future__ import annotations

from functools import partial

import chunkmed as cm
import chunkmed.ndimage as ndi
from benchmarks.operations import ARITHMETIC, FUNCTIONS, Steps, applied, first_of, magnitude
from benchmarks.peers import Facts, Job
from benchmarks.plans import Plans
from chunkmed.graph.run import observing

__all__ = ["COMPARED", "FORMAT", "STEPS", "VARIANTS", "planned", "run"]

FORMAT, VARIANTS, COMPARED = "chunkmed", ("",), True

#: A DataArray is filtered along z, y, x at every time point.
STEPS: Steps = {
    **ARITHMETIC,
    **{name: getattr(ndi, name) for name in FUNCTIONS if hasattr(ndi, name)},
    "label": first_of(ndi.label),
    "sobel_magnitude": partial(magnitude, sobel=ndi.sobel),
}


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
