"""imageio: volread of the folder."""

from __future__ import annotations

import imageio.v2
import numpy as np

from benchmarks.ingest_job import Facts, Job

__all__ = ["PACKAGES", "VARIANTS", "read"]

PACKAGES, VARIANTS = ("imageio",), ("volread",)


def read(job: Job) -> Facts:
    """Read all."""
    values = imageio.v2.volread(job.folder, format="DICOM")
    return lambda: {"values": np.asarray(values)}
