"""What may happen to a DICOM file: functions of its bytes, the other seeds and a random number."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

from faults.hostile.elements import Element, elements_of, syntax_place

Mutation = Callable[[bytes, Sequence[bytes], random.Random], bytes]

_ENDS = (
    ".1",
    "",
    ".2",
    ".1.99",
    *(f".4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 201, 203)),
    ".5",
    ".4.102",
)
SYNTAXES = tuple("1.2.840.10008.1.2" + end for end in _ENDS)
_LENGTHS = (0, 1, 2, 3, 7, 0x7F, 0xFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF)
_WORDS = (
    b"", b"0", b"-1", b"1", b"nan", b"inf", b"-inf", b"1e308", b"-1e308", b"1e-320", b"99999999999999999999",
    b"1\\2\\3", b"\\\\\\", b"0\\0\\0\\0\\0\\0", b"nan\\1\\0", b"4294967295", b"2147483648", b"65536",
    b"../../../../etc/passwd", b"\0\0\0\0", b"\xff\xfe\x00", b"\x1b$)C\x1b", b"1.2.840.10008.5.1.4.1.1.4",
    b"MONOCHROME1", b"PALETTE COLOR", b"YBR_FULL_422", b"RGB", b"ORIGINAL\\PRIMARY\\MOSAIC", b"235959.999999",
)  # fmt: skip
_NUMBERS = (0, 1, 2, 3, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 64, 255, 256, 32767, 32768, 65534, 65535)
_TAGS = (
    0x00280008, 0x00280010, 0x00280011, 0x00280002, 0x00280006, 0x00280100, 0x00280101, 0x00280102,
    0x00280103, 0x00280009, 0x00281052, 0x00281053, 0x00280120, 0x00200032, 0x00200037, 0x00280030,
    0x00181063, 0x00181065, 0x52009229, 0x52009230, 0x00283000, 0x30040000, 0x00080008, 0x00080005,
    0x00080016, 0x0020000D, 0x7FE00010, 0x7FE00008, 0x00180088, 0x00201041, 0x00209161, 0x00209162,
    0x00209163, 0x00291010, 0x0019100A, 0x00540016,
)  # fmt: skip
_CODES = {struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF) for tag in _TAGS for order in "<>"}
_VRS = (
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH "
    b"SL SQ SS ST SV TM UC UI UL UN UR US UT UV ZZ"
).split()


def mutate(seeds: Sequence[bytes], rng: random.Random) -> tuple[str, bytes]:
    """Return what was done and the bytes that came of it; mostly one thing, now and then several."""
    raw, done = rng.choice(seeds), []
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3, 6))):
        if not raw:
            # Cut to nothing by the one before: nothing is left to change.
            break
        mutation = rng.choice(MUTATIONS)
        raw = mutation(raw, seeds, rng)
        done.append(mutation.__name__)
    return "+".join(done), raw


def _header_end(raw: bytes) -> int:
    found = elements_of(raw)
    return max(1, min(found[-1].stop if found else len(raw), len(raw)))


def flip_bits(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    out, limit = bytearray(raw), _header_end(raw) if rng.random() < 0.7 else len(raw)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if limit:
            out[rng.randrange(limit) % max(1, len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def set_bytes(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    out = bytearray(raw)
    start = rng.randrange(len(raw) + 1)
    length = min(rng.choice((1, 2, 4, 8, 64)), len(raw) - start)
    out[start : start + length] = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    return bytes(out)


def truncate(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    return raw[: rng.randrange(_header_end(raw) + 1 if rng.random() < 0.5 else len(raw) + 1)]


def insert(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + rng.randbytes(rng.choice((1, 2, 3, 4, 8, 12))) + raw[at:]


def cut_out(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + raw[at + rng.choice((1, 2, 4, 8, 64, 1000)) :]


def edit_length(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    element = _any(raw, rng)
    if element is None:
        return raw
    length = element.stop - element.value
    near = (length - 2, length - 1, length + 1, length + 2, length + 8, length * 2)
    new = rng.choice((*_LENGTHS, *near)) & (0xFFFF if element.length_size == 2 else 0xFFFFFFFF)
    packed = struct.pack(element.order + ("H" if element.length_size == 2 else "I"), new)
    return raw[: element.length_at] + packed + raw[element.length_at + element.length_size :]


def edit_any_length(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """Set a length of an item or a fragment, wherever one stands."""
    marks = [at for at in _find(raw, b"\xfe\xff\x00\xe0") if at + 8 <= len(raw)]
    if not marks:
        return edit_length(raw, seeds, rng)
    at = rng.choice(marks) + 4
    return raw[:at] + struct.pack("<I", rng.choice(_LENGTHS)) + raw[at + 4 :]


def edit_value(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    element = _any(raw, rng)
    return raw if element is None else _with_value(raw, element, _value(raw, element, rng))


def edit_image(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """Set an element that images and geometry are read from."""
    found = [e for e in elements_of(raw) if raw[e.start : e.start + 4] in _CODES]
    if not found:
        return edit_value(raw, seeds, rng)
    element = rng.choice(found)
    return _with_value(raw, element, _value(raw, element, rng))


def add_element(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    element, tag = _any(raw, rng), rng.choice(_TAGS)
    if element is None:
        return raw
    vr, value = rng.choice(_VRS), rng.choice((*_WORDS, struct.pack("<H", rng.choice(_NUMBERS))))
    head = struct.pack(element.order + "HH", tag >> 16, tag & 0xFFFF)
    if element.length_size == 4 and not raw[element.start + 4 : element.start + 6].isalpha():
        new = head + struct.pack(element.order + "I", len(value)) + value
    elif vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        new = head + vr + b"\0\0" + struct.pack(element.order + "I", len(value)) + value
    else:
        new = head + vr + struct.pack(element.order + "H", len(value)) + value
    return raw[: element.start] + new + raw[element.start :]


def edit_vr(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    element = _any(raw, rng)
    if element is None:
        return raw
    return raw[: element.start + 4] + rng.choice(_VRS) + raw[element.start + 6 :]


def duplicate(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    one, other = _any(raw, rng), _any(raw, rng)
    if one is None or other is None:
        return raw
    copy = raw[one.start : one.stop]
    if rng.random() < 0.5 and one.value < one.stop:
        copy = copy[: one.value - one.start] + rng.randbytes(one.stop - one.value)
    return raw[: other.start] + copy * rng.choice((1, 1, 3, 200)) + raw[other.start :]


def remove(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    element = _any(raw, rng)
    return raw if element is None else raw[: element.start] + raw[element.stop :]


def splice(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """Return the beginning of one file and the end of another."""
    other = rng.choice(seeds)
    one, two = _any(raw, rng), _any(other, rng)
    if one is None or two is None or rng.random() < 0.2:
        return raw[: rng.randrange(len(raw) + 1)] + other[rng.randrange(len(other) + 1) :]
    return raw[: one.start] + other[two.start :]


def swap_syntax(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    place = syntax_place(raw)
    if place is None:
        return raw
    start, stop = place
    uid = rng.choice((*SYNTAXES, "1.2.3", "", "1.2.840.10008.1.2.999")).encode()
    uid += b"\0" * (len(uid) % 2)
    out = raw[: start - 2] + struct.pack("<H", len(uid)) + uid + raw[stop:]
    if out[132:136] == b"\2\0\0\0":
        (total,) = struct.unpack_from("<I", out, 140)
        out = out[:140] + struct.pack("<I", (total + len(uid) - (stop - start)) & 0xFFFFFFFF) + out[144:]
    return out


def nest(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """Put an element into sequences in sequences."""
    element = _any(raw, rng)
    if element is None:
        return raw
    inner, depth = raw[element.start : element.stop], rng.choice((1, 3, 99, 101, 300))
    order, implicit = element.order, not raw[element.start + 4 : element.start + 6].isalpha()
    head = struct.pack(order + "HH", 8, 0x1140) + (b"" if implicit else b"SQ\0\0") + b"\xff" * 4
    item = struct.pack(order + "HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    ends = struct.pack(order + "HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return raw[: element.start] + (head + item) * depth + inner + ends * depth + raw[element.start :]


def damage_pixels(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    start, out = _header_end(raw), bytearray(raw)
    for _ in range(rng.choice((1, 4, 32))):
        if start < len(out):
            out[rng.randrange(start, len(out))] = rng.randrange(256)
    return bytes(out)


def _any(raw: bytes, rng: random.Random) -> Element | None:
    found = elements_of(raw)
    return rng.choice(found) if found else None


def _find(raw: bytes, mark: bytes) -> list[int]:
    places, at = [], raw.find(mark)
    while at >= 0 and len(places) < 1000:
        places.append(at)
        at = raw.find(mark, at + 1)
    return places


def _value(raw: bytes, element: Element, rng: random.Random) -> bytes:
    size = element.stop - element.value
    number = struct.pack(element.order + "H", rng.choice(_NUMBERS))
    wide = struct.pack(element.order + "I", rng.choice((*_NUMBERS, 2**31 - 1, 2**31, 2**32 - 1)))
    words = rng.choice(_WORDS)
    return rng.choice(
        (number, number, wide, words, words, rng.randbytes(min(size, 64)), words.ljust(size)[:size])
    )


def _with_value(raw: bytes, element: Element, value: bytes) -> bytes:
    length = struct.pack(element.order + ("H" if element.length_size == 2 else "I"), len(value))
    between = raw[element.length_at + element.length_size : element.value]
    return raw[: element.length_at] + length + between + value + raw[element.stop :]


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, set_bytes, truncate, insert, cut_out, edit_length, edit_any_length, edit_value, edit_image,
    edit_image, add_element, edit_vr, duplicate, remove, splice, swap_syntax, nest, damage_pixels,
)  # fmt: skip
