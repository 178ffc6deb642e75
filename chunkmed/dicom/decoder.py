"""The decoding child's own program: one request, one frame, one answer, until its input ends.

Run as ``python -P decoder.py CODECS FD``: the path of ``codecs.py`` and the number of the shared memory's
descriptor. It imports neither chunkmed nor pydicom.
"""

from __future__ import annotations

import importlib.util
import math
import mmap
import os
import resource
import struct
import sys
import time
from typing import Any

import numpy as np

#: Number of the codec, rows, columns, samples, bits, signed, ybr, start and bytes of the stream, place and
#: room of the decoded frame.
REQUEST = struct.Struct("<11q")
#: Whether it went well, kind and bytes per value, then why not.
ANSWER = struct.Struct("<q8s128s")
_SPARE_BYTES = 192 * 2**20
_FACTOR = 16
#: JPEG 2000 takes a tenth of a second for a megabyte.
_SECONDS, _SECONDS_PER_MB = 1, 1


def limit(frame_bytes: int, mapped: int) -> None:
    """Bound the memory and the processor time of the frame to come."""
    pages = _own_pages()
    if pages:
        room = pages * mmap.PAGESIZE + _SPARE_BYTES + _FACTOR * frame_bytes + mapped
        _set_limit(resource.RLIMIT_AS, room)
    seconds = math.ceil(time.process_time() + seconds_for(frame_bytes))
    _set_limit(resource.RLIMIT_CPU, seconds)


def _set_limit(what: int, amount: int) -> None:
    """Set a soft limit; the hard one, which may be the user's own, stays."""
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (amount if hard == resource.RLIM_INFINITY else min(amount, hard), hard))


_pages: list[int] = []


def _own_pages() -> int:
    # Once: a codec that leaks must not earn room by it.
    if not _pages:
        try:
            with open("/proc/self/statm") as file:  # noqa: PTH123
                _pages.append(int(file.read().split()[0]))
        except OSError:
            _pages.append(0)
    return _pages[0]


def seconds_for(frame_bytes: int) -> float:
    """Return the processor time allowed for one frame in seconds."""
    return _SECONDS + _SECONDS_PER_MB * frame_bytes / 1e6


def serve(codecs: Any, descriptor: int, answers: int) -> None:
    """Answer requests on the standard input until it ends."""
    rows, view = list(codecs.CODECS.values()), None
    while len(request := os.read(0, REQUEST.size)) == REQUEST.size:
        number, height, width, samples, bits, signed, ybr, start, length, place, room = REQUEST.unpack(
            request
        )
        if view is None or len(view) < place + room:
            view = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        try:
            importlib.import_module(rows[number].module)
            limit(height * width * samples * bits // 8, len(view))
            shape = codecs.Shape(height, width, samples, bits, bool(signed), bool(ybr))
            answer = _put(view, place, room, codecs.decode(rows[number], view[start : start + length], shape))
        except BaseException as error:
            answer = ANSWER.pack(0, b"", _why(error).encode("ascii", "replace")[:128])
        os.write(answers, answer)


def _why(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "it takes more memory than a frame may take"
    return f"{type(error).__name__}: {error}" if isinstance(error, ValueError) else type(error).__name__


def _put(view: mmap.mmap, place: int, room: int, values: Any) -> bytes:
    if values.nbytes > room:
        raise ValueError(f"decodes to {values.nbytes} bytes of {room}")
    target = np.frombuffer(view, values.dtype, values.size, place)
    np.copyto(target.reshape(values.shape), values)
    return ANSWER.pack(1, values.dtype.str.encode("ascii"), b"")


def main(path: str, descriptor: int) -> None:
    """Load ``codecs.py`` and serve."""
    spec = importlib.util.spec_from_file_location("chunkmed_codecs", path)
    if spec is None or spec.loader is None:
        raise SystemExit(2)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    # A codec that prints must not be taken for an answer.
    answers = os.dup(1)
    os.dup2(2, 1)
    serve(module, descriptor, answers)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
