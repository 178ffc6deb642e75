"""Walk over the elements of a file up to its pixel data: lengths are followed, wanted bytes are kept.

A file is followed only where every byte is understood. Anything else makes ``walk`` decline, and
pydicom reads the file: it knows what to make of files that are not as they should be.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from functools import cache

from pydicom.datadict import dictionary_VR

from chunkmed.dicom.headers import UNDEFINED_LENGTH
from chunkmed.dicom.limits import current_limits
from chunkmed.dicom.tags import SPECIFIC_TAGS

__all__ = [
    "ITEM",
    "ITEM_END",
    "LONG_VRS",
    "PIXEL_TAGS",
    "SEQUENCE_END",
    "SHORT_VRS",
    "Walked",
    "is_sequence_tag",
    "looks_like_vr",
    "walk",
]

PIXEL_TAGS = {0x7FE00010: "PixelData", 0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}
_CHARACTER_SET = 0x00080005
#: Functional groups are laid out by pydicom; item marks do not belong where elements are read.
_DECLINED = frozenset({0x52009229, 0x52009230, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD})
_ENDS = _DECLINED | PIXEL_TAGS.keys()
_PLAIN = (frozenset(SPECIFIC_TAGS) | {_CHARACTER_SET}) - _ENDS
SHORT_VRS = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split(),
)
#: VRs whose length takes four bytes.
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_PIXEL_VRS = (b"OB", b"OW", b"OF", b"OD")
_ITEMS_OF = (b"SQ", b"UN")
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

_FIRST_BYTES = 16 * 1024
_NEXT_BYTES = 16 * 1024
#: An element that is kept, or a sequence of undefined length, is not longer than this.
_MOST_BYTES = 4 * 2**20
_META_START = 132
_IMPLICIT, _EXPLICIT_BIG, _DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
_STANDARD_SYNTAX = re.compile(r"1\.2\.840\.10008\.1\.2(\.[0-9]+)*")
_UID = re.compile(rb"[0-9.]+[ \0]*")


_Chunks = dict[int, bytes]
#: Tag, start and length of the pixel data.
_Place = tuple[int, int, int]


class _OddError(Exception):
    """The file is not plain here."""


@dataclass(frozen=True, slots=True)
class Walked:
    """What was found on the way to the pixel data."""

    syntax: str
    media_class: str
    """MediaStorageSOPClassUID, empty where absent."""
    implicit: bool
    little: bool
    chunks: dict[int, bytes]
    """Wanted elements by tag: all bytes after the tag (VR, length and value as in the file)."""
    pixels: str
    """Keyword of the pixel data."""
    pixel_offset: int
    """Start of its value in bytes."""
    pixel_length: int
    """As the file says it: may be undefined."""


class _Form:
    """How elements are written: byte order, explicit or implicit VR."""

    def __init__(self, implicit: bool, little: bool) -> None:
        order = "<" if little else ">"
        self.implicit, self.little = implicit, little
        self.element = struct.Struct(order + "I2sH").unpack_from
        self.long = struct.Struct(order + "I").unpack_from
        self.item = struct.Struct(order + "II").unpack_from
        self.tags = {self.key(tag): tag for tag in _PLAIN | _ENDS}
        self.marks = {self.key(tag): tag for tag in (ITEM, ITEM_END, SEQUENCE_END)}

    def key(self, tag: int) -> int:
        """Return a tag as its four bytes read in one go."""
        return tag >> 16 | (tag & 0xFFFF) << 16 if self.little else tag

    tag = key  # its own inverse


@cache
def _form(implicit: bool, little: bool) -> _Form:
    return _Form(implicit, little)


class _Window:
    """The part of the file that is in memory."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.base = descriptor, 0
        self.data = os.pread(descriptor, _FIRST_BYTES, 0)

    def move(self, at: int, count: int = _NEXT_BYTES) -> bytes:
        """Let the window begin at a place in it, or behind it."""
        self.base += at
        self.data = os.pread(self.descriptor, count, self.base)
        return self.data


def walk(descriptor: int) -> Walked | None:
    """Return what leads to the pixel data of an open file; None if pydicom has to read it."""
    try:
        window = _Window(descriptor)
        syntax, media_class, start = _file_meta(window.data)
        implicit, little = syntax == _IMPLICIT, syntax != _EXPLICIT_BIG
        form = _form(implicit, little)
        if window.data[start : start + 2] == b"\0\0" or _explicit_at(window.data, start) == implicit:
            return None
        chunks: dict[int, bytes] = {}
        follow = _follow_implicit if implicit else _follow_explicit
        tag, offset, length = follow(window, start, form, chunks)
    except (_OddError, struct.error):
        return None
    return Walked(syntax, media_class, implicit, little, chunks, PIXEL_TAGS[tag], offset, length)


def _file_meta(data: bytes) -> tuple[str, str, int]:
    """Return the transfer syntax, the media's SOP class and the start of the data set."""
    if data[128:144] != b"DICM\2\0\0\0UL\4\0" + data[140:144]:
        raise _OddError
    form, pos, uids = _form(implicit=False, little=True), _META_START, {}
    while data[pos : pos + 2] == b"\2\0":
        key, vr, length = form.element(data, pos)
        value = pos + 8
        if vr in LONG_VRS:
            value, length = pos + 12, form.long(data, pos + 8)[0]
        elif vr not in SHORT_VRS:
            raise _OddError
        pos = value + length
        if key in (0x00020002, 0x00100002):
            if vr != b"UI" or not _UID.fullmatch(data[value:pos]):
                raise _OddError
            uids[key] = data[value:pos].rstrip(b" \0").decode("ascii")
    syntax = uids.get(0x00100002, "")
    if not _STANDARD_SYNTAX.fullmatch(syntax) or syntax == _DEFLATED or pos + 12 > len(data):
        raise _OddError
    return syntax, uids.get(0x00020002, ""), pos


def _explicit_at(data: bytes, pos: int) -> bool:
    return looks_like_vr(data[pos + 4 : pos + 6])


def _follow_explicit(
    window: _Window, pos: int, form: _Form, chunks: dict[int, bytes]
) -> tuple[int, int, int]:
    """Follow elements to the pixel data; return its tag, where its value begins, and its length."""
    unpack, long, tags, ends = form.element, form.long, form.tags, _ENDS
    short_vrs, long_vrs, data = SHORT_VRS, LONG_VRS, window.data
    end = len(data)
    while True:
        if pos + 12 > end:
            data, pos = window.move(pos), 0
            end = len(data)
        key, vr, length = unpack(data, pos)
        if vr in short_vrs:
            stop = pos + 8 + length
        elif vr in long_vrs:
            length = long(data, pos + 8)[0]
            stop = pos + 12 + length
        else:
            raise _OddError
        if key in tags or length == UNDEFINED_LENGTH:
            tag = tags.get(key, 0)
            if tag in ends:
                if tag in _DECLINED or vr not in _PIXEL_VRS:
                    raise _OddError
                return tag, window.base + pos + 12, length
            if stop > end:
                head = 8 if vr in short_vrs else 12
                pos, stop = _hold(window, pos, form, head, length, vr in _ITEMS_OF)
                data = window.data
                end = len(data)
            if tag:
                chunks[tag] = data[pos + 4 : stop]
        pos = stop


def _follow_implicit(
    window: _Window, pos: int, form: _Form, chunks: dict[int, bytes]
) -> tuple[int, int, int]:
    """Follow elements to the pixel data; return its tag, where its value begins, and its length."""
    unpack, tags, ends, data = form.item, form.tags, _ENDS, window.data
    end = len(data)
    while True:
        if pos + 8 > end:
            data, pos = window.move(pos), 0
            end = len(data)
        key, length = unpack(data, pos)
        stop = pos + 8 + length
        if key in tags or length == UNDEFINED_LENGTH:
            tag = tags.get(key, 0)
            if tag in ends:
                if tag in _DECLINED:
                    raise _OddError
                return tag, window.base + pos + 8, length
            if stop > end:
                pos, stop = _hold(window, pos, form, 8, length, True)
                data = window.data
                end = len(data)
            if tag:
                chunks[tag] = data[pos + 4 : stop]
        pos = stop


def _hold(window: _Window, pos: int, form: _Form, head: int, length: int, has_items: bool) -> tuple[int, int]:
    """Let the window hold an element wholly; return the element's start and end in it."""
    if length != UNDEFINED_LENGTH:
        stop = head + length
        if stop > _MOST_BYTES or len(window.move(pos, max(stop, _NEXT_BYTES))) < stop:
            raise _OddError
        return 0, stop
    data, count = window.data, _NEXT_BYTES
    while (stop := _end_of_undefined(data, pos, form, head, has_items)) > len(data):
        count *= 4
        if count > _MOST_BYTES:
            raise _OddError
        data, pos = window.move(pos, count), 0
    return pos, stop


def _end_of_undefined(data: bytes, pos: int, form: _Form, head: int, has_items: bool) -> int:
    """Return where the sequence at a place ends, a place behind the data if it does not end in them."""
    if not has_items or (
        form.implicit and not _is_sequence(form.tag(form.item(data, pos)[0]), data, pos, form)
    ):
        raise _OddError
    try:
        return _end_of_sequence(data, pos + head, form, 0)
    except struct.error:
        return len(data) + 1


@cache
def _known_vr(tag: int) -> str:
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return ""


def looks_like_vr(text: bytes) -> bool:
    """Whether two bytes behind a tag are those of an explicit element: two capital letters."""
    return text.isalpha() and text.isupper()


def is_sequence_tag(tag: int) -> bool:
    """Whether the standard says that an element is a sequence."""
    return _known_vr(tag) == "SQ"


def _is_sequence(tag: int, data: bytes, pos: int, form: _Form) -> bool:
    vr = _known_vr(tag)
    return vr == "SQ" or (not vr and form.marks.get(form.long(data, pos + 8)[0]) == ITEM)


def _end_of_sequence(data: bytes, pos: int, form: _Form, depth: int) -> int:
    if depth > current_limits().depth:
        raise _OddError
    while True:
        key, length = form.item(data, pos)
        mark = form.marks.get(key)
        if mark == SEQUENCE_END and length == 0:
            return pos + 8
        if mark != ITEM:
            raise _OddError
        pos = _end_of_item(data, pos + 8, form, length, depth)


def _end_of_item(data: bytes, pos: int, form: _Form, length: int, depth: int) -> int:
    # The items of an explicit file may be implicit: their first element shows it.
    form.item(data, pos)
    inner = form if form.implicit or _explicit_at(data, pos) else _form(True, form.little)
    stop = None if length == UNDEFINED_LENGTH else pos + length
    while pos != stop:
        key, zero = form.item(data, pos)
        if key in form.marks or (stop is not None and pos > stop):
            if form.marks.get(key) == ITEM_END and zero == 0 and stop is None:
                return pos + 8
            raise _OddError
        pos = _end_of_element(data, pos, inner, depth)
    return pos


def _end_of_element(data: bytes, pos: int, form: _Form, depth: int) -> int:
    if form.implicit:
        key, length = form.item(data, pos)
        head, has_items = 8, True
        if length == UNDEFINED_LENGTH:
            has_items = _is_sequence(form.tag(key), data, pos, form)
    else:
        _, vr, length = form.element(data, pos)
        head, has_items = 8, vr in _ITEMS_OF
        if vr in LONG_VRS:
            head, length = 12, form.long(data, pos + 8)[0]
        elif vr not in SHORT_VRS:
            raise _OddError
    if length != UNDEFINED_LENGTH:
        return int(pos + head + length)
    if not has_items:
        raise _OddError
    return _end_of_sequence(data, pos + head, form, depth + 1)
