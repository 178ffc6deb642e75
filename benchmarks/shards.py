"""Shard codec: write and read speed beside zarr-python on the same layout, one and two threads.

    python benchmarks/shards.py [DICOM_FOLDER] > benchmarks/results/shards.jsonl

One JSON line per case, all in one run: only the ratios between lines count. Without a folder the
volume is a generated one, as noisy as a chest CT. `protocol` lines compare the whole commit (ledger,
manifest, fsync, rename) with writing the same shards and nothing else.
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
from pathlib import Path

import numpy as np
import scipy.ndimage
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from chunkmed.store import staged
from chunkmed.store.arrays import ArrayWriter, StoredArray, create_array
from chunkmed.store.layout import Layout
from chunkmed.store.sealed import write_sealed
from chunkmed.store.shards import Codec

REPEATS = 5
SHARD = (1, 64, 256, 256)
INNERS = ((1, 32, 128, 128), (1, 64, 64, 64), (1, 32, 64, 128))


def volume(folder: str | None) -> np.ndarray:
    """Return 128 MiB of int16, shape (1, 256, 512, 512)."""
    if folder is not None:
        from chunkmed.dicom import scan

        stack = scan(folder).select()
        slices = stack.read([(0, 1), (0, stack.shape[1]), (0, 512), (0, 512)])[0]
        return np.resize(slices, (1, 256, 512, 512)).astype(np.int16)
    rng = np.random.default_rng(0)
    smooth = scipy.ndimage.gaussian_filter(rng.normal(0, 1, (64, 128, 128)), 6)
    body = scipy.ndimage.zoom(smooth, (4, 4, 4), order=1) * 40000
    return (body + rng.normal(0, 12, body.shape)).astype(np.int16)[None]


def boxes(shape: tuple[int, ...]) -> list[tuple[tuple[int, int], ...]]:
    """Return one box per shard."""
    counts = [-(-n // s) for n, s in zip(shape, SHARD, strict=True)]
    return [
        tuple((i * s, min((i + 1) * s, n)) for i, s, n in zip(index, SHARD, shape, strict=True))
        for index in np.ndindex(*counts)
    ]


def cut(box: tuple[tuple[int, int], ...]) -> tuple[slice, ...]:
    """Return a box as slices."""
    return tuple(slice(a, b) for a, b in box)


def seconds(action: Callable[[object], object], items: list, threads: int) -> float:
    """Return the median time of running an action over all items."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(action, items))
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def ours(values: np.ndarray, codec: Codec, inner: tuple[int, ...], root: Path) -> Iterator[dict]:
    """Time our writer and reader."""
    path = root / "ours"
    shutil.rmtree(path, ignore_errors=True)
    created, _ = create_array(path, values.shape, values.dtype, commit="b", layout=Layout(inner, SHARD))
    writer = ArrayWriter(path, created.grid, values.dtype, codec, "b")
    stored = StoredArray(path, "b")
    out = np.empty_like(values)

    def read(box) -> None:
        out[cut(box)] = stored.read(box)

    for name, action in (("write", lambda box: writer.write(box, values[cut(box)])), ("read", read)):
        for threads in (1, 2):
            yield case(
                "chunkmed", codec.name, inner, name, threads, seconds(action, boxes(values.shape), threads)
            )
    assert np.array_equal(out, values)
    size = sum(file.stat().st_size for file in path.rglob("c/*/*/*/*"))
    yield {
        "library": "chunkmed",
        "codec": codec.name,
        "inner": inner,
        "ratio": round(values.nbytes / size, 3),
    }


def zarr_python(values: np.ndarray, codec: str, inner: tuple[int, ...], root: Path) -> Iterator[dict]:
    """Time zarr-python on the same layout."""
    path = root / "zarr"
    shutil.rmtree(path, ignore_errors=True)
    array = zarr.create_array(
        path,
        shape=values.shape,
        dtype=values.dtype,
        chunks=inner,
        shards=SHARD,
        compressors=(BloscCodec(cname=codec, clevel=1, shuffle="bitshuffle"), Crc32cCodec()),
    )
    out = np.empty_like(values)

    def write(box) -> None:
        array[cut(box)] = values[cut(box)]

    def read(box) -> None:
        out[cut(box)] = array[cut(box)]

    for name, action in (("write", write), ("read", read)):
        for threads in (1, 2):
            yield case(
                "zarr-python", codec, inner, name, threads, seconds(action, boxes(values.shape), threads)
            )
    assert np.array_equal(out, values)


def protocol(values: np.ndarray, root: Path) -> Iterator[dict]:
    """Compare the whole protocol with shards alone, in alternation."""
    layout = Layout(INNERS[0], SHARD)

    def shards_alone(number: int) -> None:
        path = root / f"alone-{number}"
        writer, _ = create_array(path, values.shape, values.dtype, commit="b", layout=layout)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda box: writer.write(box, values[cut(box)]), boxes(values.shape)))

    def whole(number: int) -> None:
        target = root / f"whole-{number}"
        with staged(target, f"f{number}", store=target) as staging:
            writer, _ = create_array(
                staging.folder / "a", values.shape, values.dtype, commit="b", layout=layout
            )
            write_sealed(staging.folder / "zarr.json", {"commit": f"f{number}"})
            with ThreadPoolExecutor(2) as pool:
                for written in pool.map(lambda box: writer.write(box, values[cut(box)]), boxes(values.shape)):
                    staging.record({f"a/{key}": value for key, value in written.items()})

    times: dict[str, list[float]] = {"alone": [], "whole": []}
    for number in range(REPEATS):
        for name, action in (("alone", shards_alone), ("whole", whole)):
            started = time.perf_counter()
            action(number)
            times[name].append(time.perf_counter() - started)
            os.sync()
    ratios = [b / a for a, b in zip(times["alone"], times["whole"], strict=True)]
    yield {
        "case": "protocol",
        "alone_s": round(statistics.median(times["alone"]), 4),
        "whole_s": round(statistics.median(times["whole"]), 4),
        "ratio": round(statistics.median(ratios), 3),
    }


def case(library: str, codec: str, inner: tuple[int, ...], name: str, threads: int, took: float) -> dict:
    """Return one result."""
    speed = 128 / took
    return {
        "library": library,
        "codec": codec,
        "inner": inner,
        "case": name,
        "threads": threads,
        "mib_per_s": round(speed),
    }


def main(folder: str | None) -> None:
    """Run all cases."""
    values = volume(folder)
    about = {"machine": platform.machine(), "cores": os.cpu_count(), "zarr": zarr.__version__}
    print(json.dumps(about | {"python": platform.python_version(), "bytes": values.nbytes}), flush=True)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for codec in ("lz4", "zstd"):
            for inner in INNERS:
                for line in ours(values, Codec(codec), inner, root):
                    print(json.dumps(line), flush=True)
            for line in zarr_python(values, codec, INNERS[0], root):
                print(json.dumps(line), flush=True)
        for line in protocol(values, root):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
