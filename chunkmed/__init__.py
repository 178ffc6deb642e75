"""chunkmed: DICOM series to measurements at any size.

Images are lazy, numbers are computed; ask an image for a box, and it asks its inputs for that box
grown by what it needs.

>>> import chunkmed as cm
>>> import chunkmed.ndimage as ndi
>>> image = cm.convert("study/", "heart.zarr")  # doctest: +SKIP
>>> labels, n = ndi.label(ndi.gaussian_filter(image, sigma="1.5 mm") > 60)  # doctest: +SKIP
>>> table = cm.measure(labels, image, ["volume_ml", "mean"])  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chunkmed import cardiac, cohort, compare, intensity, masks, ndimage, resample
    from chunkmed.cardiac import ejection_fraction
    from chunkmed.cluster import connect
    from chunkmed.conversion import convert
    from chunkmed.dicom import scan
    from chunkmed.explanation import explain
    from chunkmed.exports import to_nifti
    from chunkmed.graph.budget import config
    from chunkmed.graph.checkpoint import checkpoint
    from chunkmed.images import imread, open, open_labels, save, volread  # noqa: A004
    from chunkmed.measures import measure, measure_objects
    from chunkmed.pet import suv
    from chunkmed.report import plot
    from chunkmed.resample import reorient, resample_like
    from chunkmed.seg_export import to_dicom_seg
    from chunkmed.tracking import follow

__version__ = "0.1.0"

# Imported on first use: `chunkmed --help` must not wait for numba, pydicom and xarray.
_PUBLIC = {
    "cardiac": "chunkmed.cardiac",
    "checkpoint": "chunkmed.graph.checkpoint:checkpoint",
    "cohort": "chunkmed.cohort",
    "compare": "chunkmed.compare",
    "config": "chunkmed.graph.budget:config",
    "connect": "chunkmed.cluster:connect",
    "convert": "chunkmed.conversion:convert",
    "ejection_fraction": "chunkmed.cardiac:ejection_fraction",
    "explain": "chunkmed.explanation:explain",
    "follow": "chunkmed.tracking:follow",
    "imread": "chunkmed.images:imread",
    "intensity": "chunkmed.intensity",
    "masks": "chunkmed.masks",
    "measure": "chunkmed.measures:measure",
    "measure_objects": "chunkmed.measures:measure_objects",
    "ndimage": "chunkmed.ndimage",
    "open": "chunkmed.images:open",
    "open_labels": "chunkmed.images:open_labels",
    "plot": "chunkmed.report.plot",
    "reorient": "chunkmed.resample:reorient",
    "resample": "chunkmed.resample",
    "resample_like": "chunkmed.resample:resample_like",
    "save": "chunkmed.images:save",
    "scan": "chunkmed.dicom:scan",
    "suv": "chunkmed.pet:suv",
    "to_dicom_seg": "chunkmed.seg_export:to_dicom_seg",
    "to_nifti": "chunkmed.exports:to_nifti",
    "volread": "chunkmed.images:volread",
}

__all__ = [
    "cardiac",
    "checkpoint",
    "cohort",
    "compare",
    "config",
    "connect",
    "convert",
    "ejection_fraction",
    "explain",
    "follow",
    "imread",
    "intensity",
    "masks",
    "measure",
    "measure_objects",
    "ndimage",
    "open",
    "open_labels",
    "plot",
    "reorient",
    "resample",
    "resample_like",
    "save",
    "scan",
    "suv",
    "to_dicom_seg",
    "to_nifti",
    "volread",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'chunkmed' has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    found = importlib.import_module(module)
    value = getattr(found, attribute) if attribute else found
    # Submodules named like a function (measure, follow) would otherwise hide it.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
