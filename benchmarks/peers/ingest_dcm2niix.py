"""dcm2niix: a program of its own that writes NIfTI, not compressed."""

from __future__ import annotations

import subprocess

import dcm2niix

from benchmarks.ingest_job import Facts, Job, Nifti

__all__ = ["PACKAGES", "VARIANTS", "read"]

PACKAGES, VARIANTS = ("dcm2niix",), ("nii",)


def read(job: Job) -> Facts:
    """Convert all; no side-car."""
    job.target.mkdir(exist_ok=True)
    options = ["-z", "n", "-b", "n", "-f", "out", "-o", str(job.target), str(job.folder)]
    subprocess.run([dcm2niix.bin, *options], check=True, capture_output=True)
    return lambda: {"values": _only(job)}


def _only(job: Job) -> Nifti:
    import nibabel

    (path,) = job.target.glob("*.nii")
    return Nifti(nibabel.load(path))
