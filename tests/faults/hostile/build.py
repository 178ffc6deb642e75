"""DICOM files by hand: bytes that no writer would give."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

EXPLICIT, IMPLICIT, BIG, DEFLATED = (f"1.2.840.10008.1.2{end}" for end in (".1", "", ".2", ".1.99"))
RLE = "1.2.840.10008.1.2.5"
JPEG, LOSSLESS, JPEG_LS, J2K = (f"1.2.840.10008.1.2.4.{n}" for n in (50, 70, 80, 90))
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"])
_CT = "1.2.840.10008.5.1.4.1.1.2"
#: Keyword -> tag, VR. No dictionary of a reader under test is asked.
_TAGS = {
    "ImageType": (0x00080008, "CS"),
    "SOPClassUID": (0x00080016, "UI"),
    "SOPInstanceUID": (0x00080018, "UI"),
    "Modality": (0x00080060, "CS"),
    "PatientWeight": (0x00101030, "DS"),
    "CorrectedImage": (0x00280051, "CS"),
    "Units": (0x00541001, "CS"),
    "DecayCorrection": (0x00541102, "CS"),
    "FrameTime": (0x00181063, "DS"),
    "FrameTimeVector": (0x00181065, "DS"),
    "SeriesInstanceUID": (0x0020000E, "UI"),
    "InstanceNumber": (0x00200013, "IS"),
    "ImagePositionPatient": (0x00200032, "DS"),
    "ImageOrientationPatient": (0x00200037, "DS"),
    "SamplesPerPixel": (0x00280002, "US"),
    "PhotometricInterpretation": (0x00280004, "CS"),
    "PlanarConfiguration": (0x00280006, "US"),
    "NumberOfFrames": (0x00280008, "IS"),
    "FrameIncrementPointer": (0x00280009, "AT"),
    "Rows": (0x00280010, "US"),
    "Columns": (0x00280011, "US"),
    "PixelSpacing": (0x00280030, "DS"),
    "BitsAllocated": (0x00280100, "US"),
    "BitsStored": (0x00280101, "US"),
    "HighBit": (0x00280102, "US"),
    "PixelRepresentation": (0x00280103, "US"),
    "GridFrameOffsetVector": (0x3004000C, "DS"),
}
_IMAGE: dict[str, Any] = {
    "SOPClassUID": _CT,
    "SOPInstanceUID": "1.2.3.4",
    "Modality": "CT",
    "SeriesInstanceUID": "1.2.3",
    "ImagePositionPatient": "0\\0\\0",
    "ImageOrientationPatient": "1\\0\\0\\0\\1\\0",
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "Rows": 8,
    "Columns": 8,
    "PixelSpacing": "1\\1",
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
    "PixelRepresentation": 0,
}


def element(
    tag: int, vr: str, value: bytes = b"", length: int | None = None, order: str = "<", implicit: bool = False
) -> bytes:
    """Return one element; its length may say something else than its value."""
    length = len(value) if length is None else length
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if implicit:
        return head + struct.pack(order + "I", length) + value
    if vr in _LONG:
        return head + vr.encode() + b"\0\0" + struct.pack(order + "I", length) + value
    return head + vr.encode() + struct.pack(order + "H", length & 0xFFFF) + value


def mark(tag: int, length: int = 0, order: str = "<") -> bytes:
    """Return an item's beginning, or the end of an item or a sequence."""
    return struct.pack(order + "HHI", tag >> 16, tag & 0xFFFF, length)


def nested(depth: int, tag: int = 0x00081140, *, vr: str = "SQ", defined: bool = False, **form: Any) -> bytes:
    """Return sequences in sequences."""
    order = form.get("order", "<")
    if defined:
        value = b""
        for _ in range(depth):
            value = element(tag, vr, mark(ITEM, len(value), order) + value, **form)
        return value
    begin = element(tag, vr, b"", UNDEFINED, **form) + mark(ITEM, UNDEFINED, order)
    return begin * depth + (mark(ITEM_END, 0, order) + mark(SEQUENCE_END, 0, order)) * depth


def image(pixels: bytes = bytes(128), *, order: str = "<", implicit: bool = False, **tags: Any) -> bytes:
    """Return a data set: an image of 8 x 8, but for what is given by keyword.

    ``before`` is put before all, ``extra`` (tag -> bytes) in its place, ``length`` is what the pixel
    data say to be, a keyword of None is left out.
    """
    before, length = tags.pop("before", b""), tags.pop("length", None)
    extra: Mapping[int, bytes] = tags.pop("extra", {})
    parts = dict(extra)
    for keyword, value in (_IMAGE | tags).items():
        tag, vr = _TAGS[keyword]
        if value is not None:
            parts[tag] = element(tag, vr, _packed(value, order), None, order, implicit)
    body = b"".join(parts[tag] for tag in sorted(parts))
    vr = "OB" if length == UNDEFINED else "OW"
    return before + body + element(0x7FE00010, vr, pixels, length, order, implicit)


def _packed(value: Any, order: str) -> bytes:
    if isinstance(value, int):
        return struct.pack(order + "H", value)
    raw = value if isinstance(value, bytes) else value.encode()
    return raw + (b"\0" if raw[:1].isdigit() and raw.count(b".") > 2 else b" ") * (len(raw) % 2)


def file_of(body: bytes, syntax: str = EXPLICIT) -> bytes:
    """Return a file with preamble and file meta information."""
    meta = element(0x00020002, "UI", _packed(_CT, "<")) + element(0x00020010, "UI", _packed(syntax, "<"))
    if syntax == DEFLATED:
        body = deflated([body])
    return bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta + body


def file_head(syntax: str) -> bytes:
    """Return a file that ends where its data set begins."""
    return file_of(b"", syntax) if syntax != DEFLATED else file_of(b"", DEFLATED)[: -len(deflated([b""]))]


def deflated(parts: Iterable[bytes]) -> bytes:
    """Return one deflate stream."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return b"".join([packer.compress(part) for part in parts]) + packer.flush()


def fragments(streams: Iterable[bytes], table: bytes = b"") -> bytes:
    """Return the value of encapsulated pixel data: offset table, a fragment each, end mark."""
    items = [table, *(stream + b"\0" * (len(stream) % 2) for stream in streams)]
    return b"".join(mark(ITEM, len(item)) + item for item in items) + mark(SEQUENCE_END)


def compressed(streams: Iterable[bytes], syntax: str, table: bytes = b"", **tags: Any) -> bytes:
    """Return a file with encapsulated frames."""
    return file_of(image(fragments(streams, table), length=UNDEFINED, **tags), syntax)


def rle_frame(segments: Iterable[bytes], offsets: list[int] | None = None) -> bytes:
    """Return an RLE frame of these segments."""
    parts, places, at = list(segments), [], 64
    for part in parts:
        places.append(at)
        at += len(part)
    places = (offsets if offsets is not None else places)[:15]
    return struct.pack("<16I", len(parts), *places, *[0] * (15 - len(places))) + b"".join(parts)


def zero_runs(count: int) -> bytes:
    """Return an RLE segment of so many zeros: two bytes for 128 of them."""
    whole, rest = divmod(count, 128)
    return b"\x81\0" * whole + (bytes([257 - rest, 0]) if rest > 1 else b"\0\0" * rest)


def jpeg_head(height: int, width: int, components: int = 1, *, marker: int = 0xC0, bits: int = 8) -> bytes:
    """Return the start of a JPEG stream: tables of nothing, a frame of any size."""
    parts = b"".join(bytes([i + 1, 0x11, 0]) for i in range(components))
    frame = struct.pack(">BHHB", bits, height, width, components) + parts
    tables = b"\xff\xdb\0\x43\0" + b"\1" * 64 + b"\xff\xc4\0\x14\0" + b"\1" + bytes(15) + b"\0"
    tables += b"\xff\xc4\0\x14\x10" + b"\1" + bytes(15) + b"\0"
    return b"\xff\xd8" + tables + b"\xff" + bytes([marker]) + struct.pack(">H", len(frame) + 2) + frame


def jpeg_scan(components: int = 1, *, spectral: tuple[int, int, int] = (0, 63, 0)) -> bytes:
    """Return the head of a scan."""
    parts = b"".join(bytes([i + 1, 0]) for i in range(components))
    body = bytes([components]) + parts + bytes(spectral)
    return b"\xff\xda" + struct.pack(">H", len(body) + 2) + body


def jpeg_ls(height: int, width: int, data: bytes, bits: int = 8) -> bytes:
    """Return a JPEG-LS stream of one component."""
    frame = struct.pack(">BHHB", bits, height, width, 1) + b"\1\x11\0"
    scan = b"\1\1\0\0\0\0"
    return (
        b"\xff\xd8\xff\xf7" + struct.pack(">H", len(frame) + 2) + frame
        + b"\xff\xda" + struct.pack(">H", len(scan) + 2) + scan + data + b"\xff\xd9"
    )  # fmt: skip


def j2k(
    height: int, width: int, *, tile: tuple[int, int] | None = None, components: int = 1, bits: int = 8,
    levels: int = 0, layers: int = 1, tiles: int = 1,
) -> bytes:  # fmt: skip
    """Return a JPEG 2000 codestream whose tiles are all empty."""
    tile_height, tile_width = tile or (height, width)
    size = struct.pack(">HIIIIIIIIH", 0, width, height, 0, 0, tile_width, tile_height, 0, 0, components)
    size += bytes([bits - 1, 1, 1]) * components
    coding = struct.pack(">BBHBBBBBB", 0, 0, layers, 0, levels, 4, 4, 0, 1)
    quant = bytes([0x40]) + bytes([bits << 3]) * (3 * levels + 1)
    out = b"\xff\x4f"
    for code, body in ((b"\xff\x51", size), (b"\xff\x52", coding), (b"\xff\x5c", quant)):
        out += code + struct.pack(">H", len(body) + 2) + body
    empty = b"\0" * (components * (levels + 1) * layers)
    for number in range(tiles):
        part = struct.pack(">HIBB", number, 14 + len(empty), 0, 1)
        out += b"\xff\x90" + struct.pack(">H", 10) + part + b"\xff\x93" + empty
    return out + b"\xff\xd9"
