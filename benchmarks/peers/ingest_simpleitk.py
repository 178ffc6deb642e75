"""SimpleITK: its series reader."""

from __future__ import annotations

import SimpleITK as sitk  # noqa: N813 - as all import it

from benchmarks.ingest_job import Facts, Job

__all__ = ["PACKAGES", "VARIANTS", "read"]

PACKAGES, VARIANTS = ("simpleitk",), ("reader",)


def read(job: Job) -> Facts:
    """Read all; the array is a view of the image, not a copy."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(job.workers)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(job.folder)))
    image = reader.Execute()
    return lambda: {"values": sitk.GetArrayViewFromImage(image)}
