"""Real DICOM files from a function of (t, z): what a scanner would have written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from chunkmed.errors import InputError
from chunkmed.grid import Grid
from chunkmed.testing.dicom_elements import (
    SOP_CLASSES,
    Tags,
    clock,
    pixel_tags,
    series_tags,
    slice_tags,
    time_tags,
)
from chunkmed.testing.phantoms import BeatingEllipsoid

__all__ = ["write_series", "write_study"]

Frame = Callable[[int, int], npt.NDArray[Any]]


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

    Examples
    --------
    >>> import numpy as np, chunkmed as cm
    >>> from chunkmed.grid import Grid
    >>> grid = Grid(z_mm=(0.0, 5.0), y_mm=(0.0, 1.0, 2.0), x_mm=(0.0, 1.0, 2.0))
    >>> files = write_series("ct", lambda t, z: np.full((3, 3), 10 * z), grid, modality="CT")
    >>> cm.open("ct").values[0, :, 0, 0].tolist()
    [0, 10]
    """
    if modality not in SOP_CLASSES:
        raise InputError(f"cannot write modality {modality!r}", kind="bad-modality", fix="MR, CT or PT")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    times, slices = grid.shape[:2]
    paths = [folder / name for name in _shuffled_names(times * slices, shuffle_seed)]
    times_ms = clock(grid, trigger_time_ms)
    series = series_tags(grid, modality, shuffle_seed, slice_gap_mm)
    if rescale is None and modality != "MR":
        rescale = (1.0, 0.0)
    for (t, z), path in zip(np.ndindex(times, slices), paths, strict=True):
        tags = series | slice_tags(grid, t, z, shuffle_seed) | time_tags(times_ms, t, z, time_key, modality)
        tags |= pixel_tags(frame(t, z), np.dtype(dtype), rescale)
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

    Examples
    --------
    >>> from chunkmed.testing import BeatingEllipsoid, write_study
    >>> heart = BeatingEllipsoid(time_points=2, size=(12, 48, 64), spacing_mm=(10.0, 3.0, 3.0))
    >>> len(write_study("cine", heart))
    24
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
