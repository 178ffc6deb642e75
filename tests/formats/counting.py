"""What is read of files, counted at the operating system's door."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch


class Reads:
    """How many calls read how many bytes."""

    def __init__(self) -> None:
        self.calls, self.bytes = 0, 0

    def add(self, count: int) -> None:
        self.calls, self.bytes = self.calls + 1, self.bytes + count


@contextmanager
def counted() -> Iterator[Reads]:
    reads, pread, preadv = Reads(), os.pread, os.preadv

    def one(handle: int, count: int, at: int) -> bytes:
        raw = pread(handle, count, at)
        reads.add(len(raw))
        return raw

    def many(handle: int, buffers: list, at: int) -> int:
        got = preadv(handle, buffers, at)
        reads.add(got)
        return got

    with patch("os.pread", one), patch("os.preadv", many):
        yield reads
