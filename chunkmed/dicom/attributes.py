"""The allow-list: technical attributes that may leave the input. No UIDs, names, dates or free text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.uid import UID

from chunkmed.dicom.headers import Frame, Header
from chunkmed.dicom.modality import has_modality_lut
from chunkmed.dicom.quirks import private_attributes
from chunkmed.dicom.suv import suv_attributes, suv_of
from chunkmed.dicom.tags import integer, number, numbers, raw_value, text, value

__all__ = ["stack_attributes", "technical", "units_of"]

_MOST_VALUES = 1024
#: Of a file: what it says of its SUV factor. Not an attribute itself.
_SUV = "suv"
#: Words of the standard that are kept as they are; anything else in their elements is "OTHER".
_MODALITIES = (
    "AR AU BDUS BI BMD CR CT CTPROTOCOL DG DOC DX ECG EPS ES FA FID FS GM HC HD IO IOL IVOCT IVUS KER KO LEN "
    "LS MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX RF RG RTDOSE RTIMAGE "
    "RTPLAN RTSTRUCT SEG SM SMR SR SRF ST TG US VA XA XC"
)
_PHOTOMETRIC = (
    "MONOCHROME1 MONOCHROME2 RGB YBR_FULL YBR_FULL_422 YBR_PARTIAL_420 YBR_ICT YBR_RCT XYB ARGB CMYK HSV"
)
_RESCALE = "HU US OD HU_MOD MGML Z_EFF ED EDW PCT HPCT"
_PET = (
    "CNTS NONE CM2 CM2ML PCNT CPS BQML MGMINML UMOLMINML MLMING MLG 1CM UMOLML PROPCNTS PROPCPS MLMINML "
    "MLML GML STDDEV"
)
#: What reconstruction kernels are called: an element of free text, so only such names are kept.
_KERNELS = (
    "STANDARD STD STD+ STND SOFT SOFT+ SMOOTH SHARP DETAIL LUNG BONE BONE+ BONEPLUS CHST EDGE ULTRA BODY "
    "BRAIN HEAD FILTER NONE"
)
_KERNEL = re.compile(r"[A-Za-z]{0,2}\d{1,3}[A-Za-z]{0,2}(?:\\\d)?|[A-Z]{1,2}")


def _one_of(words: str) -> Callable[[Any], str | None]:
    known = set(words.split())

    def convert(raw: Any) -> str | None:
        out = text(raw)
        return None if not out else out if out in known else "OTHER"

    return convert


def _all_of(words: str) -> Callable[[Any], str | None]:
    known = set(words.split())

    def convert(raw: Any) -> str | None:
        parts = (text(raw) or "").split("\\")
        return "\\".join(parts) if known.issuperset(parts) else None

    return convert


def _kernel(raw: Any) -> str | None:
    out = text(raw)
    known = bool(out) and (out in _KERNELS.split() or _KERNEL.fullmatch(str(out)) is not None)
    return out if known else None


_modality = _one_of(_MODALITIES)


def _photometric(raw: str) -> str:
    return raw if raw == "PALETTE COLOR" else _one_of(_PHOTOMETRIC)(raw) or ""


@dataclass(frozen=True, slots=True)
class _Row:
    keyword: str
    name: str
    convert: Callable[[Any], Any]


_OF_FILE = (
    _Row("RescaleType", "rescale_type", _one_of(_RESCALE)),
    _Row("Units", "pet_units", _one_of(_PET)),
    _Row("DecayCorrection", "decay_correction", _one_of("START ADMIN NONE")),
    _Row("DoseUnits", "dose_units", _one_of("GY RELATIVE")),
    _Row("DoseGridScaling", "dose_grid_scaling", number),
    _Row("BurnedInAnnotation", "burned_in_annotation", _one_of("YES NO")),
    _Row("KVP", "kvp", number),
    _Row("XRayTubeCurrent", "tube_current_ma", number),
    _Row("Exposure", "exposure_mas", number),
    _Row("ReconstructionDiameter", "reconstruction_diameter_mm", number),
    _Row("ConvolutionKernel", "kernel", _kernel),
    _Row("GantryDetectorTilt", "gantry_tilt_deg", number),
    _Row("ImagerPixelSpacing", "imager_pixel_spacing_mm", numbers),
    _Row("EstimatedRadiographicMagnificationFactor", "magnification", number),
    _Row("MagneticFieldStrength", "field_strength_t", number),
    _Row("ScanningSequence", "scanning_sequence", _all_of("SE IR GR EP RM")),
    _Row("SequenceVariant", "sequence_variant", _all_of("SK MTC SS TRSS SP MP OSP TOF NONE")),
    _Row("MRAcquisitionType", "mr_acquisition_type", _one_of("1D 2D 3D")),
    _Row("EchoTrainLength", "echo_train_length", number),
    _Row("NumberOfAverages", "averages", number),
    _Row("PixelBandwidth", "bandwidth_hz_per_pixel", number),
    _Row("RepetitionTime", "repetition_time_ms", number),
    _Row("SliceThickness", "slice_thickness_mm", number),
    _Row("ActualFrameDuration", "frame_duration_ms", number),
)
_OF_FRAME = (
    ("EchoTime", "echo_time_ms"),
    ("InversionTime", "inversion_time_ms"),
    ("FlipAngle", "flip_angle_deg"),
    ("RepetitionTime", "repetition_time_ms"),
    ("DiffusionBValue", "b_value_s_per_mm2"),
    ("FrameReferenceTime", "frame_reference_time_ms"),
)
_PET_UNITS = {"BQML": "Bq/ml", "CNTS": "counts", "GML": "g/ml", "CPS": "counts/s", "PROPCPS": "counts/s"}


def technical(dataset: Any) -> dict[str, Any]:
    """Return the file's own technical attributes that are on the allow-list."""
    found = {row.name: value(dataset, row.keyword, row.convert) for row in _OF_FILE}
    if has_modality_lut(dataset):
        kind = value(dataset, "ModalityLUTSequence", lambda items: items[0].get("ModalityLUTType"))
        found |= {"modality_lut": True, "rescale_type": _one_of(_RESCALE)(kind)}
    found["padding_limit"] = value(dataset, "PixelPaddingRangeLimit", integer)
    found[_SUV] = suv_of(dataset)
    maker, modality = (value(dataset, word, text) or "" for word in ("Manufacturer", "Modality"))
    found |= private_attributes(lambda tag: value(dataset, tag, raw_value), maker, modality)
    return {name: out for name, out in found.items() if out is not None}


def units_of(header: Header) -> str:
    """Return the unit of the rescaled values, empty where the headers do not say."""
    pet = header.technical.get("pet_units")
    if pet:
        return _PET_UNITS.get(pet, str(pet))
    if header.technical.get("dose_units"):
        return "Gy" if header.technical["dose_units"] == "GY" else str(header.technical["dose_units"])
    if header.modality == "CT" and header.technical.get("rescale_type", "HU") in ("HU", "US"):
        return "HU"
    return ""


def stack_attributes(frames: Sequence[Frame]) -> dict[str, Any]:
    """Return the JSON attributes of a stack; values that differ become a sorted list.

    Parameters
    ----------
    frames : sequence of Frame
        All frames of the stack.
    """
    files = list({id(frame.file): frame.file for frame in frames}.values())
    first, layout = files[0], files[0].layout
    out: dict[str, Any] = {
        "modality": _modality(first.modality) or "",
        "units": units_of(first),
        "photometric_interpretation": _photometric(layout.photometric),
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "signed": layout.signed,
        "transfer_syntax": sorted({_syntax(file.layout.transfer_syntax) for file in files}),
    }
    names = {name for file in files for name in file.technical} - {"padding_limit", _SUV}
    for name in sorted(names):
        out |= _merged(name, (file.technical.get(name) for file in files))
    for key, name in _OF_FRAME:
        out |= _merged(name, (frame.keys.get(key) for frame in frames))
    if "imager_pixel_spacing_mm" in out:
        out["projection"] = True
    return out | suv_attributes(file.technical.get(_SUV) for file in files) | _rescale(frames)


def _syntax(uid: str) -> str:
    # A UID that the standard does not know has no name but itself.
    known = UID(uid)
    return known.name if known.is_transfer_syntax and not known.is_private else "unknown"


def _merged(name: str, values: Iterable[Any]) -> dict[str, Any]:
    distinct = {out for out in values if out is not None}
    if not distinct or len(distinct) > _MOST_VALUES:
        return {}
    if len(distinct) == 1:
        only = distinct.pop()
        return {name: list(only) if isinstance(only, tuple) else only}
    return {name: sorted(list(out) if isinstance(out, tuple) else out for out in distinct)}


def _rescale(frames: Sequence[Frame]) -> dict[str, Any]:
    slopes = np.array([frame.slope for frame in frames])
    intercepts = np.array([frame.intercept for frame in frames])
    if (slopes == slopes[0]).all() and (intercepts == intercepts[0]).all():
        return {"rescale_slope": float(slopes[0]), "rescale_intercept": float(intercepts[0])}
    # In the order t, z.
    return {"rescale_slopes": slopes.tolist(), "rescale_intercepts": intercepts.tolist()}
