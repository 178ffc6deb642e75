"""Data sets and their frames -> files in any transfer syntax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from chunkmed.errors import InputError
from chunkmed.testing.dicom_forms import Form

__all__ = ["can_encode", "save"]


def can_encode(syntax: str) -> bool:
    """Return whether pixels can be written in a transfer syntax here."""
    if not UID(syntax).is_encapsulated:
        return True
    try:
        return bool(get_encoder(UID(syntax)).is_available)
    except NotImplementedError:
        return False


def save(path: Path, dataset: Dataset, frames: npt.NDArray[Any], form: Form) -> None:
    """Write one file.

    Parameters
    ----------
    path : Path
        Where to write.
    dataset : Dataset
        Everything but the pixel data and the file meta information.
    frames : array (n, y, x)
        The stored pixels, little-endian.
    form : Form
        Transfer syntax and offset table.

    Raises
    ------
    InputError
        If no encoder for the transfer syntax is installed.
    """
    if not can_encode(form.syntax):
        raise InputError(
            f"cannot write {UID(form.syntax).name}",
            kind="no-encoder",
            fix="install pyjpegls or pylibjpeg-openjpeg",
        )
    syntax = UID(form.syntax)
    swap = syntax == ExplicitVRBigEndian and frames.dtype.itemsize > 1
    raw = (frames.byteswap() if swap else np.ascontiguousarray(frames)).tobytes()
    dataset.PixelData = raw + bytes(len(raw) % 2)
    dataset["PixelData"].VR = "OW" if frames.dtype.itemsize > 1 else "OB"
    dataset.file_meta = meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax.is_encapsulated else syntax
    if syntax.is_encapsulated:
        _compress(dataset, len(frames), form)
    dataset.save_as(path, enforce_file_format=True)


def _compress(dataset: Dataset, count: int, form: Form) -> None:
    dataset.compress(UID(form.syntax), generate_instance_uid=False)
    if not form.offset_table:
        encoded = list(generate_frames(dataset.PixelData, number_of_frames=count))
        dataset.PixelData = encapsulate(encoded, has_bot=False)
        dataset["PixelData"].is_undefined_length = True
