"""From bytes to stored values: one frame at a time, headers never parsed again."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom.uid import UID

from chunkmed.dicom.child import DecodeError, decode_frame
from chunkmed.dicom.codecs import CODECS, Shape
from chunkmed.dicom.colour import colour_frame, to_rgb
from chunkmed.dicom.encapsulated import DamagedError, compressed_frame
from chunkmed.dicom.headers import Layout
from chunkmed.dicom.mosaic import in_file
from chunkmed.dicom.plain import is_plain, read_plain
from chunkmed.dicom.values import clean_bits, rescaled, stored_dtype
from chunkmed.dicom.walk import open_regular
from chunkmed.errors import SourceError

__all__ = ["Seen", "missing_decoder", "read_frame"]

Array = npt.NDArray[Any]
Span = tuple[int, int]
Place = tuple[int, Span, Span]


class Seen(NamedTuple):
    """A file as the scan saw it; another one is refused."""

    path: str
    size: int
    mtime_ns: int
    offset: int
    """Start of the pixel data in bytes."""


def missing_decoder(syntax: str) -> str | None:
    """Return what it takes to decode a transfer syntax here, or None where nothing is missing."""
    codec = CODECS.get(syntax)
    if codec is None:
        return f"{UID(syntax).name} has no decoder: transcode the files first (dcmtk's dcmdjpeg, gdcmconv)"
    if codec.available:
        return None
    return f'{codec.name} needs {codec.package}: pip install "{codec.package}"'


def read_frame(seen: Seen, layout: Layout, place: Place, rescale: tuple[float, float], out: Array) -> None:
    """Fill an array with the rescaled values of a part of one frame.

    Parameters
    ----------
    seen : Seen
        The file, as the scan saw it.
    layout : Layout
        How the values lie.
    place : tuple
        Frame number, then (start, stop) of rows and of columns.
    rescale : (slope, intercept)
        What makes output values of stored ones.
    out : ndarray, shape (y, x) or (y, x, c)
        C-contiguous; its dtype is that of the stack.

    Raises
    ------
    SourceError
        ``file-vanished``, ``file-changed``, ``truncated-file``, ``missing-decoder``, ``undecodable``,
        ``value-overflow``.
    """
    with _opened(seen) as descriptor:
        if is_plain(layout, out.dtype, rescale, place[2]):
            frame, (y0, _), _ = place
            start = seen.offset + frame * layout.frame_bytes + y0 * layout.columns * out.itemsize
            if not read_plain(descriptor, start, layout, rescale, out):
                raise _refuse(seen.path, "truncated-file", "a file ends within its pixel data")
        else:
            stored = _read_open(descriptor, seen.path, seen.offset, layout, place)
            out[:] = rescaled(stored, *rescale, out.dtype)


@contextmanager
def _opened(seen: Seen) -> Iterator[int]:
    path = seen.path
    try:
        descriptor = open_regular(path)
    except OSError as error:
        raise _refuse(path, "file-vanished", "a file cannot be opened", error.strerror or "") from error
    try:
        about = os.fstat(descriptor)
        if (about.st_size, about.st_mtime_ns) != (seen.size, seen.mtime_ns):
            raise _refuse(path, "file-changed", "a file changed since the scan", fix="scan again")
        yield descriptor
    except OSError as error:
        raise _refuse(path, "unreadable", "a file cannot be read", error.strerror or "") from error
    finally:
        os.close(descriptor)


def _read_open(descriptor: int, path: str, offset: int, layout: Layout, place: Place) -> Array:
    frame, (y0, y1), (x0, x1) = in_file(layout, place)
    if layout.compressed:
        whole = _decoded(descriptor, path, offset, layout, frame)
        return clean_bits(np.ascontiguousarray(whole[y0:y1, x0:x1]), layout)
    if layout.samples > 1:
        data = _bytes(descriptor, path, layout, offset + frame * layout.frame_bytes, layout.frame_bytes)
        return clean_bits(colour_frame(data, layout)[y0:y1, x0:x1], layout)
    row_bytes = layout.file_columns * layout.bits_allocated // 8
    start = offset + frame * layout.frame_bytes + y0 * row_bytes
    data = _bytes(descriptor, path, layout, start, (y1 - y0) * row_bytes)
    dtype = stored_dtype(layout).newbyteorder("<" if layout.little_endian else ">")
    rows = np.frombuffer(data, dtype).reshape(y1 - y0, layout.file_columns)[:, x0:x1]
    return clean_bits(rows.astype(dtype.newbyteorder("="), copy=False), layout)


def _bytes(descriptor: int, path: str, layout: Layout, start: int, count: int) -> bytes:
    if layout.deflated:
        data = _inflated(descriptor, start, count, path)
    else:
        data = os.pread(descriptor, count, start)
    if len(data) < count:
        raise _refuse(path, "truncated-file", "a file ends within its pixel data")
    return data


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
    codec = CODECS[layout.transfer_syntax]
    ybr = layout.photometric.startswith("YBR_FULL")
    shape = Shape(
        layout.file_rows, layout.file_columns, layout.samples, layout.bits_allocated, layout.signed, ybr
    )
    about = os.fstat(descriptor)
    identity = (path, about.st_size, about.st_mtime_ns)
    try:
        stream = compressed_frame(descriptor, identity, offset, layout.file_frames, frame)
        array = decode_frame(codec, stream, shape)
    except (DecodeError, DamagedError) as error:
        why = f"{codec.name} data, frame {frame}: {error}"
        raise _refuse(
            path, "undecodable", "the pixels cannot be decoded", why, "the file is damaged"
        ) from None
    array = array.astype(stored_dtype(layout), copy=False)
    return to_rgb(array, layout) if ybr and not codec.rgb else array


def _refuse(path: str, kind: str, what: str, why: str = "", fix: str = "") -> SourceError:
    return SourceError(what, kind=kind, where=Path(path).name, why=why, fix=fix)
