"""Look at the structure of a file before a parser does: nothing is read but tags and lengths.

A parser believes what a file says of itself: it calls itself for every sequence in a sequence, and asks for
as many bytes as an element announces. Here the same is followed in a loop, and held against what is there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from pydicom.datadict import dictionary_has_tag

from chunkmed.dicom.elements import (
    ITEM,
    ITEM_END,
    LONG_VRS,
    PIXEL_TAGS,
    SEQUENCE_END,
    SHORT_VRS,
    is_sequence_tag,
    looks_like_vr,
)
from chunkmed.dicom.headers import UNDEFINED_LENGTH
from chunkmed.dicom.limits import current_limits, too_many_frames

__all__ = ["HostileError", "check_structure"]

Read = Callable[[int, int], bytes]
_WINDOW_BYTES = 64 * 1024
_NUMBER_OF_FRAMES = 0x00280008


class HostileError(Exception):
    """The structure asks for more than there is, or more than any image does; the message is the reason."""


@dataclass(slots=True)
class _Open:
    """A sequence or an item that is not at its end."""

    stop: int | None
    """None: until its end mark."""
    items: bool
    """Whether it holds items, or elements."""
    implicit: bool


def check_structure(
    read: Read,
    start: int,
    size: int,
    *,
    implicit: bool,
    little: bool,
    group: int | None = None,
    file_bytes: int | None = None,
) -> int:
    """Follow all elements up to the pixel data; return where that was.

    Parameters
    ----------
    read : callable
        ``read(at, count)`` gives bytes of the stream, fewer at its end.
    start, size : int
        Where the data set begins, and the size of the stream in bytes.
    implicit, little : bool
        How elements are written.
    group : int, optional
        Follow the elements of this group only.
    file_bytes : int, optional
        Size of the file, where that is not the stream's.

    Raises
    ------
    HostileError
        If sequences are nested too deep, a length leads beyond the end of what it lies in, or there are
        more elements or frames than a file of this size has.
    """
    follower = _Follower(read, size, little, size if file_bytes is None else file_bytes)
    return follower.follow(start, implicit, group)


class _Follower:
    def __init__(self, read: Read, size: int, little: bool, file_bytes: int) -> None:
        self.read, self.size, self.little, self.file_bytes = read, size, little, file_bytes
        self.depth = current_limits().depth
        self.most = current_limits().elements
        self.number = struct.Struct("<I" if little else ">I").unpack_from
        self.short = struct.Struct("<H" if little else ">H").unpack_from
        self.base, self.data = 0, b""
        #: Where sequences of known length end, and how many lie around each.
        self.fences: list[tuple[int, int]] = []

    def head(self, at: int) -> bytes:
        """Return twelve bytes at a place, fewer at the end."""
        place = at - self.base
        if place < 0 or place + 12 > len(self.data):
            self.base, self.data = at, self.read(at, _WINDOW_BYTES)
            place = 0
        return self.data[place : place + 12]

    def tag(self, head: bytes) -> int:
        number = int(self.number(head)[0])
        return number >> 16 | (number & 0xFFFF) << 16 if self.little else number

    def follow(self, at: int, implicit: bool, group: int | None) -> int:
        open_, count = [_Open(None, False, implicit)], 0
        while open_:
            at = self.fenced(at, open_)
            inner = open_[-1]
            if inner.stop is not None and at >= inner.stop:
                open_.pop()
                continue
            head = self.head(at)
            if len(head) < 8 or (len(open_) == 1 and self.is_end(head, group)):
                break
            count += 1
            if count > self.most:
                raise HostileError(
                    f"more than {self.most} elements before its pixel data; --limit elements=N raises it"
                )
            at = self.item(at, head, open_) if inner.items else self.element(at, head, open_)
            if len(open_) > 2 * self.depth:
                raise HostileError(f"sequences nested more than {self.depth} deep")
        return at

    def fenced(self, at: int, open_: list[_Open]) -> int:
        """Leave a sequence of known length at its end: a parser goes by that, whatever is open inside."""
        while self.fences and at >= self.fences[-1][0]:
            at, depth = self.fences.pop()
            del open_[depth:]
        return at

    def is_end(self, head: bytes, group: int | None) -> bool:
        tag = self.tag(head)
        return tag in PIXEL_TAGS or (group is not None and tag >> 16 != group)

    def item(self, at: int, head: bytes, open_: list[_Open]) -> int:
        """Go into an item, or leave the sequence; whatever does not end it is an item to a parser."""
        tag, length = self.tag(head), int(self.number(head, 4)[0])
        if tag == SEQUENCE_END:
            stop = open_.pop().stop
            return at + 8 if stop is None else stop
        stop = self.stop(at + 8, length, open_)
        # The items of an explicit file may be implicit: their first element shows it.
        vr = self.head(at + 8)[4:6]
        open_.append(_Open(stop, False, open_[-1].implicit or not looks_like_vr(vr)))
        return at + 8

    def element(self, at: int, head: bytes, open_: list[_Open]) -> int:
        """Go into a sequence, or beyond any other element."""
        tag, (vr, begin, length) = self.tag(head), self.form(at, head, open_[-1].implicit)
        if tag == ITEM_END:
            # To a parser a data set ends here, the whole one too.
            if len(open_) == 1:
                return self.size
            open_.pop()
            return begin
        stop = self.stop(begin, length, open_)
        if tag == _NUMBER_OF_FRAMES and stop is not None and len(open_) == 1:
            self.expect_frames(self.read(begin, min(stop - begin, 16)))
        if vr == b"SQ" or self.is_hidden(tag, vr, begin, stop):
            if stop is not None:
                self.fences.append((stop, len(open_)))
            # Items decide for themselves how they are written.
            open_.append(_Open(stop, True, open_[-1].implicit))
            return begin
        return self.beyond_end_mark(begin) if stop is None else stop

    def form(self, at: int, head: bytes, implicit: bool) -> tuple[bytes, int, int]:
        """Return the kind of an element (empty where it is not told), where its value begins, its length."""
        vr = b"" if implicit else head[4:6]
        if vr in LONG_VRS:
            if len(head) < 12:
                raise HostileError("it ends within an element")
            return vr, at + 12, int(self.number(head, 8)[0])
        # What is no kind at all is taken for an implicit element; kinds that are not known are short.
        if vr in SHORT_VRS or b"AA" <= vr <= b"ZZ":
            return vr, at + 8, int(self.short(head, 6)[0])
        return b"", at + 8, int(self.number(head, 4)[0])

    def is_hidden(self, tag: int, vr: bytes, begin: int, stop: int | None) -> bool:
        """Whether an element of unknown kind is a sequence: a parser looks its tag up, or what it holds."""
        if vr not in (b"", b"UN"):
            return False
        if stop is None and vr == b"UN":
            return True
        known, head = dictionary_has_tag(tag), self.head(begin)
        holds_items = len(head) >= 4 and self.tag(head) == ITEM
        if known and is_sequence_tag(tag):
            return not vr or holds_items
        return stop is None and not known and holds_items

    def expect_frames(self, value: bytes) -> None:
        """Allow for the elements of so many frames, if the file can hold as many."""
        text = value.strip(b" \0")
        frames = int(text) if text.isdigit() else 0
        if reason := too_many_frames(frames, self.file_bytes):
            raise HostileError(reason)
        self.most = current_limits().elements_for(frames, self.file_bytes)

    def stop(self, begin: int, length: int, open_: list[_Open]) -> int | None:
        """Return where something ends; it must not end beyond what it lies in."""
        if length == UNDEFINED_LENGTH:
            return None
        limit = next((each.stop for each in reversed(open_) if each.stop is not None), self.size)
        if begin + length > limit:
            raise HostileError(f"an element of {length} bytes where {max(0, limit - begin)} are left")
        return begin + length

    def beyond_end_mark(self, at: int) -> int:
        """Return the end of a value of unknown length, compressed pixels of an icon: behind the next mark."""
        mark = b"\xfe\xff\xdd\xe0" if self.little else b"\xff\xfe\xe0\xdd"
        while data := self.read(at, _WINDOW_BYTES):
            if (place := data.find(mark)) >= 0:
                return at + place + 8
            # The mark may begin in these bytes.
            at += max(1, len(data) - 3)
        return self.size
