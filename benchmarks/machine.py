"""Where and with what a benchmark ran: part of every line of the results."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["about"]

_PACKAGES = ("chunkmed", "numpy", "scipy", "dask", "dask-image", "zarr", "numcodecs", "numba", "xarray")


@cache
def about() -> dict[str, Any]:
    """Return machine and versions."""
    return {"machine": _machine(), "versions": _versions()}


def _machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "arch": platform.machine(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "commit": _commit()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def _commit() -> str:
    """Return the commit that is measured, and whether it was changed."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no commit: {error}", file=sys.stderr)
        return "unknown"
