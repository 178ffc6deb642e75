"""The small part of a pydicom data set that a scan needs, over raw bytes; pydicom decodes the odd ones."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cache, cached_property, wraps
from typing import Any, ParamSpec, TypeVar

from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.filereader import read_dataset
from pydicom.values import convert_string

from chunkmed.dicom.elements import Walked, walk
from chunkmed.dicom.vr import UNUSUAL, decoded

__all__ = ["QuickDataset", "quick_dataset", "recalled"]

_CHARACTER_SET, _PIXEL_REPRESENTATION = 0x00080005, 0x00280103
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_BY_CHARACTER_SET = frozenset({"SH", "LO"})
_ASCII = bytes(range(32, 127))

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@cache
def _tag(keyword: str | int) -> int:
    return keyword if isinstance(keyword, int) else int(tag_for_keyword(keyword) or 0)


@cache
def _vr(tag: int) -> str:
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN"


@dataclass(frozen=True, slots=True)
class _Element:
    value: Any


class _FileMeta:
    """UIDs of the file meta group; absent ones are no attributes."""

    def __init__(self, syntax: str, media_class: str) -> None:
        self.TransferSyntaxUID = syntax
        if media_class:
            self.MediaStorageSOPClassUID = media_class


class QuickDataset:
    """Wanted elements of one file, decoded when asked for.

    Plain values are decoded here; for all others, and for whatever else is asked of a data set,
    pydicom reads the same bytes. Numbers are plain ones: they do not remember how they were written.
    """

    def __init__(self, walked: Walked, plain_text: bool) -> None:
        self._walked, self._chunks, self._plain_text = walked, walked.chunks, plain_text
        self._order = "<" if walked.little else ">"
        self._asked: list[set[int]] = []
        self.original_encoding = (walked.implicit, walked.little)
        self.file_meta = _FileMeta(walked.syntax, walked.media_class)

    def get(self, keyword: str | int, default: Any = None) -> Any:
        """Return the value of an element by keyword (as pydicom: by tag the element), or a default."""
        tag = _tag(keyword)
        if self._asked:
            self._note(tag)
        chunk = self._chunks.get(tag)
        if chunk is None:
            return default
        if isinstance(keyword, int):
            return self[keyword]
        return self._value(tag, chunk)

    def __contains__(self, keyword: str | int) -> bool:
        tag = _tag(keyword)
        if self._asked:
            self._note(tag)
        return tag in self._chunks

    def __getitem__(self, keyword: str | int) -> _Element:
        tag = _tag(keyword)
        if self._asked:
            self._note(tag)
        return _Element(self._value(tag, self._chunks[tag]))

    def __iter__(self) -> Any:
        self._note(*self._chunks)
        return iter(self.pydicom)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "pydicom":
            raise AttributeError(name)
        tag = _tag(name)
        self._note(*((tag,) if tag else self._chunks))
        return getattr(self.pydicom, name)

    @cached_property
    def pydicom(self) -> Any:
        """The wanted elements, read by pydicom."""
        code = struct.Struct(self._order + "HH").pack
        parts = (code(tag >> 16, tag & 0xFFFF) + chunk for tag, chunk in self._chunks.items())
        return read_dataset(io.BytesIO(b"".join(parts)), self._walked.implicit, self._walked.little)

    def _note(self, *tags: int) -> None:
        for asked in self._asked:
            asked.update(tags)

    def _value(self, tag: int, chunk: bytes) -> Any:
        if self._walked.implicit:
            vr, raw = _vr(tag), chunk[4:]
        else:
            vr = chunk[:2].decode("ascii")
            raw = chunk[8:] if vr in _LONG else chunk[4:]
        value = decoded(vr, raw, self._order)
        if value is UNUSUAL or (vr in _BY_CHARACTER_SET and not self._plain_text):
            # What pydicom makes of an element may depend on this one.
            self._note(_PIXEL_REPRESENTATION)
            return self.pydicom[tag].value
        return value

    def bytes_of(self, tags: tuple[int, ...]) -> tuple[str | bytes | None, ...]:
        """Return all that values of these elements depend on."""
        walked = self._walked
        encoding = (walked.syntax, walked.media_class, self._chunks.get(_CHARACTER_SET))
        return (*encoding, *map(self._chunks.get, tags))

    def listen(self) -> set[int]:
        """Begin to note which elements are asked for."""
        asked: set[int] = set()
        self._asked.append(asked)
        return asked

    def unlisten(self) -> None:
        """End what ``listen`` began."""
        self._asked.pop()


def quick_dataset(descriptor: int) -> tuple[QuickDataset, Walked] | None:
    """Return the data set of an open file and where its pixels are; None if pydicom has to read it."""
    walked = walk(descriptor)
    if walked is None:
        return None
    plain_text = _plain_text(walked.chunks.get(_CHARACTER_SET), walked.implicit)
    return None if plain_text is None else (QuickDataset(walked, plain_text), walked)


@cache
def _plain_text(chunk: bytes | None, implicit: bool) -> bool | None:
    """Return whether ASCII is ASCII in this character set; None if pydicom may refuse the set."""
    if not chunk or len(chunk) > 256:
        return None if chunk else True
    if not implicit and chunk[:2] != b"CS":
        return None
    try:
        first = convert_encodings(convert_string(chunk[4:], True))[0]
        return _ASCII.decode(first) == _ASCII.decode("ascii")
    except Exception:
        return None


def recalled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let a function of a data set be called once for all files with the same bytes in what it reads.

    The elements that the function asks for are noted while it runs. It may depend on nothing but
    its arguments, and what it returns is shared: nobody may change it.
    """
    known: dict[tuple[int, ...], dict[Hashable, Result]] = {}

    @wraps(function)
    def call(*args: Parameters.args, **named: Parameters.kwargs) -> Result:
        dataset, *more = args
        if not isinstance(dataset, QuickDataset):
            return function(*args, **named)
        extra = (*more, *named.items())
        for tags, results in list(known.items()):
            key = (extra, dataset.bytes_of(tags))
            if key in results:
                dataset._note(*tags)
                return results[key]
        asked = dataset.listen()
        try:
            result = function(*args, **named)
        finally:
            dataset.unlisten()
        tags = tuple(sorted(asked))
        key = (extra, dataset.bytes_of(tags))
        if sum(len(part) for part in key[1] if part) <= _MOST_BYTES:
            _remember(known, tags, key, result)
        return result

    return call


_MOST_TAG_SETS, _MOST_RESULTS, _MOST_BYTES = 8, 256, 64 * 1024


def _remember(known: dict[Any, dict[Hashable, Any]], tags: Any, key: Hashable, result: Any) -> None:
    if tags not in known and len(known) >= _MOST_TAG_SETS:
        known.clear()
    results = known.setdefault(tags, {})
    if len(results) >= _MOST_RESULTS:
        results.clear()
    results[key] = result
