"""Functions that cohorts of the tests are run with: they must be importable where cases run."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr


def guarded(mask, marker):
    """Return the mask as labels, or end the process where there is no marker."""
    if not Path(marker).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return mask.astype("int16")


def first(image):
    return int(image.isel(t=0, z=0, y=0, x=0).compute(scheduler="synchronous"))


def bright(image):
    """Return the first value as that of an object, where it is more than 1: dark images hold nothing."""
    values = [value] if (value := first(image)) > 1 else []
    return xr.Dataset({"brightest": ("label", values)}, {"label": [1][: len(values)]})


def value(image):
    """Return the value of the first voxel and the number of voxels."""
    return xr.Dataset({"first_value": first(image), "voxels": image.size})


def timed(image):
    """Return when it began and ended."""
    start = time.time()
    time.sleep(0.05)
    return xr.Dataset({"start_s": start, "end_s": time.time()})


def masked(image, mask):
    return xr.Dataset({"voxels": int((mask > 0).sum().compute(scheduler="synchronous"))})


def greedy(image):
    """Hold 0.8 GB for a moment where the first value is 3."""
    if first(image) == 3:
        held = np.ones(100 << 20)
        time.sleep(0.3)
        assert held.size
    return value(image)


def odd(image):
    """Do what functions should not, each value its own."""
    number = first(image)
    sys.stdout.write(f"case of value {number}\n")
    if number == 1:
        return {"volume": 1}
    if number == 2:
        raise RuntimeError("does not work today")
    if number == 3:
        np.ones(1 << 40)
    if number == 4:
        raise SystemExit(9)
    if number == 5:
        raise KeyboardInterrupt
    return value(image)


def left_behind(image, marks):
    """Start another program and wait for it."""
    with subprocess.Popen(["sleep", "600"]) as started:
        Path(marks, f"{first(image)}.pid").write_text(str(started.pid))
    return value(image)


def once(image, marks):
    """Crash the first time."""
    mark = Path(marks) / str(first(image))
    if first(image) in (2, 5) and not mark.exists():
        mark.touch()
        ctypes.string_at(0)
    return value(image)


def _process(block):
    time.sleep(0.05)
    return np.full(block.shape, os.getpid())


def everywhere(image):
    """Return which processes tasks run in, which this is, and when it began and ended."""
    start = time.time()
    parts = da.zeros(16, chunks=1).map_blocks(_process, dtype=int).compute()
    found = {"in_workers": len(set(parts) - {os.getpid()}), "itself": os.getpid() in set(parts)}
    return xr.Dataset({**found, "start_s": start, "end_s": time.time()})
