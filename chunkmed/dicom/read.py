"""Read the header of one file: pixels untouched, their place remembered, damage turned into a reason."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset, read_partial
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from chunkmed.dicom.attributes import technical
from chunkmed.dicom.elements import LONG_VRS, PIXEL_TAGS, SHORT_VRS, Walked, is_sequence_tag, looks_like_vr
from chunkmed.dicom.frames import ambiguous_frames, frames_of
from chunkmed.dicom.headers import UNDEFINED_LENGTH, Frame, Header, Layout, layout_of, unsupported
from chunkmed.dicom.limits import current_limits, too_large, too_many_frames
from chunkmed.dicom.preflight import HostileError, check_structure
from chunkmed.dicom.quick import quick_dataset, recalled
from chunkmed.dicom.tags import SPECIFIC_TAGS, integer, number, text, value
from chunkmed.dicom.walk import open_regular
from chunkmed.errors import SourceError
from chunkmed.private import file_identifier

__all__ = ["NotAnImageError", "WholeHeader", "read_header", "read_whole_header"]

_LONG_VRS = (b"OB", b"OW", b"OF", b"OD", b"OV", b"OL", b"UN")
#: From group 0400 on the parser takes elements without a transfer syntax for those of the other byte order.
_TURNED = 0x04
#: Of floating-point pixels: their bits, and what marks padding.
_FLOATS = {
    "FloatPixelData": (32, "FloatPixelPaddingValue"),
    "DoubleFloatPixelData": (64, "DoubleFloatPixelPaddingValue"),
}
_DICOMDIR = "1.2.840.10008.1.3.10"
#: The data set, then keyword, start and length of the pixel data, and the bytes of their stream.
_Parsed = tuple[Any, str, int, int, int]


_Read = TypeVar("_Read")


class NotAnImageError(Exception):
    """The file holds no image that can be read; the message is the reason. Never leaves a scan."""


@dataclass(frozen=True)
class WholeHeader:
    """All that stands before the pixel data of a file, for objects that are no image series."""

    dataset: Any
    """pydicom's."""
    layout: Layout
    offset: int
    """Start of the pixel data's value, in the inflated stream when deflated."""
    limit: int
    """Size of that stream in bytes."""
    size: int
    mtime_ns: int


def read_whole_header(path: str, tags: Sequence[int] | None) -> WholeHeader:
    """Return the header of one file, by the same checks as those of images.

    Parameters
    ----------
    path : str
        The file.
    tags : sequence of int or None
        Those that are wanted, None for all.

    Raises
    ------
    NotAnImageError
        With a plain reason, whatever is wrong with the file.
    """

    def read(descriptor: int) -> WholeHeader:
        about = os.fstat(descriptor)
        with open(descriptor, "rb", closefd=False) as file:
            dataset, stream, limit = _parse(file, _check_start(file), about.st_size, tags)
            _, offset, _ = _pixel_element(stream, dataset)
        return WholeHeader(dataset, layout_of(dataset), offset, limit, about.st_size, about.st_mtime_ns)

    return _guarded(path, read)


def read_header(path: str) -> tuple[Header, tuple[Frame, ...]]:
    """Return what is kept of one file.

    Raises
    ------
    NotAnImageError
        With a plain reason, whatever is wrong with the file.
    """
    return _guarded(path, lambda descriptor: _read_open(path, descriptor))


def _guarded(path: str, read: Callable[[int], _Read]) -> _Read:
    try:
        descriptor = open_regular(path)
        try:
            return read(descriptor)
        finally:
            os.close(descriptor)
    except NotAnImageError:
        raise
    except OSError as error:
        raise NotAnImageError(f"cannot be read ({error.strerror or type(error).__name__})") from error
    except Exception as error:
        # pydicom's own messages may quote values of the file: only the kind of failure is told.
        raise NotAnImageError(f"damaged: its header cannot be parsed ({type(error).__name__})") from error


def _read_open(path: str, descriptor: int) -> tuple[Header, tuple[Frame, ...]]:
    about = os.fstat(descriptor)
    if about.st_size == 0:
        raise NotAnImageError("empty file")
    dataset, pixels, offset, length, limit = _quickly(descriptor, about.st_size) or _with_pydicom(
        descriptor, about.st_size
    )
    general, reason = _general(dataset, pixels)
    layout = general.layout
    if layout.bits_allocated == 8 and not layout.little_endian:
        layout = replace(layout, words=_in_words(descriptor, offset))
    _check_limits(layout, about.st_size)
    _check_size(layout, length, limit - offset)
    header = replace(
        general,
        path=path,
        size=about.st_size,
        mtime_ns=about.st_mtime_ns,
        pixel_offset=offset,
        layout=layout,
        series_uid=general.series_uid or f"none in {Path(path).parent}",
        instance_uid=value(dataset, "SOPInstanceUID", text) or "",
        problem=_problem(path, *reason),
    )
    frames = frames_of(dataset, header)
    if len(frames) != layout.frames:
        raise NotAnImageError(f"damaged: {len(frames)} frames described, {layout.frames} announced")
    return header, frames


def _quickly(descriptor: int, size: int) -> _Parsed | None:
    """Read a file that is as it should be; None for all others."""
    quick = quick_dataset(descriptor)
    if quick is None:
        return None
    dataset, walked = quick
    _check_sequences(walked, size)
    _check_image(dataset, True)
    return dataset, walked.pixels, walked.pixel_offset, walked.pixel_length, size


def _check_sequences(walked: Walked, size: int) -> None:
    """Look at sequences that pydicom will read: the walk stepped over what lies in them."""
    code = struct.Struct("<HH" if walked.little else ">HH").pack
    for tag, chunk in walked.chunks.items():
        if is_sequence_tag(tag) if walked.implicit else chunk[:2] in (b"SQ", b"UN"):
            stream = io.BytesIO(code(tag >> 16, tag & 0xFFFF) + chunk)
            form = {"implicit": walked.implicit, "little": walked.little}
            _checked(stream, 0, len(chunk) + 4, **form, file_bytes=size)


def _with_pydicom(descriptor: int, size: int) -> _Parsed:
    with open(descriptor, "rb", closefd=False) as file:
        preamble = _check_start(file)
        dataset, stream, limit = _parse(file, preamble, size)
        _check_image(dataset, preamble)
        return dataset, *_pixel_element(stream, dataset), limit


@recalled
def _general(dataset: Any, pixels: str) -> tuple[Header, tuple[str | None, str | None]]:
    """Return what the files of a series mostly share, and why its pixels or frames are of no use."""
    float_bits, padding = _FLOATS.get(pixels, (0, "PixelPaddingValue"))
    layout = layout_of(dataset, floating=float_bits > 0)
    image_type = value(dataset, "ImageType", text) or ""
    header = Header(
        path="",
        size=0,
        mtime_ns=0,
        pixel_offset=0,
        layout=layout,
        series_uid=value(dataset, "SeriesInstanceUID", text) or "",
        instance_uid="",
        frame_uid=value(dataset, "FrameOfReferenceUID", text) or "",
        sop_class=str(dataset.get("SOPClassUID", "")),
        modality=value(dataset, "Modality", text) or "",
        description=value(dataset, "SeriesDescription", text) or value(dataset, "ProtocolName", text) or "",
        image_type=image_type,
        padding=value(dataset, padding, number if float_bits else integer),
        technical=technical(dataset),
        problem=None,
    )
    reason = unsupported(dataset, layout, image_type, float_bits)
    return header, (reason, ambiguous_frames(dataset, layout.frames))


def _problem(path: str, reason: str | None, unclear: str | None) -> SourceError | None:
    if reason is None and unclear is None:
        return None
    what = "these images cannot be read" if reason else "the frames of this file cannot be placed"
    fix = "" if reason else 'say what they are: frames="t" or frames="z" (--frames t, --frames z)'
    return SourceError(
        what,
        kind="unsupported-object" if reason else "ambiguous-frames",
        file=file_identifier(path),
        why=reason or unclear or "",
        fix=fix,
    )


def _check_start(file: BinaryIO) -> bool:
    """Return whether the file has a DICOM preamble; refuse what cannot be DICOM at all."""
    start = file.read(132)
    file.seek(0)
    if start[128:132] == b"DICM":
        return True
    group = start[:2]
    if group not in (b"\x08\x00", b"\x02\x00", b"\x00\x08", b"\x00\x02"):
        raise NotAnImageError("not DICOM (no DICM preamble)")
    return False


def _parse(
    file: BinaryIO, preamble: bool, size: int, tags: Sequence[Any] | None = SPECIFIC_TAGS
) -> tuple[Any, BinaryIO, int]:
    """Return the data set, the stream standing at its pixel data, and the stream's size."""
    begin = 132 if preamble else 0
    start = _checked(file, begin, size, implicit=False, group=2)
    file.seek(begin)
    # Of the open file: by now another one may have its name.
    meta = FileMetaDataset(read_dataset(io.BytesIO(file.read(start - begin)), False, True))
    syntax = str(meta.get("TransferSyntaxUID", ""))
    if syntax == DeflatedExplicitVRLittleEndian:
        return _parse_deflated(meta, file, start, size, tags)
    _check_structure(file, start, size, syntax)
    file.seek(0)
    dataset = read_partial(file, _at_pixels, force=not preamble, specific_tags=_list(tags))
    return dataset, file, size


def _check_structure(
    file: BinaryIO, start: int, size: int, syntax: str, file_bytes: int | None = None
) -> None:
    file.seek(start)
    first = file.read(8)
    vr = first[4:6]
    # As the parser does: what stands there counts, not what was announced; where nothing was, a group that
    # none is called is one in the other byte order.
    turned = vr in LONG_VRS | SHORT_VRS and first[1] >= _TURNED
    little = syntax != ExplicitVRBigEndian if syntax else not turned
    implicit = not looks_like_vr(vr)
    _checked(file, start, size, implicit=implicit, little=little, file_bytes=file_bytes)


def _checked(
    file: BinaryIO,
    start: int,
    size: int,
    *,
    implicit: bool,
    little: bool = True,
    group: int | None = None,
    file_bytes: int | None = None,
) -> int:
    def read(at: int, count: int) -> bytes:
        file.seek(at)
        return file.read(count)

    try:
        form = {"implicit": implicit, "little": little}
        return check_structure(read, start, size, **form, group=group, file_bytes=file_bytes)
    except HostileError as error:
        raise NotAnImageError(f"damaged: {error}") from None


def _list(tags: Sequence[Any] | None) -> list[Any] | None:
    return None if tags is None else list(tags)


def _parse_deflated(
    meta: Any, file: BinaryIO, start: int, file_bytes: int, tags: Sequence[Any] | None
) -> tuple[Any, BinaryIO, int]:
    file.seek(start)
    most = current_limits().header_bytes
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    # As much is inflated as a header takes, and no more.
    body = inflater.decompress(file.read(most), most)
    stream = io.BytesIO(body)
    # More may follow than was inflated here; a short stream shows when it is read.
    size = len(body) if inflater.eof else 2**62
    _check_structure(stream, 0, size, meta.TransferSyntaxUID, file_bytes)
    stream.seek(0)
    dataset: Any = read_dataset(stream, False, True, stop_when=_at_pixels, specific_tags=_list(tags))
    dataset.file_meta = meta
    dataset.set_original_encoding(False, True)
    return dataset, stream, size


def _at_pixels(tag: int, vr: str | None, length: int) -> bool:  # noqa: ARG001
    return int(tag) in PIXEL_TAGS


@recalled
def _check_image(dataset: Any, preamble: bool) -> None:
    sop_class = value(dataset, "SOPClassUID", text)
    media = getattr(dataset.file_meta, "MediaStorageSOPClassUID", "")
    if _DICOMDIR in (sop_class, str(media)):
        raise NotAnImageError("a DICOMDIR (an index of files, no image)")
    size = value(dataset, "Rows", integer), value(dataset, "Columns", integer)
    is_image = sop_class is not None and all(part is not None and part > 0 for part in size)
    if is_image:
        return
    if sop_class is None:
        raise NotAnImageError(
            "no SOP class in it" if preamble else "not DICOM (no preamble and no SOP class)"
        )
    raise NotAnImageError(f"no image in it ({_class_name(sop_class) if preamble else 'no Rows and Columns'})")


def _class_name(uid: str) -> str:
    """Return what the standard calls a SOP class; a UID that it does not know may be anything."""
    name = UID(uid).name
    return name if name != uid else "an object that the standard does not name"


def _pixel_element(stream: BinaryIO, dataset: Any) -> tuple[str, int, int]:
    """Return the keyword, the start and the length in bytes of the pixel data's value."""
    implicit, little = dataset.original_encoding
    order = "<" if little else ">"
    head = stream.read(12)
    if len(head) < 8:
        raise NotAnImageError("truncated: it ends before the pixel data")
    group, element = struct.unpack(order + "HH", head[:4])
    keyword = PIXEL_TAGS.get(group << 16 | element)
    if keyword is None:
        raise NotAnImageError("no pixel data in it")
    if implicit or head[4:6] not in _LONG_VRS:
        stream.seek(-(len(head) - 8), io.SEEK_CUR)
        return keyword, stream.tell(), int(struct.unpack(order + "I", head[4:8])[0])
    if len(head) < 12:
        raise NotAnImageError("truncated: it ends before the pixel data")
    return keyword, stream.tell(), int(struct.unpack(order + "I", head[8:12])[0])


def _in_words(descriptor: int, offset: int) -> bool:
    """Whether the value that begins there, in an explicit big-endian file, is one of 16-bit words."""
    return os.pread(descriptor, 2, offset - 8) == b"OW"


def _check_limits(layout: Layout, file_bytes: int) -> None:
    """Refuse frames that a file of this size does not hold."""
    reason = too_many_frames(layout.file_frames, file_bytes)
    if reason is None and (layout.compressed or layout.deflated):
        samples = layout.file_rows * layout.file_columns * layout.samples
        reason = too_large(layout.frame_bytes, samples, layout.file_frames, file_bytes)
    if reason is not None:
        raise NotAnImageError(reason)


def _check_size(layout: Layout, length: int, left: int) -> None:
    if layout.compressed:
        if left < 16:
            raise NotAnImageError("truncated: it ends before the first compressed frame")
        return
    if length == UNDEFINED_LENGTH:
        raise NotAnImageError("damaged: uncompressed pixel data of undefined length")
    needed = (
        layout.file_rows * layout.file_columns * layout.samples * layout.bits_allocated * layout.file_frames
        + 7
    ) // 8
    if "422" in layout.photometric:
        needed = needed * 2 // 3
    there = min(left, length)
    if there < needed:
        raise NotAnImageError(f"truncated: {max(there, 0)} of {needed} bytes of pixel data")
