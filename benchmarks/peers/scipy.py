"""scipy with the whole image in memory: the reference of every parity."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
import zarr

from benchmarks.inputs import create_zarr
from benchmarks.operations import ARITHMETIC, Steps, applied
from benchmarks.peers import Facts, Job

__all__ = ["COMPARED", "FORMAT", "STEPS", "VARIANTS", "run"]

FORMAT, VARIANTS, COMPARED = "zarr", ("",), True


def gaussian(image: Any, sigma: float) -> Any:
    """Filter along z, y, x."""
    return scipy.ndimage.gaussian_filter(image, (0, sigma, sigma, sigma))


def closing(image: Any, iterations: int) -> Any:
    """Close along z, y, x."""
    structure = scipy.ndimage.generate_binary_structure(3, 1)[None]
    return scipy.ndimage.binary_closing(image, structure, iterations)


def label(image: Any) -> Any:
    """Label every time point."""
    return np.stack([scipy.ndimage.label(frame)[0] for frame in image])


def fill_holes(image: Any) -> Any:
    """Fill the holes of every time point."""
    return np.stack([scipy.ndimage.binary_fill_holes(frame) for frame in image])


STEPS: Steps = {
    **ARITHMETIC,
    "gaussian": gaussian,
    "closing": closing,
    "label": label,
    "fill_holes": fill_holes,
}


def run(job: Job) -> Facts:
    """Read all, compute, write all."""
    result = applied(job.operation, zarr.open_array(job.source, mode="r")[...], STEPS)
    create_zarr(job.target, job.case, job.operation.dtype)[...] = result
    return lambda: {"tasks": None}
