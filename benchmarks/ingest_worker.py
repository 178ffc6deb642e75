"""One run of the ingest benchmark in a process of its own: import, warm up, start the clock, read, compare.

    python -m benchmarks.ingest_worker '{"slices": 60, "syntax": "plain", "peer": "pydicom", ...}'

The last line of its output is JSON. What is compared is the very output that was timed.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.ingest_job import Job, UnsupportedError, load
from benchmarks.inputs import fresh_folder
from benchmarks.processes import pin, rss_mib
from benchmarks.series import Series, slice_of, smallest, stored_series
from benchmarks.worker import size_mib, timed

__all__ = ["measured"]

_AT_ONCE = 64


def measured(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what one run of a peer took and in how many voxels it differs.

    Parameters
    ----------
    asked : dict
        ``slices``, ``side``, ``syntax``, ``peer``, ``variant``, ``workers``, ``memory``.
    """
    pin(asked["workers"])
    bare_mib = rss_mib()
    peer = load(asked["peer"])
    imported_mib = rss_mib()
    series = Series(asked["slices"], asked["side"], asked["syntax"])
    with fresh_folder() as folder:
        own = asked["workers"], asked["variant"], asked["memory"]
        job = Job(series, stored_series(series), folder / "out", *own)
        _warm_up(peer, job, folder / "warm")
        job.target.mkdir()
        before_mib = rss_mib()
        found, facts = timed(peer.read, job)
        told = facts()
        values = told.pop("values", None)
        found |= told | {"output_mib": size_mib(job.target)}
        found |= {"python_mib": bare_mib, "imported_mib": imported_mib, "before_mib": before_mib}
        found |= {"packages": {name: version(name) for name in peer.PACKAGES}}
        return found | _compared(values, series)


def _warm_up(peer: Any, job: Job, target: Path) -> None:
    """Read a few slices: what is imported or compiled on first use is not what is measured."""
    few = smallest(job.series)
    target.mkdir()
    peer.read(replace(job, series=few, folder=stored_series(few), target=target))


def _compared(values: Any, series: Series) -> dict[str, Any]:
    """Return how many voxels are not what the series was made of; None where there are none."""
    if values is None:
        return {"differs": None, "shape": None, "dtype": None}
    about = {"shape": list(values.shape), "dtype": str(values[0:1].dtype)}
    if tuple(values.shape) != series.shape:
        return about | {"differs": math.prod(series.shape)}
    return about | {"differs": sum(_differing(values, series, z) for z in range(0, series.slices, _AT_ONCE))}


def _differing(values: Any, series: Series, start: int) -> int:
    stop = min(start + _AT_ONCE, series.slices)
    pairs = zip(values[start:stop], range(start, stop), strict=True)
    return sum(int((plane != slice_of(series, z)).sum()) for plane, z in pairs)


def main(asked: dict[str, Any]) -> None:
    """Run and print one line of JSON."""
    try:
        found = measured(asked)
    except UnsupportedError as error:
        found = {"unsupported": str(error)}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
