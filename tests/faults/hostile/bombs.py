"""Files that ask for far more than they hold: one function each, most below a megabyte."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.hostile import build
from faults.hostile.build import (
    BIG,
    DEFLATED,
    IMPLICIT,
    ITEM,
    J2K,
    JPEG,
    JPEG_LS,
    RLE,
    UNDEFINED,
    compressed,
    deflated,
    element,
    file_head,
    file_of,
    image,
    j2k,
    jpeg_head,
    jpeg_ls,
    jpeg_scan,
    mark,
    nested,
    rle_frame,
    zero_runs,
)

Bomb = Callable[[Path], None]
_BYTE = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
_TIME = {"FrameIncrementPointer": struct.pack("<HH", 0x18, 0x1063), "FrameTime": "10"}
_GROUPS = 0x52009230
_MANY = 300_000
#: As many samples as a frame may have that expands without bounds.
_WIDEST = (5700, 5800)
_SAMPLES = 5700 * 5800
_WIDE = {"Rows": 5700, "Columns": 5800}
_ISOTOPE = 0x00540016
_PET = {
    "Modality": "PT", "Units": "BQML", "DecayCorrection": "ADMIN", "CorrectedImage": "DECY\\ATTN",
    "PatientWeight": "70",
}  # fmt: skip


def bombs() -> dict[str, Bomb]:
    """Return every bomb by its name: what writes it to a path."""
    found: dict[str, Bomb] = {name: _writer(make) for name, make in _BYTES.items()}
    return found | _PLACED


def _writer(make: Callable[[], bytes]) -> Bomb:
    return lambda path: path.write_bytes(make()) and None


def _deflated_image(pixels: Iterator[bytes] | list[bytes], **tags: object) -> bytes:
    head = image(b"", length=tags.pop("length", 0xFFFFFFFE), **tags)
    return file_head(DEFLATED) + deflated([head, *pixels])


def _zeros(megabytes: int) -> list[bytes]:
    return [bytes(1 << 20)] * megabytes


def _with_multi(count: int, streams: list[bytes], syntax: str, **tags: object) -> bytes:
    return compressed(streams, syntax, NumberOfFrames=str(count), **_TIME, **tags)


def _items(tag: int, count: int) -> bytes:
    value = mark(ITEM, 0) * count
    return element(tag, "SQ", value)


_BYTES: dict[str, Callable[[], bytes]] = {
    "sequences in sequences": lambda: file_of(image(before=nested(2_000))),
    "sequences of known length": lambda: file_of(image(before=nested(2_000, defined=True))),
    "implicit sequences": lambda: file_of(
        image(before=nested(2_000, implicit=True), implicit=True), IMPLICIT
    ),
    "big-endian sequences": lambda: file_of(image(before=nested(2_000, order=">"), order=">"), BIG),
    "deflated sequences": lambda: file_of(image(before=nested(50_000)), DEFLATED),
    "unknown in unknown": lambda: file_of(image(before=nested(2_000, 0x00091010, vr="UN"))),
    "a hundred thousand sequences": lambda: file_of(image(before=nested(100_000))),
    "sequences in functional groups": lambda: file_of(
        image(extra={_GROUPS: nested(2_000, _GROUPS)}, NumberOfFrames="1")
    ),
    "4 GiB element": lambda: file_of(image(before=element(0x00091001, "OB", b"ab", 0xFFFFFFF0))),
    "4 GiB sequence": lambda: file_of(image(before=element(0x00081140, "SQ", b"", 0xFFFFFFF0))),
    "4 GiB item": lambda: file_of(
        image(before=element(0x00081140, "SQ", mark(ITEM, 0xFFFFFFF0), UNDEFINED))
    ),
    "4 GiB file meta": lambda: file_of(b"")[:132] + element(0x00020001, "OB", b"\0\1", 0xFFFFFFF0),
    "4 GiB of pixels": lambda: file_of(image(Rows=65535, Columns=32768, length=0xFFFFFFFE)),
    "4 GiB of pixels, inflated": lambda: _deflated_image(_zeros(4), Rows=46340, Columns=46340),
    "inflates without end": lambda: file_head(DEFLATED)
    + deflated([element(0x00091001, "OB", b"", 0xF0000000), *_zeros(80)]),
    "inflates to pixels": lambda: _deflated_image(_zeros(70), Rows=8_500, Columns=8_500),
    "inflates to colours": lambda: _deflated_image(
        _zeros(70), Rows=7_000, Columns=7_000, SamplesPerPixel=3, PhotometricInterpretation="RGB",
        PlanarConfiguration=0, **_BYTE,
    ),
    "inflates to frames": lambda: _deflated_image(
        _zeros(4), NumberOfFrames="50000", Rows=1024, Columns=1024, **_TIME
    ),
    "inflates to a billion frames": lambda: _deflated_image(
        _zeros(1), NumberOfFrames="1000000000", Rows=1, Columns=1, **_TIME
    ),
    "inflates to elements": lambda: file_head(DEFLATED) + deflated([element(0x00091001, "LO") * 1_000_000]),
    "many elements": lambda: file_of(image(before=element(0x00091001, "LO") * _MANY)),
    "many elements, deflated": lambda: file_of(image(before=element(0x00091001, "LO") * 19_900), DEFLATED),
    "many items, deflated": lambda: file_of(image(before=_items(0x00081140, 19_900)), DEFLATED),
    "many items of what is read": lambda: file_of(
        image(extra={_ISOTOPE: _items(_ISOTOPE, _MANY)}, **_PET)
    ),
    "sequences in what is read": lambda: file_of(
        image(extra={_ISOTOPE: nested(2_000, _ISOTOPE)}, **_PET)
    ),
    "sequences of known length in what is read": lambda: file_of(
        image(extra={_ISOTOPE: nested(2_000, _ISOTOPE, defined=True)}, **_PET)
    ),
    "sequences in what is called unknown": lambda: file_of(
        image(
            extra={_ISOTOPE: element(_ISOTOPE, "UN", _item(nested(2_000, _ISOTOPE, implicit=True)))}, **_PET
        )
    ),
    "as many items as may be": lambda: file_of(image(extra={_ISOTOPE: _items(_ISOTOPE, 19_900)}, **_PET)),
    "numbers that are sequences": lambda: file_of(
        image(extra={0x00180050: element(0x00180050, "SQ", mark(ITEM, 0) * _MANY)})
    ),
    "many items": lambda: file_of(image(before=_items(0x00081140, _MANY))),
    "many items, one of undefined length": lambda: file_of(
        image(before=element(0x00081140, "SQ", mark(ITEM, 0) * _MANY + mark(build.SEQUENCE_END), UNDEFINED))
    ),
    "many functional groups": lambda: file_of(
        image(extra={_GROUPS: _items(_GROUPS, _MANY)}, NumberOfFrames=str(_MANY))
    ),
    "groups of one byte frames": lambda: file_of(
        image(
            bytes(_MANY), extra={_GROUPS: _items(_GROUPS, _MANY)}, NumberOfFrames=str(_MANY), Rows=1,
            Columns=1, **_BYTE,
        )
    ),
    "frames beyond the file": lambda: file_of(image(NumberOfFrames="2147483647", **_TIME)),
    "frames of one byte": lambda: file_of(
        image(bytes(900_000), NumberOfFrames="900000", Rows=1, Columns=1, **_BYTE, **_TIME)
    ),
    "frames by a vector": lambda: file_of(
        image(
            bytes(32_000), NumberOfFrames="32000", Rows=1, Columns=1, **_BYTE,
            FrameIncrementPointer=struct.pack("<HH", 0x18, 0x1065), FrameTimeVector="1\\" * 31_999 + "1",
        )
    ),
    "frames that are not there": lambda: _with_multi(2_000_000_000, [j2k(8, 8)], J2K),
    "frames of no bytes": lambda: _with_multi(90_000, [b""] * 90_000, RLE),
    "a frame in many fragments": lambda: compressed([b""] * 200_000, RLE),
    "offsets of 4 GiB": lambda: _with_multi(
        3, [rle_frame([zero_runs(64)])] * 2, RLE, table=struct.pack("<III", 0, 0xFFFFFFF0, 0xFFFFFFFF)
    ),
    "a wide frame": lambda: compressed([j2k(65535, 65535)], J2K, Rows=65535, Columns=65535, **_BYTE),
    "empty JPEG 2000": lambda: compressed([j2k(30_000, 30_000)], J2K, Rows=30_000, Columns=30_000, **_BYTE),
    "padded JPEG 2000": lambda: compressed(
        [j2k(16_000, 16_000) + bytes(1 << 20)], J2K, Rows=16_000, Columns=16_000, **_BYTE
    ),
    "the widest JPEG 2000": lambda: compressed([j2k(*_WIDEST)], J2K, **_WIDE, **_BYTE),
    "the widest JPEG 2000 of 16 bits": lambda: compressed([j2k(*_WIDEST, bits=16)], J2K, **_WIDE),
    "the widest JPEG 2000 of all levels": lambda: compressed(
        [j2k(*_WIDEST, levels=5)], J2K, **_WIDE, **_BYTE
    ),
    "the widest JPEG-LS": lambda: compressed(
        [jpeg_ls(*_WIDEST, b"\xff\x7f" * 500)], JPEG_LS, **_WIDE, **_BYTE
    ),
    "the widest RLE": lambda: compressed([rle_frame([zero_runs(_SAMPLES)])], RLE, **_WIDE, **_BYTE),
    "the widest JPEG": lambda: compressed(
        [jpeg_head(*_WIDEST) + jpeg_scan() + bytes(100) + b"\xff\xd9"], JPEG, **_WIDE, **_BYTE
    ),
    "the widest inflated": lambda: _deflated_image([bytes(_SAMPLES * 2)], **_WIDE),
    "frames of the widest": lambda: _with_multi(1000, [j2k(*_WIDEST)] * 1000, J2K, **_WIDE, **_BYTE),
    "JPEG 2000 wider than it says": lambda: compressed([j2k(60_000, 60_000)], J2K, **_BYTE),
    "JPEG 2000 in tiles of one pixel": lambda: compressed(
        [j2k(255, 255, tile=(1, 1), tiles=10_000)], J2K, Rows=255, Columns=255, **_BYTE
    ),
    "JPEG 2000 of many components": lambda: compressed([j2k(1024, 1024, components=16_384)], J2K, **_BYTE),
    "JPEG 2000 of many layers": lambda: compressed(
        [j2k(512, 512, levels=32, layers=65_535)], J2K, Rows=512, Columns=512, **_BYTE
    ),
    "empty JPEG-LS": lambda: compressed(
        [jpeg_ls(30_000, 30_000, b"\xff\x7f" * 2000)], JPEG_LS, Rows=30_000, Columns=30_000, **_BYTE
    ),
    "JPEG-LS wider than it says": lambda: compressed(
        [jpeg_ls(65_535, 65_535, b"\xff\x7f" * 2000)], JPEG_LS, **_BYTE
    ),
    "RLE longer than it says": lambda: compressed([rle_frame([zero_runs(10_000_000)])], RLE, **_BYTE),
    "RLE of one segment fifteen times": lambda: compressed(
        [rle_frame([zero_runs(4_000_000)] + [b""] * 14, [64] * 15)], RLE, **_BYTE
    ),
    "RLE of a wide frame": lambda: compressed(
        [rle_frame([zero_runs(30_000 * 30_000 // 128)])], RLE, Rows=30_000, Columns=30_000, **_BYTE
    ),
    "empty JPEG": lambda: compressed(
        [jpeg_head(30_000, 30_000) + jpeg_scan() + b"\xff\xd9"], JPEG, Rows=30_000, Columns=30_000, **_BYTE
    ),
    "JPEG wider than it says": lambda: compressed(
        [jpeg_head(65_500, 65_500) + jpeg_scan() + b"\xff\xd9"], JPEG, **_BYTE
    ),
    "JPEG of many scans": lambda: _scans(20_000),
    "JPEG of as many scans as may be": lambda: _scans(128),
    "text without end": lambda: file_of(
        image(before=element(0x00080005, "CS", b"ISO 2022 IR 87\\" * 4000))
    ),
    "numbers without end": lambda: file_of(image(PixelSpacing="1\\" * 32_000 + "1")),
    "digits without end": lambda: file_of(image(PixelSpacing="1" * 60_000, NumberOfFrames="9" * 60_000)),
    "spaces without end": lambda: file_of(image(PixelSpacing=" " * 60_000 + "x")),
    "planes without end": lambda: file_of(_turned(8_000)),
    "as many planes as may be": lambda: file_of(_turned(2_048)),
    "as many frames as may be": lambda: file_of(
        image(bytes(2_048), NumberOfFrames="2048", Rows=1, Columns=1, **_BYTE, **_TIME)
    ),
}  # fmt: skip


def _scans(count: int) -> bytes:
    """Return a progressive JPEG that is gone over again and again."""
    scans = b"".join(jpeg_scan(spectral=(1, 1, 0x10 * (i % 2))) + b"\x7f" for i in range(count - 1))
    stream = jpeg_head(2048, 2048, marker=0xC2) + jpeg_scan(spectral=(0, 0, 0)) + bytes(90) + scans
    return compressed([stream + b"\xff\xd9"], JPEG, Rows=2048, Columns=2048, **_BYTE)


def _turned(count: int) -> bytes:
    """Return an enhanced image in which each frame lies in a plane of its own."""
    frames = []
    for i in range(count):
        plane = element(0x00200037, "DS", f"1\\0\\0\\0\\0.{i:05d}\\1 ".encode()[:40].ljust(24))
        frames.append(_item(element(0x00209116, "SQ", _item(plane))))
    groups = element(_GROUPS, "SQ", b"".join(frames))
    return image(bytes(count), extra={_GROUPS: groups}, NumberOfFrames=str(count), Rows=1, Columns=1, **_BYTE)


def _item(value: bytes) -> bytes:
    return mark(ITEM, len(value)) + value


def _sparse(make: Callable[[], bytes], size: int) -> Bomb:
    """Return what writes a file that says to be long, and takes no room on the disk."""

    def write(path: Path) -> None:
        path.write_bytes(make())
        os.truncate(path, size)

    return write


_PLACED: dict[str, Bomb] = {
    "a sparse file of 64 GiB, one frame": _sparse(
        lambda: file_of(image(mark(ITEM) + mark(ITEM, 0xFFFFFFF0), length=UNDEFINED), J2K), 1 << 36
    ),
    "a sparse file of 64 GiB, empty fragments": _sparse(
        lambda: file_of(image(mark(ITEM) + mark(ITEM, 0x1000), length=UNDEFINED), RLE), 1 << 36
    ),
    "a sparse file of 2 GiB of colours": _sparse(
        lambda: file_of(
            image(
                b"", length=3 * 26_000 * 26_000, Rows=26_000, Columns=26_000, SamplesPerPixel=3,
                PhotometricInterpretation="RGB", PlanarConfiguration=0, **_BYTE,
            )
        ),
        1 << 31,
    ),
    "a sparse file that is deflated": _sparse(
        lambda: _deflated_image(_zeros(1), Rows=700, Columns=700), 1 << 36
    ),
    "a sparse file without elements": _sparse(lambda: file_of(b""), 1 << 36),
}  # fmt: skip
