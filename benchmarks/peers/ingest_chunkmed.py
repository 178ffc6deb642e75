"""chunkmed: from a folder to a compressed, committed store with coarser levels, and steps of it alone."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import chunkmed as cm
from benchmarks.ingest_job import Facts, Job
from benchmarks.plans import Plans
from chunkmed.graph.run import observing

__all__ = ["PACKAGES", "VARIANTS", "read"]

PACKAGES = ("chunkmed", "pydicom", "zarr")
#: What converts; without coarser levels; read into memory, nothing written; headers and sorting only.
VARIANTS = ("convert", "flat", "compute", "scan")


class HeadersRead:
    """Counts calls of the function that reads a header, wherever it is known by its name."""

    def __init__(self) -> None:
        import chunkmed.dicom.many
        import chunkmed.dicom.read

        self._number = itertools.count(1)
        self._before = 0
        original = chunkmed.dicom.read.read_header

        def counted(path: str) -> Any:
            next(self._number)
            return original(path)

        for name, module in list(sys.modules.items()):
            if name.startswith("chunkmed.") and getattr(module, "read_header", None) is original:
                module.read_header = counted  # type: ignore[attr-defined]

    def since_last_asked(self) -> int:
        """Return how many headers were read since this was last asked."""
        now = next(self._number)
        count = now - self._before - 1
        self._before = now
        return count


_headers = HeadersRead()


def read(job: Job) -> Facts:
    """Do what the variant says."""
    plans = Plans()
    with observing(plans):
        values = _DOES[job.variant](job)
    count = _headers.since_last_asked()
    return lambda: {
        "values": values,
        "headers_per_file": round(count / job.series.slices, 3),
        "blocks": [plan.block for plan in plans.plans],
        "predicted_mib": plans.predicted_mib if plans.plans else None,
    }


def _convert(job: Job, pyramid: bool = True) -> Any:
    with cm.config(memory=job.memory, workers=job.workers):
        cm.convert(job.folder, job.target / "ours.zarr", pyramid=pyramid)
    return Stored(job.target / "ours.zarr")


def _flat(job: Job) -> Any:
    return _convert(job, pyramid=False)


def _compute(job: Job) -> Any:
    with cm.config(memory=job.memory, workers=job.workers):
        return cm.open(job.folder).compute().values[0]


def _scan(job: Job) -> None:
    cm.scan(job.folder)


_DOES = {"convert": _convert, "flat": _flat, "compute": _compute, "scan": _scan}


class Stored:
    """The image of a store, slices read as they are asked for."""

    def __init__(self, path: Any) -> None:
        from chunkmed.store import open_image

        self._array = open_image(Path(path)).array
        self.shape = tuple(self._array.shape[1:])

    def __getitem__(self, cut: slice) -> Any:
        _, *sides = self.shape
        box = ((0, 1), (cut.start, cut.stop), *((0, n) for n in sides))
        return self._array.read(box)[0]
