"""What identifies a patient and a study: read and kept only where the user asks for it (``--keep-phi``)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydicom import dcmread
from pydicom.multival import MultiValue

from chunkmed.dicom.study import Stack
from chunkmed.dicom.tags import value
from chunkmed.errors import SourceError
from chunkmed.private import file_identifier

__all__ = ["IDENTIFYING", "with_identity"]

#: Standard elements that no store holds unasked. Private elements are never kept.
_WORDS = (
    "PatientName PatientID IssuerOfPatientID OtherPatientIDs PatientBirthDate PatientSex PatientAge "
    "PatientSize PatientWeight PatientComments AccessionNumber StudyID StudyInstanceUID SeriesInstanceUID "
    "FrameOfReferenceUID SOPClassUID StudyDate StudyTime SeriesDate SeriesTime AcquisitionDate "
    "AcquisitionTime ContentDate ContentTime StudyDescription SeriesDescription ProtocolName ImageComments "
    "SeriesNumber InstitutionName InstitutionAddress InstitutionalDepartmentName ReferringPhysicianName "
    "PerformingPhysicianName OperatorsName Manufacturer ManufacturerModelName DeviceSerialNumber "
    "SoftwareVersions StationName BodyPartExamined"
)
IDENTIFYING = tuple(_WORDS.split())


def with_identity(stack: Stack) -> Stack:
    """Return the stack with the attribute ``identifying``: the elements of its first file by keyword.

    Raises
    ------
    SourceError
        ``unreadable`` if the file cannot be read any more.
    """
    path = stack.pixels.paths[0]
    try:
        dataset = dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(IDENTIFYING))
    except Exception as error:
        raise SourceError(
            "a file cannot be read", kind="unreadable", series=stack.key, file=file_identifier(path)
        ) from error
    found = {word: value(dataset, word, _text) for word in IDENTIFYING}
    kept = {word: raw for word, raw in found.items() if raw}
    return replace(stack, attributes={**stack.attributes, "identifying": kept})


def _text(raw: Any) -> str | None:
    # Names of persons are iterable, and no lists.
    parts = raw if isinstance(raw, MultiValue | list) else [raw]
    return None if raw is None else "\\".join(str(part).strip(" \0") for part in parts)
