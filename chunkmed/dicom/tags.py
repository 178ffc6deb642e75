"""Which DICOM elements are read, and how each becomes a plain Python value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydicom.datadict import tag_for_keyword

from chunkmed.dicom.quirks import PRIVATE_TAGS

__all__ = [
    "KEYS",
    "SPECIFIC_TAGS",
    "Key",
    "clock_ms",
    "integer",
    "number",
    "numbers",
    "raw_value",
    "text",
    "value",
]

#: A frame's value of an ordering tag.
Key = float | str | tuple[float, ...]


def number(raw: Any) -> float | None:
    """Return a finite number, or None; of several values the first."""
    if isinstance(raw, list) or (hasattr(raw, "__iter__") and not isinstance(raw, str | bytes)):
        raw = next(iter(raw), None)
    if raw is None or raw == "":
        return None
    out = float(raw)
    return out if math.isfinite(out) else None


def integer(raw: Any) -> int | None:
    """Return an integer, or None where there is no number."""
    out = number(raw)
    return None if out is None else int(out)


def numbers(raw: Any) -> tuple[float, ...] | None:
    """Return several finite numbers, or None where one is missing or not finite."""
    if raw is None or isinstance(raw, str):
        return None
    out = tuple(float(part) for part in (raw if hasattr(raw, "__iter__") else [raw]))
    return out if out and all(math.isfinite(part) for part in out) else None


def text(raw: Any) -> str | None:
    """Return text without its padding; several values joined as in the file."""
    if raw is None:
        return None
    parts = [raw] if isinstance(raw, str) or not hasattr(raw, "__iter__") else list(raw)
    return "\\".join(str(part).strip(" \0") for part in parts)


def raw_value(raw: Any) -> Any:
    """Return the element's value as it is."""
    return raw


_TIME = re.compile(r"(\d{8})?(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6}))?(?:[+-]\d{4})?")


def clock_ms(raw: Any) -> float | None:
    """Return a DICOM time (``TM`` or ``DT``) in ms since midnight; dates are ignored.

    Examples
    --------
    >>> clock_ms("010203.5"), clock_ms("20200101000001")
    (3723500.0, 1000.0)
    """
    match = _TIME.fullmatch(str(raw).strip()) if raw is not None else None
    if match is None:
        return None
    _, hours, minutes, seconds, fraction = match.groups()
    whole = int(hours) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return whole * 1000.0 + int((fraction or "0").ljust(6, "0")) / 1000.0


#: Tags that tell the frames of one position apart: name -> (keywords in order of preference, reader).
KEYS: Mapping[str, tuple[tuple[str, ...], Callable[[Any], Key | None]]] = {
    "InstanceNumber": (("InstanceNumber",), number),
    "SliceLocation": (("SliceLocation",), number),
    "ImageType": (("FrameType", "ImageType"), text),
    "ComplexImageComponent": (("ComplexImageComponent",), text),
    "EchoTime": (("EffectiveEchoTime", "EchoTime"), number),
    "InversionTime": (("InversionTime", "InversionTimes"), number),
    "FlipAngle": (("FlipAngle",), number),
    "RepetitionTime": (("RepetitionTime",), number),
    "DiffusionBValue": (("DiffusionBValue",), number),
    "DiffusionGradientOrientation": (("DiffusionGradientOrientation",), numbers),
    "NumberOfSlices": (("NumberOfSlices",), number),
    "ImagesInAcquisition": (("ImagesInAcquisition",), number),
    "TemporalPositionIdentifier": (("TemporalPositionIdentifier",), number),
    "TemporalPositionIndex": (("TemporalPositionIndex",), number),
    "TriggerTime": (("TriggerTime",), number),
    "NominalCardiacTriggerDelayTime": (("NominalCardiacTriggerDelayTime",), number),
    "NominalPercentageOfCardiacPhase": (("NominalPercentageOfCardiacPhase",), number),
    "NominalPercentageOfRespiratoryPhase": (("NominalPercentageOfRespiratoryPhase",), number),
    "AcquisitionNumber": (("FrameAcquisitionNumber", "AcquisitionNumber"), number),
    "FrameReferenceTime": (("FrameReferenceTime",), number),
    "ImageIndex": (("ImageIndex",), number),
    "AcquisitionTime": (("FrameAcquisitionDateTime", "AcquisitionTime", "AcquisitionDateTime"), clock_ms),
    "ContentTime": (("ContentTime",), clock_ms),
    "NumberOfTemporalPositions": (("NumberOfTemporalPositions",), number),
    "CardiacNumberOfImages": (("CardiacNumberOfImages",), number),
    "NominalInterval": (("NominalInterval", "RRIntervalTimeNominal"), number),
    "KVP": (("KVP",), number),
    "ConvolutionKernel": (("ConvolutionKernel",), text),
    "CorrectedImage": (("CorrectedImage",), text),
    "SequenceName": (("SequenceName",), text),
    "MRAcquisitionType": (("MRAcquisitionType",), text),
    "ConcatenationUID": (("ConcatenationUID",), text),
    "InConcatenationNumber": (("InConcatenationNumber",), number),
    "InConcatenationTotalNumber": (("InConcatenationTotalNumber",), number),
    "ConcatenationFrameOffsetNumber": (("ConcatenationFrameOffsetNumber",), number),
}

_HEADER = (
    "SpecificCharacterSet SOPClassUID SOPInstanceUID SeriesInstanceUID FrameOfReferenceUID Modality "
    "Manufacturer SeriesDescription ProtocolName Rows Columns SamplesPerPixel NumberOfFrames "
    "BitsAllocated BitsStored HighBit PixelRepresentation PhotometricInterpretation "
    "PlanarConfiguration ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness "
    "SpacingBetweenSlices RescaleSlope RescaleIntercept RescaleType Units DoseGridScaling DoseUnits "
    "PixelPaddingValue FloatPixelPaddingValue DoubleFloatPixelPaddingValue "
    "FrameIncrementPointer FrameTime FrameTimeVector GridFrameOffsetVector SliceVector "
    "DetectorInformationSequence "
    "ModalityLUTSequence SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence "
    "BurnedInAnnotation KVP ConvolutionKernel MagneticFieldStrength GantryDetectorTilt "
    "ImagerPixelSpacing DecayCorrection PixelPaddingRangeLimit XRayTubeCurrent Exposure "
    "ReconstructionDiameter EstimatedRadiographicMagnificationFactor ScanningSequence SequenceVariant "
    "EchoTrainLength NumberOfAverages PixelBandwidth SeriesDate SeriesTime AcquisitionDate PatientWeight "
    "CorrectedImage SUVType ActualFrameDuration RadiopharmaceuticalInformationSequence "
)

#: All that a scan takes from a file; other elements are skipped unread.
SPECIFIC_TAGS: list[int] = sorted(
    {int(tag_for_keyword(word) or 0) for word in _HEADER.split()}
    | {int(tag_for_keyword(word) or 0) for words, _ in KEYS.values() for word in words}
    | set(PRIVATE_TAGS)
    | {0x00090010, 0x0009100D, 0x00710010, 0x00711022, 0x70530010, 0x70531000, 0x70531009}  # see ``suv``
)


def value(dataset: Any, keyword: str | int, convert: Callable[[Any], Any]) -> Any:
    """Return one converted element; None where it is absent, empty or not what it should be."""
    try:
        if isinstance(keyword, int):
            return convert(dataset[keyword].value) if keyword in dataset else None
        return convert(dataset.get(keyword))
    except Exception:
        # A broken element must not cost the file: what needs it will say that it is missing.
        return None
