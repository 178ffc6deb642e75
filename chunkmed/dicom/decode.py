"""From bytes to stored values: one frame at a time, headers never parsed again."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom.uid import UID

from chunkmed.dicom.child import DecodeError
from chunkmed.dicom.children import Decoding, decoding
from chunkmed.dicom.codecs import CODECS, Shape
from chunkmed.dicom.colour import colour_rows, colour_spans, to_rgb
from chunkmed.dicom.encapsulated import DamagedError, compressed_frame
from chunkmed.dicom.headers import Layout
from chunkmed.dicom.mosaic import in_file
from chunkmed.dicom.plain import is_plain, read_plain
from chunkmed.dicom.values import clean_bits, rescaled, stored_dtype
from chunkmed.dicom.walk import open_regular
from chunkmed.errors import SourceError
from chunkmed.private import file_identifier

__all__ = ["Plane", "Seen", "missing_decoder", "read_planes"]

Array = npt.NDArray[Any]
Span = tuple[int, int]
Place = tuple[int, Span, Span]
_INFLATED_BYTES = 2**20
#: A compressed frame may be this much longer than an uncompressed one: colour profiles, comments.
_STREAM_FACTOR, _STREAM_BYTES = 4, 2**22


class Seen(NamedTuple):
    """A file as the scan saw it; another one is refused."""

    path: str
    size: int
    mtime_ns: int
    offset: int
    """Start of the pixel data in bytes."""


class Plane(NamedTuple):
    """A part of one frame that is wanted, and where it goes."""

    seen: Seen
    layout: Layout
    """How the values lie."""
    place: Place
    """Frame number, then (start, stop) of rows and of columns."""
    rescale: tuple[float, float]
    """Slope and intercept: what makes output values of stored ones."""
    channels: slice
    """Which colours, where there are some."""
    out: Array
    """Shape (y, x) or (y, x, c); its dtype is that of the stack."""


def missing_decoder(syntax: str) -> str | None:
    """Return what it takes to decode a transfer syntax here, or None where nothing is missing."""
    codec = CODECS.get(syntax)
    if codec is None:
        return f"{UID(syntax).name} has no decoder: transcode the files first (dcmtk's dcmdjpeg, gdcmconv)"
    if codec.available:
        return None
    return f'{codec.name} needs {codec.package}: pip install "{codec.package}"'


def read_planes(planes: Iterable[Plane]) -> None:
    """Fill the arrays of planes; a frame is decoded while the next is read and the last one rescaled.

    Raises
    ------
    SourceError
        ``file-vanished``, ``file-changed``, ``truncated-file``, ``missing-decoder``, ``undecodable``,
        ``value-overflow``.
    """
    with decoding() as decoder:
        waiting: Plane | None = None
        for plane in planes:
            if not plane.layout.compressed:
                _read_uncompressed(plane)
                continue
            _send(decoder, plane)
            if waiting is not None:
                _receive(decoder, waiting)
            waiting = plane
        if waiting is not None:
            _receive(decoder, waiting)


def _read_uncompressed(plane: Plane) -> None:
    seen, layout, place, rescale, _, out = plane
    with _opened(seen) as descriptor:
        if out.flags.c_contiguous and is_plain(layout, out.dtype, rescale, place[2]):
            frame, (y0, _), _ = place
            start = seen.offset + frame * layout.frame_bytes + y0 * layout.columns * out.itemsize
            if not read_plain(descriptor, start, layout, rescale, out):
                raise _refuse(seen, "truncated-file", "a file ends within its pixel data")
        else:
            _put(plane, _stored(descriptor, plane))


def _put(plane: Plane, stored: Array) -> None:
    """Make output values of stored ones in their place."""
    if (lut := plane.layout.lut) is not None:
        stored = lut.apply(stored)
    try:
        values = rescaled(stored, *plane.rescale, plane.out.dtype)
    except SourceError as error:
        error.file = file_identifier(plane.seen.path)
        raise
    plane.out[:] = values if plane.out.ndim == 2 else values[..., plane.channels]


@contextmanager
def _opened(seen: Seen) -> Iterator[int]:
    try:
        descriptor = open_regular(seen.path)
    except OSError as error:
        raise _refuse(seen, "file-vanished", "a file cannot be opened", error.strerror or "") from error
    try:
        about = os.fstat(descriptor)
        if (about.st_size, about.st_mtime_ns) != (seen.size, seen.mtime_ns):
            raise _refuse(seen, "file-changed", "a file changed since the scan", fix="scan again")
        yield descriptor
    except OSError as error:
        raise _refuse(seen, "unreadable", "a file cannot be read", error.strerror or "") from error
    finally:
        os.close(descriptor)


def _stored(descriptor: int, plane: Plane) -> Array:
    """Return the uncompressed values that are wanted, as they are stored."""
    seen, layout = plane.seen, plane.layout
    frame, (y0, y1), (x0, x1) = in_file(layout, plane.place)
    start = seen.offset + frame * layout.frame_bytes
    if layout.samples > 1:
        spans = colour_spans(layout, (y0, y1))
        planes = b"".join(_bytes(descriptor, seen, layout, start + at, count) for at, count in spans)
        return clean_bits(colour_rows(planes, layout, y1 - y0)[:, x0:x1], layout)
    row_bytes = layout.file_columns * layout.bits_allocated // 8
    data = _bytes(descriptor, seen, layout, start + y0 * row_bytes, (y1 - y0) * row_bytes)
    dtype = stored_dtype(layout).newbyteorder("<" if layout.little_endian else ">")
    rows = np.frombuffer(data, dtype).reshape(y1 - y0, layout.file_columns)[:, x0:x1]
    return clean_bits(rows.astype(dtype.newbyteorder("="), copy=False), layout)


def _bytes(descriptor: int, seen: Seen, layout: Layout, start: int, count: int) -> bytes | bytearray:
    if not layout.words:
        return _as_they_lie(descriptor, seen, layout, start, count)
    # Whole words, whose bytes change places: a frame may begin and end within one.
    before, after = (start - seen.offset) % 2, (start + count - seen.offset) % 2
    data = _as_they_lie(descriptor, seen, layout, start - before, before + count + after)
    return np.frombuffer(data, "u2").byteswap().tobytes()[before : before + count]


def _as_they_lie(descriptor: int, seen: Seen, layout: Layout, start: int, count: int) -> bytes | bytearray:
    inflated = layout.deflated
    data = _inflated(descriptor, start, count, seen) if inflated else os.pread(descriptor, count, start)
    if len(data) < count:
        raise _refuse(seen, "truncated-file", "a file ends within its pixel data")
    return data


def _inflated(descriptor: int, start: int, count: int, seen: Seen) -> bytearray:
    # The stream has no index: inflate up to the end of the frame, and no further.
    out, stop = bytearray(), start + count
    inflated = 0
    try:
        for part in _inflating(descriptor):
            out += part[max(0, start - inflated) : stop - inflated]
            inflated += len(part)
            if inflated >= stop:
                break
    except zlib.error as error:
        raise _refuse(seen, "undecodable", "a deflated file cannot be inflated") from error
    return out


def _inflating(descriptor: int) -> Iterator[bytes]:
    """Yield the inflated data set in parts."""
    # (0002,0000) UL 4, always the first element: the length of the rest of the file meta group.
    at = 144 + int.from_bytes(os.pread(descriptor, 4, 140), "little")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    while not inflater.eof and (packed := os.pread(descriptor, _INFLATED_BYTES, at)):
        at += len(packed)
        while packed:
            yield inflater.decompress(packed, _INFLATED_BYTES)
            packed = inflater.unconsumed_tail


def _send(decoder: Decoding, plane: Plane) -> None:
    """Read the stream of a compressed frame and have it decoded."""
    seen, layout = plane.seen, plane.layout
    if missing := missing_decoder(layout.transfer_syntax):
        raise _refuse(seen, "missing-decoder", "the pixels cannot be decoded", missing)
    frame, _, _ = in_file(layout, plane.place)
    with _opened(seen) as descriptor, _undecodable(plane):
        identity = (seen.path, seen.size, seen.mtime_ns)
        most = _STREAM_FACTOR * layout.frame_bytes + _STREAM_BYTES
        stream = compressed_frame(descriptor, identity, seen.offset, layout.file_frames, frame, most)
        decoder.send(CODECS[layout.transfer_syntax], stream, _shape(layout))


def _receive(decoder: Decoding, plane: Plane) -> None:
    """Take a decoded frame and put what is wanted of it into its place."""
    layout = plane.layout
    with _undecodable(plane):
        whole = decoder.receive().astype(stored_dtype(layout), copy=False)
    if _is_ybr(layout) and not CODECS[layout.transfer_syntax].rgb:
        whole = to_rgb(whole, layout)
    _, (y0, y1), (x0, x1) = in_file(layout, plane.place)
    _put(plane, clean_bits(np.ascontiguousarray(whole[y0:y1, x0:x1]), layout))


def _is_ybr(layout: Layout) -> bool:
    return layout.photometric.startswith("YBR_FULL")


def _shape(layout: Layout) -> Shape:
    rows, columns, bits = layout.file_rows, layout.file_columns, layout.bits_allocated
    return Shape(rows, columns, layout.samples, bits, layout.signed, _is_ybr(layout))


@contextmanager
def _undecodable(plane: Plane) -> Iterator[None]:
    try:
        yield
    except (DecodeError, DamagedError) as error:
        name, frame = CODECS[plane.layout.transfer_syntax].name, in_file(plane.layout, plane.place)[0]
        why = f"{name} data, frame {frame}: {error}"
        what, fix = "the pixels cannot be decoded", "the file is damaged"
        raise _refuse(plane.seen, "undecodable", what, why, fix) from None


def _refuse(seen: Seen, kind: str, what: str, why: str = "", fix: str = "") -> SourceError:
    return SourceError(what, kind=kind, file=file_identifier(seen.path), why=why, fix=fix)
