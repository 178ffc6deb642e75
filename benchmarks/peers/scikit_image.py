"""scikit-image with the whole image in memory: what it does by itself and what it hands to scipy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from skimage import filters, measure, morphology

from benchmarks.peers import Facts, Job
from benchmarks.peers.whole import run_whole, steps_of

__all__ = ["COMPARED", "FORMAT", "STEPS", "VARIANTS", "run"]

FORMAT, VARIANTS, COMPARED = "zarr", ("",), True


def box(size: Any) -> Any:
    """Return the window of a size."""
    return np.ones(size if isinstance(size, tuple) else (size,) * 3, bool)


def closing(image: Any, iterations: int) -> Any:
    """Close with a row of crosses."""
    cross = morphology.octahedron(1, dtype=bool)
    return morphology.closing(image, [(cross, iterations)])


_OWN: dict[str, Callable[..., Any]] = {
    "gaussian_filter": lambda image, sigma: filters.gaussian(
        image, sigma, mode="reflect", preserve_range=True
    ),
    "binary_closing": closing,
    "median_filter": lambda image, size: filters.median(image, box(size), mode="reflect"),
    "maximum_filter": lambda image, size: morphology.dilation(image, box(size)),
    "grey_closing": lambda image, size: morphology.closing(image, box(size)),
    "laplace": lambda image: filters.laplace(image.astype(np.float32)),
    # Its kernels are weighted so that the sum is one, and the length is divided by the root of three.
    "sobel_magnitude": filters.sobel,
    "label": lambda image: measure.label(image, connectivity=1),
}
STEPS = steps_of(_OWN)


def run(job: Job) -> Facts:
    """Read all, compute, write all."""
    return run_whole(job, STEPS)
