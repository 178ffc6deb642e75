"""Where the seconds of an ingest go: every part's own time, in all threads, what it calls left out.

    python -m benchmarks.ingest_parts [SLICES] [REPEATS]

Parts are functions of chunkmed by name, as data. Wall seconds of threads that run side by side add up
to more than the whole took; "rest" is what no part accounts for (engine, planning, waiting).
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any

import chunkmed as cm
from benchmarks.inputs import fresh_folder, remove
from benchmarks.processes import machine_cpu_seconds, pin
from benchmarks.series import Series, smallest, stored_series

__all__ = ["PARTS", "Parts"]

WORKERS = 2
#: Name of a part, then module and function, or module and class.method.
PARTS: tuple[tuple[str, str, str], ...] = (
    ("find files", "chunkmed.dicom.walk", "find_files"),
    ("headers", "chunkmed.dicom.read", "read_header"),
    ("sorting into stacks", "chunkmed.dicom.stacks", "stacks_of"),
    ("pixels from disk", "chunkmed.conversion", "StackReader.read"),
    ("planning", "chunkmed.graph.passes", "make_program"),
    ("encoding", "chunkmed.store.shards", "encode"),
    ("checksums of files", "chunkmed.store.shards", "checksum"),
    ("writing files", "chunkmed.store.files", "write"),
    ("coarser levels", "chunkmed.graph.shrunk", "Shrink.__call__"),
    ("manifest, fsync, rename", "chunkmed.store.commit", "Staging.commit"),
    ("opening the result", "chunkmed.conversion", "open_store"),
)


class Parts:
    """Own wall and processor seconds of each part."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._open, self._lock = threading.local(), threading.Lock()
        for part, module, name in PARTS:
            self._replace(part, importlib.import_module(module), name)

    def _replace(self, part: str, module: Any, name: str) -> None:
        holder, _, method = name.rpartition(".")
        if holder:
            owner = getattr(module, holder)
            setattr(owner, method, self._clocked(part, getattr(owner, method)))
            return
        original = getattr(module, name)
        clocked = self._clocked(part, list_of(original) if name == "find_files" else original)
        for each in list(sys.modules.values()):
            # Others have imported it by its name.
            if each.__name__.startswith("chunkmed") and getattr(each, name, None) is original:
                setattr(each, name, clocked)

    def _clocked(self, part: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def clocked(*arguments: Any, **options: Any) -> Any:
            callers = self._open.__dict__.setdefault("stack", [])
            inner = [0.0, 0.0]
            callers.append(inner)
            start = time.perf_counter(), time.thread_time()
            try:
                return original(*arguments, **options)
            finally:
                took = time.perf_counter() - start[0], time.thread_time() - start[1]
                callers.pop()
                self._add(part, [all_ - own for all_, own in zip(took, inner, strict=True)])
                if callers:
                    callers[-1][:] = [a + b for a, b in zip(callers[-1], took, strict=True)]

        return clocked

    def _add(self, part: str, took: list[float]) -> None:
        with self._lock:
            self.seconds[part] = [a + b for a, b in zip(self.seconds[part], took, strict=True)]


def list_of(generator: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is done when it returns."""
    return lambda *arguments: list(generator(*arguments))


def measured(slices: int, repeats: int) -> dict[str, Any]:
    """Return medians of several conversions: seconds of the whole and of its parts."""
    pin(WORKERS)
    series = Series(slices)
    rows: list[dict[str, list[float]]] = []
    parts = Parts()
    with fresh_folder() as folder, cm.config(workers=WORKERS):
        cm.convert(stored_series(smallest(series)), folder / "warm.zarr")
        for _ in range(repeats):
            parts.seconds.clear()
            all_before, cpu_before, start_s = machine_cpu_seconds(), time.process_time(), time.perf_counter()
            cm.convert(stored_series(series), folder / "out.zarr")
            wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_before
            others_s = machine_cpu_seconds() - all_before - cpu_s
            rest_s = cpu_s - sum(cpu for _, cpu in parts.seconds.values())
            whole = {"whole": [wall_s, cpu_s], "rest": [0.0, rest_s], "others": [0.0, others_s]}
            rows.append({**parts.seconds, **whole})
            remove(folder / "out.zarr")
    return {
        name: [round(statistics.median(row[name][i] for row in rows), 4) for i in (0, 1)] for name in rows[0]
    }


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    found = measured(*(given + [600, 5][len(given) :]))
    print(json.dumps({"columns": ["wall_s of all threads", "cpu_s"], **found}, indent=2))
