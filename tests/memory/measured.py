"""Run operations on an image that is made as it is read; print predicted and measured peak memory.

``python tests/memory/measured.py OPERATION T,Z,Y,X BUDGET WORKERS``; with the budget ``smallest`` what
the error for too small a budget names, after showing that 0.8 of it is refused. Without words it takes
them from lines of JSON and answers one after the other. A large one:

    python tests/memory/measured.py "label, measure, distances" 1,1024,1024,1024 "1 GB" 2
"""

from __future__ import annotations

import ctypes
import json
import re
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.coords import attach
from chunkmed.errors import PlanError
from chunkmed.graph.nodes import Source
from chunkmed.graph.run import observing
from chunkmed.graph.views import view
from chunkmed.grid import Grid
from chunkmed.store import layout_of

#: Three plans, one after the other: what the first one names as enough is not for the last.
SEVERAL = "label, measure, distances"


class Waves:
    """An image of any size whose values are made when they are read."""

    def __init__(self, shape: tuple[int, ...], period: int = 24) -> None:
        self.shape, self.dtype, self.period = shape, np.dtype(np.int16), period
        self.token, self.chunks = f"waves {shape} {period}", layout_of(shape).shard

    def read(self, box: Any) -> np.ndarray:
        """Return blobs that lie apart."""
        out = np.zeros([stop - start for start, stop in box], self.dtype)
        for axis, (start, stop) in enumerate(box[1:], 1):
            wave = 100 * np.abs(np.arange(start, stop) % self.period - self.period // 2)
            sides = [1] * len(box)
            sides[axis] = -1
            out += wave.astype(self.dtype).reshape(sides)
        return out


class Predictions:
    """Remembers the plan of every pass."""

    def __init__(self) -> None:
        self.peaks: list[int] = []
        self.tasks: list[int] = []
        self.costs: list[int] = []

    def start(self, name: str, tasks: int, plan: Any) -> None:
        """Take note."""
        self.peaks.append(plan.peak_bytes)
        self.costs.append(plan.task_bytes)
        self.tasks.append(tasks)

    def advance(self, voxels: int, nbytes: int) -> None:
        """Nothing to do."""

    def finish(self) -> None:
        """Nothing to do."""


def operations(folder: Path) -> dict[str, Callable[[Any], Any]]:
    """Return what is run, by name."""

    def saved(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda image: cm.save(make(image), folder / "out.zarr", pyramid=False)

    def objects(image: Any) -> None:
        labels, _ = ndi.label(image > 1500)
        cm.measure(labels, image, ["count", "volume_ml", "mean", "center_of_mass_mm"])
        saved(lambda image: ndi.distance_transform_edt(image > 1500))(image)

    masks = ("binary_erosion", "binary_dilation", "binary_opening", "binary_closing")
    numbers = ("sum_labels", "mean", "variance", "standard_deviation", "minimum", "maximum", "extrema")
    places = ("minimum_position", "maximum_position", "center_of_mass", "find_objects")
    out: dict[str, Callable[[Any], Any]] = {
        "save": saved(lambda image: image),
        "gaussian_filter": saved(lambda image: ndi.gaussian_filter(image, 2)),
        "gaussian_filter float32": saved(lambda image: ndi.gaussian_filter(image, 2, output="float32")),
        "median_filter": saved(lambda image: ndi.median_filter(image, 3)),
        "label": lambda image: ndi.label(image > 1500),
        SEVERAL: objects,
        "fill holes": saved(lambda image: ndi.binary_fill_holes(image > 1500)),
        "distance_transform_edt": saved(lambda image: ndi.distance_transform_edt(image < 1500)),
        "distance_transform_cdt": saved(lambda image: ndi.distance_transform_cdt(image < 1500)),
        "chain": saved(lambda image: ndi.binary_closing(ndi.gaussian_filter(image, 2) > 1500, iterations=5)),
        "reductions over t": saved(lambda image: (image.mean("t") / (image.std("t") + 1)).expand_dims("t")),
        **{n: saved(lambda image, n=n: getattr(ndi, n)(image > 1500, iterations=3)) for n in masks},
        **{n: lambda image, n=n: getattr(ndi, n)(image, (image > 1500).astype("i4"), 1) for n in numbers},
        **{n: lambda image, n=n: getattr(ndi, n)(image, (image > 1500).astype("i4"), 1) for n in places},
    }
    out["median"] = lambda image: ndi.median(image, (image > 1500).astype("i4"), [1, 2])
    out["histogram"] = lambda image: ndi.histogram(image, 0, 4000, 99, (image > 1500).astype("i4"), [1, 2])
    out["percentiles"] = lambda image: cm.intensity.percentiles(image.astype("f4"), [1, 50, 99])
    out["find_objects"] = lambda image: ndi.find_objects((image > 1500).astype("i4"))
    return out


def image_of(shape: tuple[int, int, int, int]) -> Any:
    """Return a lazy image of a shape, 1 mm voxels."""
    axes = [tuple(np.arange(n) * 1.0) for n in shape]
    grid = Grid(axes[1], axes[2], axes[3], axes[0])
    return attach(view(Source(Waves(shape))), grid)


def reset_peak() -> None:
    """Let the kernel count the peak from now on."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Return the largest resident memory since the last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def run(name: str, sides: tuple[int, ...], memory: str | int, workers: int) -> dict[str, Any]:
    """Run once; return what was predicted and measured, or what was said against it."""
    assert len(sides) == 4
    predictions = Predictions()
    with tempfile.TemporaryDirectory() as folder, cm.config(memory=memory, workers=workers):
        try:
            reset_peak()
            with observing(predictions):
                operations(Path(folder))[name](image_of(sides))
        except PlanError as error:
            return {"refused": str(error)}
    found = {"predicted": max(predictions.peaks), "measured": peak_bytes(), "tasks": predictions.tasks}
    return found | {"task_bytes": max(predictions.costs)}


def smallest(name: str, sides: tuple[int, ...]) -> dict[str, Any]:
    """Run with the smallest budget that works."""
    refused = run(name, sides, "1 MB", 1)["refused"]
    named = re.search(r'memory="(\d+) MB"', refused)
    assert named is not None
    memory = int(named[1]) * 10**6
    below = run(name, sides, int(0.8 * memory), 1)
    return {"memory": memory, "below": below} | run(name, sides, memory, 1)


def answer(name: str, shape: str, memory: str, workers: str) -> str:
    """Return one line of JSON."""
    sides = tuple(int(n) for n in shape.split(","))
    return json.dumps(
        smallest(name, sides) if memory == "smallest" else run(name, sides, memory, int(workers))
    )


def serve() -> None:
    """Answer each line, as a process does that has worked before."""
    run("chain", (1, 32, 64, 64), "1 GB", 1)
    for line in sys.stdin:
        try:
            found = answer(*json.loads(line))
        except Exception:
            found = json.dumps({"error": traceback.format_exc()})
        sys.stdout.write(found + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.stdout.write(answer(*sys.argv[1:]) + "\n")
    else:
        serve()
