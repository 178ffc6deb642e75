"""OpenCV, which filters slices: for operations along y and x only."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from benchmarks.operations import UnsupportedStepError
from benchmarks.peers import Facts, Job
from benchmarks.peers.whole import run_whole, steps_of

__all__ = ["COMPARED", "FORMAT", "STEPS", "VARIANTS", "run"]

FORMAT, VARIANTS, COMPARED = "zarr", ("",), True


def side(size: Any) -> int:
    """Return the width of a square window within slices."""
    if not isinstance(size, tuple) or size[0] != 1 or size[1] != size[2]:
        raise UnsupportedStepError("window along z")
    return int(size[1])


def median(volume: Any, size: Any) -> Any:
    """Filter each slice; signed 16 bit is not known there, its bits in order are."""
    shifted = (volume.view(np.uint16) ^ 0x8000) if volume.dtype == np.int16 else volume
    out = np.stack([cv2.medianBlur(plane, side(size)) for plane in shifted])
    return (out ^ 0x8000).view(np.int16) if volume.dtype == np.int16 else out


def maximum(volume: Any, size: Any) -> Any:
    """Dilate each slice with a square."""
    window = np.ones((side(size),) * 2, np.uint8)
    return np.stack([cv2.dilate(plane, window) for plane in volume])


STEPS = steps_of({"median_filter": median, "maximum_filter": maximum})


def run(job: Job) -> Facts:
    """Read all, compute, write all."""
    cv2.setNumThreads(job.workers)
    return run_whole(job, STEPS)
