"""Headers of many files, in order: one after another, or side by side where the disk is waited for."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from chunkmed.dicom.headers import Frame
from chunkmed.dicom.read import NotAnImageError, read_header

__all__ = ["read_headers"]

Read = tuple[str, tuple[Frame, ...] | str]
_AT_ONCE = 128
_THREADS = 16
#: Threads share one interpreter and take twice its time: only for files that are mostly waited for.
_MOSTLY = 0.75
_OF_THREAD = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)


def read_headers(found: Mapping[str, str]) -> Iterator[Read]:
    """Yield each path with the frames of its file, or with the reason why there are none.

    Parameters
    ----------
    found : mapping
        For each path why it is no regular file; empty where it is one.
    """
    left = iter(found.items())
    while part := list(islice(left, _AT_ONCE)):
        clock = _Clock()
        for item in part:
            with clock:
                read = _frames_in(item)
            yield read
        if clock.mostly_waits(len(part)):
            break
    with ThreadPoolExecutor(_THREADS) as threads:
        while part := list(islice(left, _AT_ONCE)):
            yield from threads.map(_frames_in, part)


@dataclass(slots=True)
class _Clock:
    """Tells waiting for files apart from work, and from waiting for a busy processor."""

    took: float = 0.0
    worked: float = 0.0
    pauses: int = 0

    def __enter__(self) -> None:
        self._count(-1)

    def __exit__(self, *_: object) -> None:
        self._count(1)

    def _count(self, sign: int) -> None:
        self.took += sign * time.perf_counter()
        self.worked += sign * time.thread_time()
        self.pauses += sign * resource.getrusage(_OF_THREAD).ru_nvcsw

    def mostly_waits(self, files: int) -> bool:
        """Return whether each file made the thread pause, for most of the time."""
        return self.pauses >= files and self.took - self.worked > _MOSTLY * self.took


def _frames_in(item: tuple[str, str]) -> Read:
    path, reason = item
    try:
        return path, reason or read_header(path)[1]
    except NotAnImageError as error:
        return path, str(error)
