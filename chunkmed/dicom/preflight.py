"""Look at the structure of a file before a parser does: nothing is read but tags and lengths.

A parser believes what a file says of itself: it calls itself for every sequence in a sequence, and asks for
as many bytes as an element announces. Here the same is followed in a loop, and held against what is there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from chunkmed.dicom.elements import (
    ITEM,
    ITEM_END,
    LONG_VRS,
    PIXEL_TAGS,
    SEQUENCE_END,
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

    def is_end(self, head: bytes, group: int | None) -> bool:
        tag = self.tag(head)
        return tag in PIXEL_TAGS or (group is not None and tag >> 16 != group)

    def item(self, at: int, head: bytes, open_: list[_Open]) -> int:
        """Go into an item, or leave the sequence."""
        tag, length = self.tag(head), int(self.number(head, 4)[0])
        if tag != ITEM:
            # Its end mark; a parser takes whatever else stands here for the end too.
            open_.pop()
            return at + 8 if tag == SEQUENCE_END else at
        stop = self.stop(at + 8, length, open_)
        # The items of an explicit file may be implicit: their first element shows it.
        vr = self.head(at + 8)[4:6]
        open_.append(_Open(stop, False, open_[-1].implicit or not looks_like_vr(vr)))
        return at + 8

    def element(self, at: int, head: bytes, open_: list[_Open]) -> int:
        """Go into a sequence, or beyond any other element."""
        tag, vr, implicit = self.tag(head), head[4:6], open_[-1].implicit
        if tag in (ITEM_END, SEQUENCE_END):
            if len(open_) > 1:
                open_.pop()
            return at + 8
        begin, length = at + 8, self.length(head, implicit)
        if not implicit and vr in LONG_VRS:
            begin += 4
        stop = self.stop(begin, length, open_)
        if implicit:
            nested = is_sequence_tag(tag) or stop is None
        else:
            nested = vr == b"SQ" or (vr == b"UN" and (stop is None or self.is_hidden(tag, begin)))
        if tag == _NUMBER_OF_FRAMES and stop is not None and len(open_) == 1:
            self.expect_frames(self.read(begin, min(stop - begin, 16)))
        if nested:
            # What is called unknown is written implicitly.
            open_.append(_Open(stop, True, implicit or vr == b"UN"))
            return begin
        return self.beyond_fragments(begin) if stop is None else stop

    def is_hidden(self, tag: int, begin: int) -> bool:
        """Whether an element of unknown kind is a sequence: a parser looks its tag up."""
        head = self.head(begin)
        return len(head) >= 8 and self.tag(head) == ITEM and is_sequence_tag(tag)

    def expect_frames(self, value: bytes) -> None:
        """Allow for the elements of so many frames, if the file can hold as many."""
        text = value.strip(b" \0")
        frames = int(text) if text.isdigit() else 0
        if reason := too_many_frames(frames, self.file_bytes):
            raise HostileError(reason)
        self.most = current_limits().elements_for(frames, self.file_bytes)

    def length(self, head: bytes, implicit: bool) -> int:
        if implicit:
            return int(self.number(head, 4)[0])
        # All others take two bytes, unknown ones too.
        if head[4:6] not in LONG_VRS:
            return int(self.short(head, 6)[0])
        if len(head) < 12:
            raise HostileError("it ends within an element")
        return int(self.number(head, 8)[0])

    def stop(self, begin: int, length: int, open_: list[_Open]) -> int | None:
        """Return where something ends; it must not end beyond what it lies in."""
        if length == UNDEFINED_LENGTH:
            return None
        limit = next((each.stop for each in reversed(open_) if each.stop is not None), self.size)
        if begin + length > limit:
            raise HostileError(f"an element of {length} bytes where {max(0, limit - begin)} are left")
        return begin + length

    def beyond_fragments(self, at: int) -> int:
        """Return the end of a value in fragments, compressed pixels of an icon."""
        while len(head := self.head(at)) >= 8 and self.tag(head) == ITEM:
            at += 8 + int(self.number(head, 4)[0])
        return at + 8
