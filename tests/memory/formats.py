"""Write and read NIfTI and TIFF larger than memory; print the peak of each, and how much was read.

``python tests/memory/formats.py [GB] [BUDGET]``: by default images of 4 GB and a budget of 800 MB, in a
temporary folder (three times the size on disk). Every line is a process of its own:
``step  peak memory  bytes read of bytes of the image  seconds``.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

import chunkmed as cm
from chunkmed.coords import attach
from chunkmed.graph.nodes import Source
from chunkmed.graph.views import view
from chunkmed.grid import Grid
from chunkmed.store import layout_of

SIDE = 1024


class Noisy:
    """An image of any size, int16, whose values are made when they are read; gzip halves it."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.dtype = shape, np.dtype(np.int16)
        self.token, self.chunks = f"noisy {shape}", layout_of(shape).shard

    def read(self, box: Any) -> np.ndarray:
        """Return a cube of waves with noise in their lowest bits."""
        grids = np.meshgrid(
            *(np.arange(a, b, dtype=np.int32) for a, b in box[1:]), indexing="ij", sparse=True
        )
        z, y, x = grids
        values = ((z * 7 + y * 3 + x) % 1024) + ((z * 7919 + y * 104729 + x * 1299709) >> 4) % 16
        return values.astype(np.int16)[None]


def image_of(slices: int) -> Any:
    """Return the image, 0.5 mm voxels."""
    axes = [tuple(np.arange(n) * 0.5) for n in (slices, SIDE, SIDE)]
    return attach(view(Source(Noisy((1, slices, SIDE, SIDE)))), Grid(*axes))


def write_tiffs(folder: Path, slices: int) -> None:
    """Write a file for each slice."""
    folder.mkdir()
    made = Noisy((1, slices, SIDE, SIDE))
    for z in range(slices):
        values = made.read(((0, 1), (z, z + 1), (0, SIDE), (0, SIDE)))[0, 0]
        tifffile.imwrite(folder / f"{z:05}.tif", values)


def count(image: Any) -> int:
    """Return how many voxels are above a level, block by block."""
    table = cm.measure(image > 700, what=["count"])
    return int(table["count"].sum())


def step(name: str, folder: Path, slices: int) -> Any:
    """Run one step in this process."""
    if name == "write nii":
        return str(cm.to_nifti(image_of(slices), folder / "a.nii").name)
    if name == "write nii.gz":
        return str(cm.to_nifti(image_of(slices), folder / "a.nii.gz").name)
    if name == "write tiffs":
        return write_tiffs(folder / "scan", slices)
    if name == "read made":
        return count(image_of(slices))
    if name == "read nii":
        return count(cm.open(folder / "a.nii"))
    if name == "read nii.gz":
        return count(cm.open(folder / "a.nii.gz"))
    if name == "read tiffs":
        return count(cm.open(str(folder / "scan" / "*.tif"), spacing_mm=0.5))
    if name == "convert nii.gz":
        return cm.convert(folder / "a.nii.gz", folder / "a.zarr", pyramid=False).shape
    raise ValueError(name)


STEPS = (
    "write nii",
    "write nii.gz",
    "write tiffs",
    "read made",
    "read nii",
    "read nii.gz",
    "read tiffs",
    "convert nii.gz",
)


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run all steps, each in a process of its own."""
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    budget = sys.argv[2] if len(sys.argv) > 2 else "800 MB"
    slices = max(2, math.ceil(gigabytes * 1e9 / (SIDE * SIDE * 2)))
    with tempfile.TemporaryDirectory() as folder:
        counts = set()
        for name in STEPS:
            words = [sys.executable, __file__, "--step", name, folder, str(slices), budget]
            done = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
            if name.startswith("read"):
                counts.add(done["found"])
            size = slices * SIDE * SIDE * 2
            peak, share = done["peak"] / 1e6, done["read"] / size
            _say(f"{name:<16} {peak:8.0f} MB {share:6.2f} {done['seconds']:8.1f} s")
        _say("all counts are equal" if len(counts) == 1 else f"counts differ: {counts}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        _, _, name, folder, slices, budget = sys.argv
        started, before = time.monotonic(), _bytes_read()
        with cm.config(memory=budget, workers=2):
            found = step(name, Path(folder), int(slices))
        seconds = time.monotonic() - started
        told = {"peak": _peak_bytes(), "read": _bytes_read() - before, "seconds": seconds, "found": found}
        _say(json.dumps(told))
    else:
        main()
