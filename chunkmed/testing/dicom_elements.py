"""DICOM elements of one image of a grid, by keyword: what a scanner writes into its header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.datadict import dictionary_VR
from pydicom.uid import CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from chunkmed.errors import InputError
from chunkmed.grid import Grid

__all__ = [
    "SOP_CLASSES",
    "Tags",
    "clock",
    "decimal",
    "pixel_tags",
    "series_tags",
    "slice_tags",
    "time_of_day",
    "time_tags",
    "time_value",
    "uid",
]

Tags = Mapping[str, Any]

SOP_CLASSES = {
    "MR": MRImageStorage,
    "CT": CTImageStorage,
    "PT": PositronEmissionTomographyImageStorage,
}
_FIRST_SECOND = 36_000.0  # 10:00:00
_SECONDS_PER_SLICE = 15.0  # one breath-hold each


def clock(grid: Grid, trigger_time_ms: npt.ArrayLike | None) -> npt.NDArray[np.float64]:
    """Return the time of each slice (t, z), ms."""
    times = np.asarray(grid.time_ms if trigger_time_ms is None else trigger_time_ms, dtype=np.float64)
    return np.broadcast_to(times[:, None] if times.ndim == 1 else times, grid.shape[:2])


def series_tags(grid: Grid, modality: str, seed: int, slice_gap_mm: float) -> dict[str, Any]:
    """Return what all images of a series share, by keyword."""
    dz, dy, dx = grid.spacing_mm
    (r0, c0, _), (r1, c1, _), (r2, c2, _) = grid.direction
    return {
        "SOPClassUID": SOP_CLASSES[modality],
        "Modality": modality,
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "Manufacturer": "chunkmed",
        "PatientName": "Phantom^Beating",
        "PatientID": "PHANTOM",
        "PatientBirthDate": "19700101",
        "PatientSex": "O",
        "StudyDate": "20200101",
        "SeriesDate": "20200101",
        "AcquisitionDate": "20200101",
        "StudyTime": time_of_day(0),
        "StudyID": "1",
        "SeriesNumber": seed + 1,
        "SeriesDescription": "phantom",
        "StudyInstanceUID": uid("study"),
        "SeriesInstanceUID": uid("series", modality, seed),
        "FrameOfReferenceUID": uid("frame of reference"),
        "ImageOrientationPatient": [decimal(v) for v in (r0, r1, r2, c0, c1, c2)],
        "PixelSpacing": [decimal(dy), decimal(dx)],
        "SliceThickness": decimal(dz - slice_gap_mm if dz > slice_gap_mm else dz),
        "SpacingBetweenSlices": _between(grid),
    }


def _between(grid: Grid) -> str | None:
    """Return the distance that most slices have; a single slice has none."""
    return decimal(float(np.median(np.abs(np.diff(grid.z_mm))))) if len(grid.z_mm) > 1 else None


def slice_tags(grid: Grid, t: int, z: int, seed: int) -> dict[str, Any]:
    """Return where one image lies and its numbers, by keyword."""
    position = grid.to_lps([[grid.x_mm[0], grid.y_mm[0], grid.z_mm[z]]])[0]
    started = time_of_day(_SECONDS_PER_SLICE * z)
    return {
        "SOPInstanceUID": uid("instance", seed, t, z, grid.fingerprint),
        "InstanceNumber": z * len(grid.time_ms) + t + 1,
        "ImagePositionPatient": [decimal(v) for v in position.tolist()],
        "AcquisitionTime": started,
        "ContentTime": started,
    }


def time_tags(
    times_ms: npt.NDArray[np.float64], t: int, z: int, time_key: str, modality: str
) -> dict[str, Any]:
    """Return what tells the time points apart, by keyword."""
    count = len(times_ms)
    if count == 1 or not time_key:
        return {}
    tags: dict[str, Any] = {time_key: time_value(time_key, float(times_ms[t, z]), t)}
    if modality == "MR":
        beat_ms = (times_ms[-1, z] - times_ms[0, z]) * count / (count - 1)
        tags |= {"NominalInterval": round(float(beat_ms)), "CardiacNumberOfImages": count}
    return tags


def time_value(time_key: str, time_ms: float, t: int) -> Any:
    """Return a time as the value representation of its keyword asks."""
    kind = dictionary_VR(time_key)
    if kind == "TM":
        return time_of_day(time_ms / 1000)
    if kind in ("FD", "FL"):
        return time_ms
    return decimal(time_ms) if kind == "DS" else t + 1


def pixel_tags(
    values: npt.NDArray[Any], dtype: np.dtype[Any], rescale: tuple[float, float] | None
) -> dict[str, Any]:
    """Return the image pixel module of one image, by keyword."""
    slope, intercept = rescale or (1.0, 0.0)
    stored = np.rint((np.asarray(values, dtype=np.float64) - intercept) / slope)
    limits = np.iinfo(dtype)
    if stored.min() < limits.min or stored.max() > limits.max:
        raise InputError(f"the pixels do not fit {dtype}", kind="bad-dtype", fix="give another dtype")
    bits = 8 * dtype.itemsize
    tags: dict[str, Any] = {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(dtype.kind == "i"),
        "PixelData": stored.astype(dtype.newbyteorder("<")).tobytes(),
    }
    if rescale is not None:
        tags |= {"RescaleSlope": decimal(slope), "RescaleIntercept": decimal(intercept)}
    return tags


def time_of_day(seconds: float) -> str:
    """Return a DICOM time, counted from ten o'clock."""
    minutes, rest = divmod(_FIRST_SECOND + seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:02d}{minutes:02d}{rest:09.6f}"


def decimal(value: float) -> str:
    """Return a number as DICOM's decimal string of at most 16 characters."""
    return str(format_number_as_ds(float(value)))


def uid(*parts: object) -> str:
    """Return a UID that equal parts make again."""
    return str(generate_uid(entropy_srcs=["chunkmed.testing", *map(str, parts)]))
