"""From bytes to stored values: one frame at a time, headers never parsed again."""

from __future__ import annotations

import io
import logging
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from chunkmed.dicom.headers import Layout
from chunkmed.dicom.values import clean_bits, stored_dtype
from chunkmed.dicom.walk import open_regular
from chunkmed.errors import SourceError

__all__ = ["missing_decoder", "read_frame"]

# pydicom logs the tracebacks of decoders that it tries in vain: not to stderr.
logging.getLogger("pydicom").addHandler(logging.NullHandler())

Array = npt.NDArray[Any]
Span = tuple[int, int]
Place = tuple[int, Span, Span]
_PACKAGES = {
    "1.2.840.10008.1.2.4.50": "pylibjpeg and pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.51": "pylibjpeg and pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.57": "pylibjpeg and pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.70": "pylibjpeg and pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pylibjpeg and pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg and pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.201": "pylibjpeg and pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.202": "pylibjpeg and pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg and pylibjpeg-openjpeg",
}


def missing_decoder(syntax: str) -> str | None:
    """Return what it takes to decode a transfer syntax here, or None where nothing is missing."""
    name = UID(syntax).name
    try:
        available = get_decoder(UID(syntax)).is_available
    except NotImplementedError:
        return f"{name} has no decoder in pydicom: transcode the files first (dcmtk's dcmdjpeg, gdcmconv)"
    if available:
        return None
    return f"{name} needs {_PACKAGES.get(syntax, 'another pydicom decoder')}: install it with pip"


def read_frame(path: str, size: int, mtime_ns: int, offset: int, layout: Layout, place: Place) -> Array:
    """Return the stored values (y, x) of a part of one frame, cleaned to BitsStored.

    Parameters
    ----------
    path : str
        The file.
    size, mtime_ns : int
        What the scan saw: a changed file is refused.
    offset : int
        Start of the pixel data in bytes.
    layout : Layout
        How the values lie.
    place : tuple
        Frame number, then (start, stop) of rows and of columns.

    Raises
    ------
    SourceError
        ``file-vanished``, ``file-changed``, ``truncated-file``, ``missing-decoder``, ``undecodable``.
    """
    try:
        descriptor = open_regular(path)
    except OSError as error:
        raise _refuse(path, "file-vanished", "a file cannot be opened", error.strerror or "") from error
    try:
        about = os.fstat(descriptor)
        if (about.st_size, about.st_mtime_ns) != (size, mtime_ns):
            raise _refuse(path, "file-changed", "a file changed since the scan", fix="scan again")
        return _read_open(descriptor, path, offset, layout, place)
    except OSError as error:
        raise _refuse(path, "unreadable", "a file cannot be read", error.strerror or "") from error
    finally:
        os.close(descriptor)


def _read_open(descriptor: int, path: str, offset: int, layout: Layout, place: Place) -> Array:
    frame, (y0, y1), (x0, x1) = place
    if layout.compressed:
        whole = _decoded(descriptor, path, offset, layout, frame)
        return clean_bits(np.ascontiguousarray(whole[y0:y1, x0:x1]), layout)
    row_bytes = layout.columns * layout.bits_allocated // 8
    start = offset + frame * layout.frame_bytes + y0 * row_bytes
    count = (y1 - y0) * row_bytes
    if layout.deflated:
        data = _inflated(descriptor, start, count, path)
    else:
        data = os.pread(descriptor, count, start)
    if len(data) < count:
        raise _refuse(path, "truncated-file", "a file ends within its pixel data")
    dtype = stored_dtype(layout).newbyteorder("<" if layout.little_endian else ">")
    rows = np.frombuffer(data, dtype).reshape(y1 - y0, layout.columns)[:, x0:x1]
    return clean_bits(rows.astype(dtype.newbyteorder("="), copy=False), layout)


def _inflated(descriptor: int, start: int, count: int, path: str) -> bytes:
    # The stream has no index: inflate up to the end of the frame, and no further.
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        body = file.read()
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return inflater.decompress(body[_dataset_start(body) :], start + count)[start:]
    except zlib.error as error:
        raise _refuse(path, "undecodable", "a deflated file cannot be inflated") from error


def _dataset_start(body: bytes) -> int:
    # (0002,0000) UL 4, always the first element: the length of the rest of the file meta group.
    return 144 + int.from_bytes(body[140:144], "little")


def _decoded(descriptor: int, path: str, offset: int, layout: Layout, frame: int) -> Array:
    if missing := missing_decoder(layout.transfer_syntax):
        raise _refuse(path, "missing-decoder", "the pixels cannot be decoded", missing)
    options: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": layout.samples,
        "photometric_interpretation": layout.photometric,
        "pixel_representation": int(layout.signed),
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "number_of_frames": layout.frames,
        "planar_configuration": layout.planar,
        "pixel_keyword": "PixelData",
    }
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(offset)
        source = io.BytesIO(file.read()) if layout.frames == 1 else file
        try:
            decoder = get_decoder(UID(layout.transfer_syntax))
            array, _ = decoder.as_array(source, index=frame, raw=True, **options)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a codec's panic is not an Exception
            name = UID(layout.transfer_syntax).name
            why = f"{name} data, frame {frame}: {type(error).__name__}"
            fix = f"the file is damaged, or needs {_PACKAGES.get(layout.transfer_syntax, 'another decoder')}"
            raise _refuse(path, "undecodable", "the pixels cannot be decoded", why, fix) from None
    return array.astype(stored_dtype(layout), copy=False)


def _refuse(path: str, kind: str, what: str, why: str = "", fix: str = "") -> SourceError:
    return SourceError(what, kind=kind, where=Path(path).name, why=why, fix=fix)
