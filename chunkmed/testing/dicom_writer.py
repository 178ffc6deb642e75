"""Real DICOM files from a function of (t, z): what a scanner would have written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)
from pydicom.valuerep import format_number_as_ds

from chunkmed.errors import InputError
from chunkmed.grid import Grid
from chunkmed.testing.phantoms import BeatingEllipsoid

__all__ = ["write_series", "write_study"]

Frame = Callable[[int, int], npt.NDArray[Any]]
Tags = Mapping[str, Any]

_SOP_CLASSES = {
    "MR": MRImageStorage,
    "CT": CTImageStorage,
    "PT": PositronEmissionTomographyImageStorage,
}
_FIRST_SECOND = 36_000.0  # 10:00:00
_SECONDS_PER_SLICE = 15.0  # one breath-hold each


def write_series(
    folder: Path | str,
    frame: Frame,
    grid: Grid,
    *,
    modality: str = "MR",
    trigger_time_ms: npt.ArrayLike | None = None,
    time_key: str = "TriggerTime",
    shuffle_seed: int = 0,
    slice_gap_mm: float = 2.0,
    dtype: npt.DTypeLike = np.int16,
    rescale: tuple[float, float] | None = None,
    extra_tags: Tags | Callable[[int, int], Tags] | None = None,
) -> list[Path]:
    """Write one classic single-frame DICOM file per time point and slice.

    Parameters
    ----------
    folder : Path or str
        Where to write; made if missing.
    frame : callable
        ``frame(t, z)`` returns the values (y, x) of one slice, after any rescale.
    grid : Grid
        Positions of all voxels, mm in LPS.
    modality : {"MR", "CT", "PT"}
        Which image storage class to write.
    trigger_time_ms : array_like (t,) or (t, z), optional
        Time of each slice, ms; the grid's own times if not given.
    time_key : str
        Keyword that carries the time of a series with several time points: milliseconds, a time of
        day or a number from 1, as its value representation asks. An empty text writes none.
    shuffle_seed : int
        Shuffles the file names and sets the series' UIDs: give each series of a study its own.
    slice_gap_mm : float
        SliceThickness is the step along z less this gap (the whole step if nothing would be left).
    dtype : dtype
        Integer type of the stored pixels.
    rescale : (slope, intercept), optional
        Written to the file; stored pixels are ``(value - intercept) / slope``, rounded.
    extra_tags : mapping or callable, optional
        More elements by keyword, or ``extra_tags(t, z)`` that returns them; None deletes one.

    Returns
    -------
    list of Path
        The files in the order of (t, z), whatever their names say.

    Raises
    ------
    InputError
        If the pixels do not fit ``dtype``, or the modality is not one of those above.
    """
    if modality not in _SOP_CLASSES:
        raise InputError(f"cannot write modality {modality!r}", kind="bad-modality", fix="MR, CT or PT")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    times, slices = grid.shape[:2]
    paths = [folder / name for name in _shuffled_names(times * slices, shuffle_seed)]
    clock = _clock(grid, trigger_time_ms)
    series = _series_tags(grid, modality, shuffle_seed, slice_gap_mm)
    if rescale is None and modality != "MR":
        rescale = (1.0, 0.0)
    for (t, z), path in zip(np.ndindex(times, slices), paths, strict=True):
        tags = series | _slice_tags(grid, t, z, shuffle_seed) | _time_tags(clock, t, z, time_key, modality)
        tags |= _pixel_tags(frame(t, z), np.dtype(dtype), rescale)
        tags |= extra_tags(t, z) if callable(extra_tags) else (extra_tags or {})
        _write(path, tags)
    return paths


def write_study(
    folder: Path | str, phantom: BeatingEllipsoid, *, rr_jitter: float = 0.05, **settings: Any
) -> list[Path]:
    """Write a phantom as a cine MR series in which each slice has its own RR interval.

    Parameters
    ----------
    folder : Path or str
        Where to write.
    phantom : BeatingEllipsoid
        What to write.
    rr_jitter : float
        Largest deviation of a slice's RR interval, as a fraction; the median stays the phantom's.
    **settings
        Passed on to :func:`write_series`.

    Returns
    -------
    list of Path
        The files in the order of (t, z).
    """
    grid = phantom.grid
    jitter = np.linspace(-rr_jitter, rr_jitter, len(grid.z_mm)) if len(grid.z_mm) > 1 else np.zeros(1)
    stretch = 1 + np.random.default_rng(phantom.seed).permutation(jitter)
    defaults: dict[str, Any] = {
        "trigger_time_ms": np.outer(grid.time_ms, stretch).round(3),
        "slice_gap_mm": phantom.slice_gap_mm,
        "shuffle_seed": phantom.seed,
    }
    return write_series(folder, phantom.frame, grid, **(defaults | settings))


def _shuffled_names(count: int, seed: int) -> list[str]:
    order = np.random.default_rng(seed).permutation(count)
    return [f"{seed:02d}{number:07d}.dcm" for number in order.tolist()]


def _clock(grid: Grid, trigger_time_ms: npt.ArrayLike | None) -> npt.NDArray[np.float64]:
    """Return the time of each slice (t, z), ms."""
    times = np.asarray(grid.time_ms if trigger_time_ms is None else trigger_time_ms, dtype=np.float64)
    return np.broadcast_to(times[:, None] if times.ndim == 1 else times, grid.shape[:2])


def _series_tags(grid: Grid, modality: str, seed: int, slice_gap_mm: float) -> dict[str, Any]:
    dz, dy, dx = grid.spacing_mm
    (r0, c0, _), (r1, c1, _), (r2, c2, _) = grid.direction
    return {
        "SOPClassUID": _SOP_CLASSES[modality],
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
        "StudyTime": _time_of_day(0),
        "StudyID": "1",
        "SeriesNumber": seed + 1,
        "SeriesDescription": "phantom",
        "StudyInstanceUID": _uid("study"),
        "SeriesInstanceUID": _uid("series", modality, seed),
        "FrameOfReferenceUID": _uid("frame of reference"),
        "ImageOrientationPatient": [_decimal(v) for v in (r0, r1, r2, c0, c1, c2)],
        "PixelSpacing": [_decimal(dy), _decimal(dx)],
        "SliceThickness": _decimal(dz - slice_gap_mm if dz > slice_gap_mm else dz),
        "SpacingBetweenSlices": _decimal(dz),
    }


def _slice_tags(grid: Grid, t: int, z: int, seed: int) -> dict[str, Any]:
    position = grid.to_lps([[grid.x_mm[0], grid.y_mm[0], grid.z_mm[z]]])[0]
    started = _time_of_day(_SECONDS_PER_SLICE * z)
    return {
        "SOPInstanceUID": _uid("instance", seed, t, z, grid.fingerprint),
        "InstanceNumber": z * len(grid.time_ms) + t + 1,
        "ImagePositionPatient": [_decimal(v) for v in position.tolist()],
        "AcquisitionTime": started,
        "ContentTime": started,
    }


def _time_tags(
    clock: npt.NDArray[np.float64], t: int, z: int, time_key: str, modality: str
) -> dict[str, Any]:
    count = len(clock)
    if count == 1 or not time_key:
        return {}
    tags: dict[str, Any] = {time_key: _time_value(time_key, float(clock[t, z]), t)}
    if modality == "MR":
        beat_ms = (clock[-1, z] - clock[0, z]) * count / (count - 1)
        tags |= {"NominalInterval": round(float(beat_ms)), "CardiacNumberOfImages": count}
    return tags


def _time_value(time_key: str, time_ms: float, t: int) -> Any:
    kind = dictionary_VR(time_key)
    if kind == "TM":
        return _time_of_day(time_ms / 1000)
    return _decimal(time_ms) if kind in ("DS", "FD", "FL") else t + 1


def _pixel_tags(
    values: npt.NDArray[Any], dtype: np.dtype[Any], rescale: tuple[float, float] | None
) -> dict[str, Any]:
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
        tags |= {"RescaleSlope": _decimal(slope), "RescaleIntercept": _decimal(intercept)}
    return tags


def _write(path: Path, tags: Tags) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = tags["SOPClassUID"]
    meta.MediaStorageSOPInstanceUID = tags["SOPInstanceUID"]
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(path, Dataset(), file_meta=meta, preamble=bytes(128))
    for keyword, value in tags.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OW" if tags["BitsAllocated"] > 8 else "OB"
    dataset.save_as(path, enforce_file_format=True)


def _time_of_day(seconds: float) -> str:
    """Return a DICOM time, counted from ten o'clock."""
    minutes, rest = divmod(_FIRST_SECOND + seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:02d}{minutes:02d}{rest:09.6f}"


def _decimal(value: float) -> str:
    return str(format_number_as_ds(float(value)))


def _uid(*parts: object) -> str:
    return str(generate_uid(entropy_srcs=["chunkmed.testing", *map(str, parts)]))
