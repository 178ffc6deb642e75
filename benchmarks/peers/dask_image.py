"""dask-image, store to store, on the chunks as they are stored and on larger ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import dask
import dask.array as da
import dask_image.ndfilters
import dask_image.ndmeasure
import dask_image.ndmorph

from benchmarks.inputs import create_zarr
from benchmarks.operations import ARITHMETIC, FUNCTIONS, Steps, applied, first_of, magnitude
from benchmarks.peers import Facts, Job

__all__ = ["COMPARED", "FORMAT", "STEPS", "VARIANTS", "run"]

FORMAT, VARIANTS, COMPARED = "zarr", ("unit", "larger"), True


def per_time(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that acts on each time point: dask-image's act along every axis."""
    return lambda image, **settings: da.stack([function(volume, **settings) for volume in image])


_ROOMS = (dask_image.ndfilters, dask_image.ndmorph)
_OWN: dict[str, Any] = {
    **{name: getattr(room, name) for name in FUNCTIONS for room in _ROOMS if hasattr(room, name)},
    "label": first_of(dask_image.ndmeasure.label),
    "sobel_magnitude": partial(magnitude, sobel=dask_image.ndfilters.sobel),
}
STEPS: Steps = {**ARITHMETIC, **{name: per_time(function) for name, function in _OWN.items()}}


def run(job: Job) -> Facts:
    """Build the graph, compute it into a zarr array."""
    result = applied(job.operation, da.from_zarr(str(job.source), chunks=job.block), STEPS)
    target = create_zarr(job.target, job.case, job.operation.dtype)
    with dask.config.set(scheduler="threads", num_workers=job.workers):
        da.store(result, target, lock=False)
    return lambda: {"tasks": len(dict(result.__dask_graph__()))}
