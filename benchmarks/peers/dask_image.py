"""dask-image, store to store, on the chunks as they are stored and on larger ones."""

from __future__ import annotations

from typing import Any

import dask
import dask.array as da
import dask_image.ndfilters
import dask_image.ndmorph
import scipy.ndimage

from benchmarks.inputs import create_zarr
from benchmarks.operations import ARITHMETIC, Steps, applied
from benchmarks.peers import Facts, Job

__all__ = ["COMPARED", "FORMAT", "STEPS", "VARIANTS", "run"]

FORMAT, VARIANTS, COMPARED = "zarr", ("unit", "larger"), True


def gaussian(image: Any, sigma: float) -> Any:
    """Filter along z, y, x."""
    return dask_image.ndfilters.gaussian_filter(image, sigma=(0, sigma, sigma, sigma))


def closing(image: Any, iterations: int) -> Any:
    """Close along z, y, x."""
    structure = scipy.ndimage.generate_binary_structure(3, 1)[None]
    return dask_image.ndmorph.binary_closing(image, structure=structure, iterations=iterations)


STEPS: Steps = {**ARITHMETIC, "gaussian": gaussian, "closing": closing}


def run(job: Job) -> Facts:
    """Build the graph, compute it into a zarr array."""
    result = applied(job.operation, da.from_zarr(str(job.source), chunks=job.block), STEPS)
    target = create_zarr(job.target, job.case, job.operation.dtype)
    with dask.config.set(scheduler="threads", num_workers=job.workers):
        da.store(result, target, lock=False)
    return lambda: {"tasks": len(dict(result.__dask_graph__()))}
