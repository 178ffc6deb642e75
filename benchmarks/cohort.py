"""What a cohort costs beside the work: ``python -m benchmarks.cohort overhead 10000``, ``... status 100000``.

And what a second worker brings: ``... scaling 40``. Prints one line of JSON. Overhead: the cases read one
voxel; wall and processor time of everything over the number of cases, and what the client holds after the
first and after the last of them. Status: a plan and a ledger of so many cases, read as ``chunkmed cohort
status`` reads them. Scaling: the command that runs so many cases, on one core with one worker and on two
with two, in turns; starting up counts.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

import chunkmed as cm
from chunkmed.cohort.cases import Case, Spec, write_cases
from chunkmed.cohort.ledger import Ledger
from chunkmed.cohort.outcomes import Outcome
from chunkmed.coords import attach
from chunkmed.grid import Grid

WORKERS, TURNS = 2, 3
CINE = (12, 16, 256, 256)
RECIPE = """
schema = 1
description = "What is bright and connected"
[parameters]
above = 500
[[step]]
name = "smooth"
do = "gaussian_filter"
of = "image"
sigma = "3 mm"
[[step]]
name = "bright"
do = "threshold"
of = "smooth"
above = "$above"
[[step]]
name = "whole"
do = "binary_closing"
of = "bright"
iterations = 3
[[step]]
name = "object"
do = "keep_largest"
of = "whole"
[[measure]]
labels = "object"
of = "image"
what = ["volume_ml", "mean", "median"]
"""


def trivial(image: xr.DataArray) -> xr.Dataset:
    """Return next to nothing."""
    return xr.Dataset({"voxels": image.size})


def overhead(count: int, folder: Path) -> dict[str, Any]:
    """Run so many cases of the same small store."""
    axis = tuple(np.arange(4.0))
    image = attach(da.zeros((1, 4, 4, 4), dtype=np.int16), Grid(axis, axis, axis))
    source = _listed(image, count, folder)
    started = time.monotonic()
    cohort = cm.cohort.plan(source, folder / "out", recipe=trivial, memory="2 GB", workers=WORKERS)
    planned_s = time.monotonic() - started
    held: list[int] = []
    started, cpu_s = time.monotonic(), _cpu_s()
    status = cohort.run(progress=lambda done, *_: held.append(_held_bytes()) if done else None)
    wall_s, cpu_s = time.monotonic() - started, _cpu_s() - cpu_s
    assert (status.done, status.failed) == (count, 0)
    return {
        "cases": count,
        "plan_ms_a_case": 1e3 * planned_s / count,
        "wall_ms_a_case_and_worker": 1e3 * wall_s * WORKERS / count,
        "client_cpu_ms_a_case": 1e3 * cpu_s / count,
        "client_first_mib": held[0] / 2**20,
        "client_last_mib": held[-1] / 2**20,
    }


def status(count: int, folder: Path) -> dict[str, Any]:
    """Read the state of so many cases, one in a hundred of them failed."""
    names = [f"{number:012x}" for number in range(count)]
    cases = [Case(name, name, token=name) for name in names]
    specs = [Spec(name, name, name, "dicom", "/nowhere") for name in names]
    write_cases(folder, cases, specs)
    ledger = Ledger(folder)
    for number, name in enumerate(names):
        kind = "" if number % 100 else "timeout"
        ledger.started(name, name)
        state = "failed" if kind else "done"
        ledger.ended(Outcome(name, name, name, state, kind, seconds=1.0, peak_bytes=1 << 28))
    started, cpu_s = time.monotonic(), _cpu_s()
    found = cm.cohort.status(folder)
    told = {"cases": count, "wall_s": time.monotonic() - started, "cpu_s": _cpu_s() - cpu_s}
    assert (found.done, found.failed) == (count - -(-count // 100), -(-count // 100))
    return told


def scaling(count: int, folder: Path) -> dict[str, Any]:
    """Run the same cases with one worker and with two."""
    rng = np.random.default_rng(0)
    axes = [tuple(np.arange(n) * step) for n, step in zip(CINE, (30.0, 6.0, 1.5, 1.5), strict=True)]
    image = attach(
        da.from_array(rng.integers(0, 1000, CINE).astype(np.int16)), Grid(*axes[1:], time_ms=axes[0])
    )
    source = _listed(image, count, folder)
    (folder / "recipe.toml").write_text(RECIPE)
    _scaled(source, folder / "warm", 1)
    walls = [[_scaled(source, folder / f"{turn}-{n}", n) for n in (1, WORKERS)] for turn in range(TURNS)]
    ratios = [one / two for one, two in walls]
    return {"cases": count, "walls_s": walls, "ratios": ratios, "median": statistics.median(ratios)}


def _listed(image: xr.DataArray, count: int, folder: Path) -> Path:
    """Save an image and return a list that names it so many times."""
    cm.save(image, folder / "image.zarr", pyramid=False)
    rows = "".join(f"image.zarr,c{number:06d}\n" for number in range(count))
    (folder / "list.csv").write_text("path,case_id\n" + rows)
    return folder / "list.csv"


def _scaled(source: Path, out: Path, workers: int) -> float:
    """Return how long the command takes, on as many cores as it has workers."""
    cm.cohort.plan(source, out, recipe=source.with_name("recipe.toml"), memory="3 GB", workers=workers)
    cores = sorted(os.sched_getaffinity(0))[:workers]
    started = time.monotonic()
    command = [sys.executable, "-m", "chunkmed", "cohort", "run", str(out)]
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    return time.monotonic() - started


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _held_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Run one of the three."""
    kinds = {"overhead": overhead, "status": status, "scaling": scaling}
    what, count = kinds[sys.argv[1]], int(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="cohort") as folder:
        print(json.dumps({"what": sys.argv[1], **what(count, Path(folder))}))


if __name__ == "__main__":
    main()
