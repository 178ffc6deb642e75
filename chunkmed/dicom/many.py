"""Headers of many files, in order: one after another, or side by side where the disk is waited for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from chunkmed.dicom.headers import Frame
from chunkmed.dicom.read import NotAnImageError, read_header

__all__ = ["read_headers"]

Read = tuple[str, tuple[Frame, ...] | str]
_AT_ONCE = 128
_THREADS = 16
#: Threads share one interpreter: they help only where most of the time is spent waiting for files.
_MOSTLY = 0.75


def read_headers(found: Mapping[str, str]) -> Iterator[Read]:
    """Yield each path with the frames of its file, or with the reason why there are none.

    Parameters
    ----------
    found : mapping
        For each path why it is no regular file; empty where it is one.
    """
    left = iter(found.items())
    waiting = False
    while part := list(islice(left, _AT_ONCE)):
        if waiting:
            with ThreadPoolExecutor(_THREADS) as threads:
                yield from threads.map(_frames_in, part)
        else:
            start, worked = time.perf_counter(), time.thread_time()
            read = [_frames_in(item) for item in part]
            took = time.perf_counter() - start
            waiting = took - (time.thread_time() - worked) > _MOSTLY * took
            yield from read


def _frames_in(item: tuple[str, str]) -> Read:
    path, reason = item
    try:
        return path, reason or read_header(path)[1]
    except NotAnImageError as error:
        return path, str(error)
