"""The floor: the bytes of all files read once, the store's codec writes them; headers as a variant.

Nothing is sorted, rescaled, flushed or committed, and there are no coarser levels. It knows beforehand
where the pixels of a file are: at its end.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ingest_job import Facts, Job, UnsupportedError
from chunkmed.dicom.read import read_header
from chunkmed.store import create_array
from chunkmed.store.layout import layout_of

__all__ = ["PACKAGES", "VARIANTS", "read"]

PACKAGES = ("chunkmed",)
#: Bytes only; and each header once by chunkmed's own reader.
VARIANTS = ("bytes", "headers")


def read(job: Job) -> Facts:
    """Copy all slabs."""
    if job.series.syntax != "plain":
        raise UnsupportedError("compressed frames")
    paths = sorted(job.folder.iterdir())
    if job.variant == "headers":
        for path in paths:
            read_header(str(path))
    shape = (1, *job.series.shape)
    writer, _ = create_array(job.target / "floor", shape, np.int16, commit="f" * 16)
    depth = layout_of(shape).shard[1]

    def copy(start: int) -> None:
        part = paths[start : start + depth]
        slab = np.empty((1, len(part), *shape[2:]), np.int16)
        for plane, path in zip(slab[0], part, strict=True):
            _fill(plane, path, job.series.pixel_bytes)
        box = ((0, 1), (start, start + len(part)), *((0, n) for n in shape[2:]))
        writer.write(box, slab)

    with ThreadPoolExecutor(job.workers) as pool:
        list(pool.map(copy, range(0, len(paths), depth)))
    return dict


def _fill(plane: Any, path: Path, nbytes: int) -> None:
    plane[...] = np.frombuffer(path.read_bytes()[-nbytes:], np.int16).reshape(plane.shape)
