"""dicom2nifti: an image in memory, not turned, nothing written."""

from __future__ import annotations

import dicom2nifti

from benchmarks.ingest_job import Facts, Job, Nifti

__all__ = ["PACKAGES", "VARIANTS", "read"]

PACKAGES, VARIANTS = ("dicom2nifti", "nibabel", "pydicom"), ("memory",)


def read(job: Job) -> Facts:
    """Read all."""
    found = dicom2nifti.dicom_series_to_nifti(str(job.folder), None, reorient_nifti=False)
    return lambda: {"values": Nifti(found["NII"])}
