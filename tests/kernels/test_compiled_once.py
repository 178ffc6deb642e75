"""Kernels are compiled at first use only: a second process loads what the first one left."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import json, sys
import dask, numpy as np, dask.array as da
import chunkmed.ndimage as ndi
from numba.core.dispatcher import Dispatcher

image = da.from_array(np.arange(8 * 9 * 40, dtype=np.int16).reshape(8, 9, 40) % 77, chunks=(4, 9, 40))
with dask.config.set(scheduler="synchronous"):
    for name, settings in json.loads(sys.argv[1]):
        getattr(ndi, name)(image, **settings).compute()
found = {}
for module in [m for n, m in sys.modules.items() if n.startswith("chunkmed.kernels")]:
    for value in vars(module).values():
        if isinstance(value, Dispatcher):
            hits, misses = value.stats.cache_hits, value.stats.cache_misses
            found[f"{value.__module__}.{value.__name__}"] = sum(hits.values()), sum(misses.values())
print(json.dumps(found))
"""
CALLS = [
    ("gaussian_filter", {"sigma": 1}),
    ("median_filter", {"size": 3}),
    ("uniform_filter", {"size": 3}),
    ("sobel", {}),
    ("maximum_filter", {"size": 3}),
    ("binary_closing", {"iterations": 2}),
]


def used() -> dict[str, tuple[int, int]]:
    """Return how many compiled kernels a new process loaded, and how many it compiled."""
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, json.dumps(CALLS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_a_second_process_compiles_nothing():
    used()
    second = used()
    assert sum(hits for hits, _ in second.values()) >= len(CALLS) - 2
    assert {name: misses for name, (_, misses) in second.items() if misses} == {}
