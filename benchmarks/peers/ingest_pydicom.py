"""pydicom: read every file, sort by position, stack, rescale; the kindest forms, int16 throughout."""

from __future__ import annotations

import numpy as np
import pydicom

from benchmarks.ingest_job import Facts, Job

__all__ = ["PACKAGES", "VARIANTS", "read"]

PACKAGES = ("pydicom",)
#: As all do it; into an array that is there, each file let go at once (its header read twice).
VARIANTS = ("stack", "preallocated")


def read(job: Job) -> Facts:
    """Read all."""
    values = _stacked(job) if job.variant == "stack" else _preallocated(job)
    return lambda: {"values": values}


def _position(dataset: pydicom.Dataset) -> float:
    return float(dataset.ImagePositionPatient[2])


def _stacked(job: Job) -> np.ndarray:
    datasets = sorted((pydicom.dcmread(path) for path in job.folder.iterdir()), key=_position)
    values = np.stack([dataset.pixel_array for dataset in datasets])
    values *= np.int16(datasets[0].RescaleSlope)
    values += np.int16(datasets[0].RescaleIntercept)
    return values


def _preallocated(job: Job) -> np.ndarray:
    tags = ["ImagePositionPatient", "Rows", "Columns"]
    headers = [
        (_position(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)), path)
        for path in job.folder.iterdir()
    ]
    paths = [path for _, path in sorted(headers)]
    values = np.empty(job.series.shape, np.int16)
    for plane, path in zip(values, paths, strict=True):
        dataset = pydicom.dcmread(path)
        np.multiply(dataset.pixel_array, np.int16(dataset.RescaleSlope), out=plane)
        plane += np.int16(dataset.RescaleIntercept)
    return values
