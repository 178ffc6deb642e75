"""Shard codec: ours beside zarr-python and zarrs on the same layouts.

    python benchmarks/shards.py [DICOM_FOLDER] > benchmarks/results/shards.jsonl

One JSON line per case. All libraries take turns within one run, every write goes to a new folder
(replacing a file makes ext4 flush it): only the ratios between lines count. Without a folder the
volume is a generated one, as noisy as a chest CT.

- ``write``, ``read``: a whole array of 128 MiB in blocks of one shard, one and two threads;
- ``read_halo``: the same blocks grown by 8 voxels; ``read_slices``: one slice of every 32.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from chunkmed.store.arrays import ArrayWriter, StoredArray, create_array
from chunkmed.store.layout import Layout
from chunkmed.store.shards import Codec

REPEATS = 5
SHAPE, SHARD = (1, 256, 512, 512), (1, 64, 256, 256)
INNERS = ((1, 32, 128, 128), (1, 64, 64, 64), (1, 32, 64, 128), (1, 32, 64, 64))
CODECS = ("lz4", "zstd")
#: How zarr-python encodes and decodes.
PIPELINES = {
    "zarr-python": "zarr.core.codec_pipeline.BatchedCodecPipeline",
    "zarrs": "zarrs.ZarrsCodecPipeline",
}
Box = tuple[tuple[int, int], ...]
#: Seconds of every turn by library, case and number of threads.
Times = dict[tuple[str, str, int], list[float]]


def volume(folder: str | None) -> np.ndarray:
    """Return 128 MiB of int16."""
    if folder is not None:
        from chunkmed.dicom import scan

        stack = scan(folder).select()
        slices = stack.read([(0, 1), (0, stack.shape[1]), (0, 512), (0, 512)])[0]
        return np.resize(slices, SHAPE).astype(np.int16)
    rng = np.random.default_rng(0)
    smooth = scipy.ndimage.gaussian_filter(rng.normal(0, 1, (64, 128, 128)), 6)
    body = scipy.ndimage.zoom(smooth, (4, 4, 4), order=1) * 40000
    return (body + rng.normal(0, 12, body.shape)).astype(np.int16)[None]


def shards() -> list[Box]:
    """Return one box per shard."""
    counts = [-(-n // s) for n, s in zip(SHAPE, SHARD, strict=True)]
    return [
        tuple((i * s, min((i + 1) * s, n)) for i, s, n in zip(index, SHARD, SHAPE, strict=True))
        for index in np.ndindex(*counts)
    ]


def grown(box: Box, by: int) -> Box:
    """Return a box with a halo along z, y, x."""
    pairs = zip(box[1:], SHAPE[1:], strict=True)
    return (box[0], *((max(0, a - by), min(n, b + by)) for (a, b), n in pairs))


#: What is read at a time in each case.
READS: dict[str, list[Box]] = {
    "read": shards(),
    "read_halo": [grown(box, 8) for box in shards()],
    "read_slices": [((0, 1), (z, z + 1), (0, 512), (0, 512)) for z in range(3, SHAPE[1], 32)],
}


def cut(box: Box) -> tuple[slice, ...]:
    """Return a box as slices."""
    return tuple(slice(a, b) for a, b in box)


@dataclass(frozen=True)
class Library:
    """One way to write and read an array."""

    name: str
    create: Callable[[Path, Layout, str], tuple[Callable[[Box], Any], Callable[[], Callable[[Box], Any]]]]


def ours(values: np.ndarray) -> Library:
    """Return our own codec."""

    def create(path: Path, layout: Layout, codec: str) -> Any:
        made, _ = create_array(path, SHAPE, values.dtype, commit="b", layout=layout)
        writer = ArrayWriter(path, made.grid, values.dtype, Codec(codec), "b")
        return (lambda box: writer.write(box, values[cut(box)])), (lambda: StoredArray(path, "b").read)

    return Library("chunkmed", create)


def through_zarr(name: str, values: np.ndarray) -> Library:
    """Return zarr-python with one of its codec pipelines."""

    def create(path: Path, layout: Layout, codec: str) -> Any:
        zarr.config.set({"codec_pipeline.path": PIPELINES[name]})
        compressors = (BloscCodec(cname=codec, clevel=1, shuffle="bitshuffle"), Crc32cCodec())
        about = {"shape": SHAPE, "dtype": values.dtype, "chunks": layout.inner, "shards": layout.shard}
        array = zarr.create_array(path, compressors=compressors, **about)

        def write(box: Box) -> None:
            array[cut(box)] = values[cut(box)]

        return write, lambda: lambda box: array[cut(box)]

    return Library(name, create)


def timed(action: Callable[[Box], Any], boxes: list[Box], threads: int) -> float:
    """Return the seconds that an action takes over all boxes."""
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        list(pool.map(action, boxes))
        return time.perf_counter() - started


def codec_case(values: np.ndarray, inner: tuple[int, ...], codec: str, root: Path) -> Iterator[dict]:
    """Time all libraries on one layout and codec, in turns."""
    libraries = [ours(values), *(through_zarr(name, values) for name in PIPELINES)]
    times: Times = {}
    ratio = 0.0
    for _ in range(REPEATS):
        for threads in (1, 2):
            for library in libraries:
                path = root / library.name
                write, opened = library.create(path, Layout(inner, SHARD), codec)
                found = {"write": timed(write, shards(), threads)}
                # Ours asks the disk to begin at once; nobody's reads should wait for that.
                os.sync()
                read = opened()
                for name, boxes in READS.items():
                    found[name] = timed(read, boxes, threads)
                for name, took in found.items():
                    times.setdefault((library.name, name, threads), []).append(took)
                assert np.array_equal(read(shards()[5]), values[cut(shards()[5])])
                if library.name == "chunkmed":
                    ratio = values.nbytes / sum(f.stat().st_size for f in path.rglob("c/*/*/*/*"))
                shutil.rmtree(path)
    for (library_name, name, threads), took in times.items():
        voxels = sum(int(np.prod([b - a for a, b in box])) for box in READS.get(name, shards()))
        yield {
            "library": library_name,
            "codec": codec,
            "inner": inner,
            "case": name,
            "threads": threads,
            "mib_per_s": round(2 * voxels / 2**20 / statistics.median(took)),
        }
    yield {"codec": codec, "inner": inner, "case": "compression", "ratio": round(ratio, 3)}
    yield from bars(times, codec, inner)


def bars(times: Times, codec: str, inner: tuple[int, ...]) -> Iterator[dict]:
    """Yield the ratios that are asked for, as medians of pairs of one turn."""
    for name in ("write", "read"):
        for peer in PIPELINES:
            for threads in (1, 2):
                yield {
                    "codec": codec,
                    "inner": inner,
                    "case": f"{name}: chunkmed against {peer}",
                    "threads": threads,
                    "times_as_fast": paired(times[peer, name, threads], times["chunkmed", name, threads]),
                }
        both = times["chunkmed", name, 1], times["chunkmed", name, 2]
        yield {
            "codec": codec,
            "inner": inner,
            "case": f"{name}: two threads against one",
            "times_as_fast": paired(*both),
        }


def paired(slow: list[float], fast: list[float]) -> float:
    """Return the median ratio of what was measured in one turn."""
    return round(statistics.median(a / b for a, b in zip(slow, fast, strict=True)), 2)


def machine(folder: str | None) -> dict:
    """Return where and on what a benchmark ran."""
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "zarr": zarr.__version__,
        "volume": "DICOM" if folder else "generated",
    }


def main(folder: str | None) -> None:
    """Run all cases."""
    values = volume(folder)
    print(json.dumps(machine(folder)), flush=True)
    with tempfile.TemporaryDirectory() as name:
        for codec in CODECS:
            for inner in INNERS:
                for line in codec_case(values, inner, codec, Path(name)):
                    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
