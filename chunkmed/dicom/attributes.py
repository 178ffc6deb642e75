"""The allow-list: technical attributes that may leave the input. No UIDs, names, dates or free text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.uid import UID

from chunkmed.dicom.headers import Frame, Header
from chunkmed.dicom.tags import number, numbers, text, value

__all__ = ["stack_attributes", "technical", "units_of"]

_PLAIN = re.compile(r"[^A-Za-z0-9_.+\-/ ]")
_MOST_VALUES = 1024


def _code(raw: Any) -> str | None:
    """Return a coded string in a fixed alphabet: an element meant for a code may hold anything."""
    out = text(raw)
    return None if not out else _PLAIN.sub("", out)[:16]


@dataclass(frozen=True, slots=True)
class _Row:
    keyword: str
    name: str
    convert: Callable[[Any], Any]


_OF_FILE = (
    _Row("RescaleType", "rescale_type", _code),
    _Row("Units", "pet_units", _code),
    _Row("DoseUnits", "dose_units", _code),
    _Row("BurnedInAnnotation", "burned_in_annotation", _code),
    _Row("KVP", "kvp", number),
    _Row("ConvolutionKernel", "kernel", _code),
    _Row("MagneticFieldStrength", "field_strength_t", number),
    _Row("GantryDetectorTilt", "gantry_tilt_deg", number),
    _Row("ImagerPixelSpacing", "imager_pixel_spacing_mm", numbers),
    _Row("DecayCorrection", "decay_correction", _code),
    _Row("RepetitionTime", "repetition_time_ms", number),
    _Row("SliceThickness", "slice_thickness_mm", number),
)
_OF_FRAME = (
    ("EchoTime", "echo_time_ms"),
    ("InversionTime", "inversion_time_ms"),
    ("FlipAngle", "flip_angle_deg"),
    ("RepetitionTime", "repetition_time_ms"),
    ("DiffusionBValue", "b_value_s_per_mm2"),
)
_PET_UNITS = {"BQML": "Bq/ml", "CNTS": "counts", "GML": "g/ml", "PROPCPS": "counts/s"}


def technical(dataset: Any) -> dict[str, Any]:
    """Return the file's own technical attributes that are on the allow-list."""
    found = {row.name: value(dataset, row.keyword, row.convert) for row in _OF_FILE}
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
        "modality": _code(first.modality) or "",
        "units": units_of(first),
        "photometric_interpretation": _code(layout.photometric) or "",
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "signed": layout.signed,
        "transfer_syntax": sorted({UID(file.layout.transfer_syntax).name for file in files}),
    }
    for name in sorted({name for file in files for name in file.technical}):
        out |= _merged(name, (file.technical.get(name) for file in files))
    for key, name in _OF_FRAME:
        out |= _merged(name, (frame.keys.get(key) for frame in frames))
    return out | _rescale(frames)


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
