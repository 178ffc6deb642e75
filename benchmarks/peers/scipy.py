"""scipy with the whole image in memory: the reference of every parity."""

from __future__ import annotations

from functools import partial
from typing import Any

import scipy.ndimage

from benchmarks.operations import FUNCTIONS, first_of, magnitude
from benchmarks.peers import Facts, Job
from benchmarks.peers.whole import run_whole, steps_of

__all__ = ["COMPARED", "FORMAT", "STEPS", "VARIANTS", "run"]

FORMAT, VARIANTS, COMPARED = "zarr", ("",), True

_OWN: dict[str, Any] = {
    **{name: getattr(scipy.ndimage, name) for name in FUNCTIONS if hasattr(scipy.ndimage, name)},
    "label": first_of(scipy.ndimage.label),
    "sobel_magnitude": partial(magnitude, sobel=scipy.ndimage.sobel),
}
STEPS = steps_of(_OWN)


def run(job: Job) -> Facts:
    """Read all, compute, write all."""
    return run_whole(job, STEPS)
