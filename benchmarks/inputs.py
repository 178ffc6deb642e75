"""Stored inputs and scipy's results: made once, block by block, into a cache folder.

The folder is ``$CHUNKMED_BENCH_DIR``, by default ``chunkmed-benchmarks`` among the temporary files.
Outputs of runs lie there too for as long as they last: on the same disk.

    python -m benchmarks.inputs CASE OPERATION      # makes a reference, in a process of its own

zarr and chunkmed are imported where they are needed: peers are charged for their own imports only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, Box, Case, Values, blocks
from benchmarks.operations import OPERATIONS, Operation
from benchmarks.processes import memory_bytes

__all__ = ["cache_folder", "create_zarr", "fits", "fresh_folder", "made_whole", "reference", "stored"]

#: Bytes that scipy takes for a whole image, per byte of it: temporaries, input, output.
_SCIPY_SHARE = 6
_GENERATING_MEMORY = "2 GB"


def cache_folder() -> Path:
    """Return the folder of everything that is kept between runs."""
    named = os.environ.get("CHUNKMED_BENCH_DIR")
    path = Path(named) if named else Path(tempfile.gettempdir()) / "chunkmed-benchmarks"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


@contextmanager
def fresh_folder() -> Iterator[Path]:
    """Give an empty folder beside the inputs, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=cache_folder()) as name:
        yield Path(name)


def create_zarr(path: Path, case: Case, dtype: str) -> Any:
    """Create the plain zarr v3 array that peers write a case or a result into.

    blosc lz4, as chunkmed's own stores; without checksums, which favours the peers.
    """
    import zarr
    from zarr.codecs import BloscCodec

    codec = BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle")
    about: dict[str, Any] = {"chunks": case.chunks, "shards": case.shards, "compressors": codec}
    return zarr.create_array(path, shape=case.shape, dtype=dtype, zarr_format=3, **about)


def stored(case: Case, kind: str) -> Path:
    """Return where a case lies in a format (``zarr`` or ``chunkmed``); make it if it is not there."""
    path, write = _FORMATS[kind](case)
    if not path.exists():
        made_whole(path, write)
    return path


def _zarr(case: Case) -> tuple[Path, Callable[[Path], None]]:
    return cache_folder() / case.key / "input.zarr", lambda path: _write_zarr(path, case)


def _write_zarr(path: Path, case: Case) -> None:
    values, target = Values(case), create_zarr(path, case, case.dtype)

    def copy(box: Box) -> None:
        target[tuple(slice(a, b) for a, b in box)] = values.read(box)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(copy, blocks(case.shape, case.unit)):
            pass


def _chunkmed(case: Case) -> tuple[Path, Callable[[Path], None]]:
    import chunkmed
    from chunkmed.store.arrays import IMAGE_CODEC
    from chunkmed.store.layout import layout_of

    # A store in another layout is another store.
    made_by = hashlib.sha256(repr((chunkmed.__version__, IMAGE_CODEC, layout_of(case.shape))).encode())
    name = f"input.chunkmed-{made_by.hexdigest()[:8]}.zarr"
    return cache_folder() / case.key / name, lambda path: _write_chunkmed(path, case)


def _write_chunkmed(path: Path, case: Case) -> None:
    import chunkmed as cm
    from chunkmed.coords import attach
    from chunkmed.graph.views import from_reader
    from chunkmed.grid import Grid

    space = zip(case.shape[1:], case.spacing_mm, strict=True)
    z_mm, y_mm, x_mm = (tuple(i * step for i in range(n)) for n, step in space)
    grid = Grid(z_mm, y_mm, x_mm, time_ms=tuple(40.0 * t for t in range(case.shape[0])))
    with cm.config(memory=_GENERATING_MEMORY):
        cm.save(attach(from_reader(Values(case)), grid), path, pyramid=False)


_FORMATS: dict[str, Callable[[Case], tuple[Path, Callable[[Path], None]]]] = {
    "zarr": _zarr,
    "chunkmed": _chunkmed,
}


def made_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Write beside the place and rename: what is in the cache is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="making-", dir=path.parent) as folder:
        write(Path(folder) / path.name)
        (Path(folder) / path.name).rename(path)


def fits(case: Case) -> bool:
    """Whether scipy can have the whole image in memory."""
    return _SCIPY_SHARE * case.nbytes <= memory_bytes("MemAvailable")


def reference(case: Case, operation: Operation) -> Path:
    """Return where scipy's result of a whole image lies in the cache, or would lie."""
    import scipy

    key = hashlib.sha256(repr((operation, scipy.__version__)).encode()).hexdigest()[:8]
    return cache_folder() / case.key / f"{operation.name}-{key}.zarr"


def make_reference(case: Case, operation: Operation) -> None:
    """Compute scipy's result of a whole image, unless it is there."""
    from benchmarks.peers import Job
    from benchmarks.peers.scipy import run

    path, source = reference(case, operation), stored(case, "zarr")
    if path.exists():
        return

    def write(target: Path) -> None:
        run(Job(case, operation, source, target, workers=os.cpu_count() or 1))

    made_whole(path, write)


def remove(path: Path) -> None:
    """Remove what a run wrote."""
    shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    make_reference(CASES[sys.argv[1]], OPERATIONS[sys.argv[2]])
