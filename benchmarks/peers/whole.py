"""What peers share that have the whole image in memory: read all, compute per time point, write all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import zarr

from benchmarks.inputs import create_zarr
from benchmarks.operations import ARITHMETIC, Steps, applied
from benchmarks.peers import Facts, Job, per_time

__all__ = ["run_whole", "steps_of"]


def steps_of(functions: Mapping[str, Callable[..., Any]]) -> Steps:
    """Return the steps of a peer from functions of one volume."""
    return {**ARITHMETIC, **{name: per_time(function) for name, function in functions.items()}}


def run_whole(job: Job, steps: Steps) -> Facts:
    """Read all, compute, write all."""
    result = applied(job.operation, zarr.open_array(job.source, mode="r")[...], steps)
    create_zarr(job.target, job.case, job.operation.dtype)[...] = result
    return lambda: {"tasks": None}
