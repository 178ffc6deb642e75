"""highdicom: a volume from the data sets of a series."""

from __future__ import annotations

import highdicom
import numpy as np
import pydicom
from highdicom.image import get_volume_from_series

from benchmarks.ingest_job import Facts, Job

__all__ = ["PACKAGES", "VARIANTS", "read"]

PACKAGES, VARIANTS = ("highdicom", "pydicom"), ("volume",)


def read(job: Job) -> Facts:
    """Read all, into the smallest type that it lets these values into."""
    datasets = [pydicom.dcmread(path) for path in job.folder.iterdir()]
    volume = get_volume_from_series(datasets, dtype=np.int32)
    return lambda: {"values": _ascending(volume)}


def _ascending(volume: highdicom.Volume) -> np.ndarray:
    # Its own order of slices may be either; along the normal is ours.
    downwards = volume.affine[2, 0] < 0
    return volume.array[::-1] if downwards else volume.array
