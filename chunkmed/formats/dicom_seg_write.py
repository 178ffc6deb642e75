"""Writing DICOM segmentations: over the files of their source series, by highdicom."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.errors import InputError, SourceError
from chunkmed.provenance import versions

__all__ = ["check_segments", "write_segmentation"]

Array = npt.NDArray[Any]

_MAY_BE_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)


def write_segmentation(
    path: Path, files: Sequence[str], frames: Array, segments: Mapping[int, str], kind: str
) -> None:
    """Write a segmentation object.

    Parameters
    ----------
    path : Path
        Where.
    files : sequence of str
        Source images: one file per frame, or one file with all of them in its own order.
    frames : ndarray, shape (frame, y, x)
        Labels, 0 is background.
    segments : mapping of int to str
        Name of each label that there is.
    kind : {"LABELMAP", "BINARY"}
        Type of the segmentation.

    Raises
    ------
    InputError
        ``missing-extra`` where highdicom is not installed.
    SourceError
        ``bad-source`` where the source series lacks what a segmentation takes from it.
    """
    highdicom = _highdicom()
    pydicom = importlib.import_module("pydicom")
    sources = [_completed(pydicom.dcmread(file, stop_before_pixels=True)) for file in files]
    with warnings.catch_warnings():
        # They quote names of patients.
        warnings.simplefilter("ignore")
        made = _made(highdicom, sources, frames, segments, kind)
        made.save_as(path)


def _completed(dataset: Any) -> Any:
    """Return a header with empty elements where the standard allows them to be empty but not to lack."""
    for keyword in _MAY_BE_EMPTY:
        if keyword not in dataset:
            setattr(dataset, keyword, "")
    return dataset


def _made(
    highdicom: Any, sources: Sequence[Any], frames: Array, segments: Mapping[int, str], kind: str
) -> Any:
    try:
        return highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=frames,
            segmentation_type=kind,
            segment_descriptions=[_described(highdicom, *item) for item in sorted(segments.items())],
            series_instance_uid=highdicom.UID(),
            series_number=1000,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="chunkmed",
            manufacturer_model_name="chunkmed",
            software_versions=versions()["chunkmed"],
            device_serial_number="0",
            content_label="SEGMENTATION",
        )
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        raise SourceError(
            "no segmentation can be made over this series",
            kind="bad-source",
            # Its message may quote values of the files.
            why=f"its headers lack what a segmentation takes from them ({type(error).__name__})",
        ) from error


def _highdicom() -> Any:
    try:
        return importlib.import_module("highdicom")
    except ImportError as error:
        raise InputError(
            "writing DICOM segmentations needs highdicom",
            kind="missing-extra",
            why=str(error),
            fix='pip install "chunkmed[export]"',
        ) from error


def _described(highdicom: Any, number: int, name: str) -> Any:
    codes = importlib.import_module("pydicom.sr.codedict").codes
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="chunkmed", family=codes.DCM.MorphologicalOperations, version=versions()["chunkmed"]
    )
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name[:64],
        # What it is in the body only the user knows: the name says it.
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=codes.SCT.Tissue,
        algorithm_type="SEMIAUTOMATIC",
        algorithm_identification=algorithm,
    )


def check_segments(segments: Mapping[int, str], kind: str) -> None:
    """Refuse numbers that a type of segmentation does not take."""
    numbers = sorted(segments)
    if not numbers:
        raise InputError("there are no labels to write", kind="no-labels", why="every voxel is background")
    if numbers[0] < 1 or numbers[-1] > np.iinfo(np.uint16).max:
        raise InputError("labels are 1 to 65535 in a segmentation", kind="bad-labels", why=f"{numbers[:9]}")
    if kind == "BINARY" and numbers != list(range(1, len(numbers) + 1)):
        raise InputError(
            "segments of a BINARY segmentation are numbered 1, 2, 3 ...",
            kind="bad-labels",
            why=f"the labels are {', '.join(map(str, numbers[:9]))}",
            fix='kind="labelmap" keeps their numbers',
        )
