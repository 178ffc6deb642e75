"""Measures of many labels: 105,000 beside 1,200 on the same objects, reading alone, and peers.

    python -m benchmarks.many_labels [TURNS]

A label image of the size of ``small`` in which each object has its own number, at every time point from one
or through all of them, or one of 1,200. ``read``: stock zarr-python reads both images, whole shards, two
threads. Peers have both images in memory already and are run once; those of an extra only where it is.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
import zarr

import chunkmed as cm
from benchmarks.cases import CASES, blocks
from benchmarks.inputs import cache_folder, made_whole, stored
from benchmarks.processes import pin
from benchmarks.worker import timed
from chunkmed.store.layout import layout_of

__all__ = ["MEASURES", "PEERS"]

WORKERS, SHAPE = 2, CASES["small"].shape
FEW, EACH = 1_200, 26_268
MEASURES = ("count", "sum", "mean", "variance", "extrema", "center_of_mass", "bounding_box")
#: How the objects are called: one of FEW names, from one on at each time point, through all time points.
NAMINGS = ("few", "many", "apart")


def objects(time_point: int) -> Any:
    """Return EACH objects of some 30 voxels."""
    noise = np.random.default_rng(time_point).standard_normal(SHAPE[1:], dtype=np.float32)
    smooth = scipy.ndimage.gaussian_filter(noise, 1.25)
    found, count = scipy.ndimage.label(smooth > 1.2 * smooth.std())
    if count < EACH:
        raise AssertionError(f"{count} objects: the generator changed")
    return np.where(found <= EACH, found, 0).astype(np.int32)


def named(found: Any, naming: str) -> Any:
    """Return the objects of all time points by other names."""
    if naming == "many":
        return found
    shift = EACH * np.arange(len(found), dtype=np.int32)[:, None, None, None]
    return np.where(found > 0, found % FEW + 1 if naming == "few" else found + shift, 0)


def labelled(naming: str) -> Path:
    """Return where the labels are stored; make them if they are not there."""
    path = cache_folder() / f"labels-{EACH}-{naming}.zarr"
    if not path.exists():
        image = cm.open(stored(CASES["small"], "chunkmed"))
        values = named(np.stack([objects(t) for t in range(SHAPE[0])]), naming)
        made_whole(path, lambda target: cm.save(image.copy(data=values), target, pyramid=False))
    return path


def read(naming: str) -> None:
    """Read both images and do nothing."""
    arrays = [
        zarr.open_array(path / "0/image", mode="r")
        for path in (stored(CASES["small"], "chunkmed"), labelled(naming))
    ]
    jobs = [(a, box) for a in arrays for box in blocks(SHAPE, layout_of(SHAPE).shard)]
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda job: job[0][tuple(slice(*side) for side in job[1])], jobs))


def measured(naming: str) -> None:
    """Measure with chunkmed, from the stores."""
    found = cm.measure(cm.open(labelled(naming)), cm.open(stored(CASES["small"], "chunkmed")), MEASURES)
    expected = FEW if naming == "few" else EACH * (SHAPE[0] if naming == "apart" else 1)
    if found.sizes["label"] != expected:
        raise AssertionError(f"{found.sizes['label']} labels")


def with_scipy(labels: Any, image: Any) -> None:
    """Measure a volume with one function after the other."""
    index = np.arange(1, labels.max() + 1)
    for name in ("sum_labels", "mean", "variance", "extrema", "center_of_mass"):
        getattr(scipy.ndimage, name)(image, labels, index)
    scipy.ndimage.find_objects(labels)


def with_scikit_image(labels: Any, image: Any) -> None:
    """Measure a volume with ``regionprops_table``."""
    from skimage.measure import regionprops_table

    names = ("label", "area", "intensity_mean", "intensity_min", "intensity_max", "centroid_weighted", "bbox")
    regionprops_table(labels, image, properties=names)


def with_cc3d(labels: Any, image: Any) -> None:  # noqa: ARG001
    """Count voxels, boxes and centres of a volume; it has no measures of values."""
    import cc3d

    cc3d.statistics(labels.view(np.uint32))


PEERS: dict[str, Callable[[Any, Any], None]] = {
    "scipy": with_scipy,
    "scikit_image": with_scikit_image,
    "cc3d (counts, boxes, centres only)": with_cc3d,
}


def taken(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall and processor seconds."""
    found, _ = timed(lambda _: work(), None)
    return found["wall_s"], found["cpu_s"]


def turns(count: int) -> dict[str, Any]:
    """Return medians of chunkmed and of reading, and of the ratios within a turn."""
    jobs = {naming: (lambda n=naming: measured(n)) for naming in NAMINGS} | {"read": lambda: read("many")}
    for job in jobs.values():
        job()
    rows = [{name: taken(job) for name, job in jobs.items()} for _ in range(count)]
    out: dict[str, Any] = {}
    for name in jobs:
        wall, cpu = (statistics.median(row[name][i] for row in rows) for i in range(2))
        out[name] = {"wall_s": round(wall, 3), "cpu_s": round(cpu, 3)}
        for base in ("few", "read"):
            ratios = (statistics.median(row[name][i] / row[base][i] for row in rows) for i in range(2))
            out[name][f"wall_and_cpu_vs_{base}"] = [round(ratio, 2) for ratio in ratios]
    return out


def peers() -> dict[str, Any]:
    """Return what peers take for all time points, of many labels, once."""
    image, labels = (
        np.asarray(cm.open(path)) for path in (stored(CASES["small"], "chunkmed"), labelled("many"))
    )
    found = {}
    for name, work in PEERS.items():
        try:
            wall_s, cpu_s = taken(lambda w=work: [w(labels[t], image[t]) for t in range(len(image))])
        except ImportError as error:
            found[name] = {"absent": str(error)}
        else:
            found[name] = {"wall_s": round(wall_s, 3), "cpu_s": round(cpu_s, 3)}
    return found


if __name__ == "__main__":
    pin(WORKERS)
    with cm.config(workers=WORKERS):
        result = {"chunkmed and reading": turns(int(sys.argv[1]) if len(sys.argv) > 1 else 7), **peers()}
    print(json.dumps(result, indent=2))
