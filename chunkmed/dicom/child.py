"""One decoding process with bounded memory and time: a crash costs a file, not this process.

The streams and the decoded frames pass through shared memory, never through a pickle.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.codecs import CODECS, Codec, Shape

__all__ = ["Child", "DecodeError"]

Array = npt.NDArray[Any]
_NUMBERS = {syntax: i for i, syntax in enumerate(CODECS)}
_LEAST_BYTES = 2**20
#: What a decoder may give: at most as wide as there is room for.
_DTYPES = frozenset(np.dtype(code).str.encode("ascii") for code in ("u1", "i1", "<u2", "<i2", "<u4", "<i4"))
#: A busy machine gives a child little of its wall time: the processor time is what bounds it.
_WALL_PER_PROCESSOR_SECOND = 8
_DEATHS = {
    "SIGXCPU": "took more time than a frame may take",
    "SIGKILL": "was killed, for want of memory or by hand",
}


class DecodeError(Exception):
    """The frame could not be decoded; the message says why and quotes nothing of the file."""


class _Asked(NamedTuple):
    """A frame that the child works on, and its part of the shared memory."""

    shape: Shape
    start: int
    place: int
    stop: int

    @property
    def frame_bytes(self) -> int:
        return self.shape.rows * self.shape.columns * self.shape.samples * self.shape.bits // 8


class Child:
    """One decoding process and the memory that it shares.

    ``send`` and ``receive`` take turns, with at most two frames on their way: the child decodes one
    while the next is read and the last one is used.
    """

    def __init__(self) -> None:
        from chunkmed.dicom import decoder

        self.protocol = decoder
        self.file = tempfile.TemporaryFile() if not hasattr(os, "memfd_create") else None  # noqa: SIM115
        self.memory = self.file.fileno() if self.file else os.memfd_create("frame")
        self.view: mmap.mmap | None = None
        self.asked: deque[_Asked] = deque()
        here = Path(__file__).parent
        command = [sys.executable, "-P", str(here / "decoder.py"), str(here / "codecs.py"), str(self.memory)]
        # One thread: numpy's own would each take address space.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(  # noqa: S603 - our own file
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(self.memory,),
            env=environment,
            bufsize=0,
        )

    @property
    def is_usable(self) -> bool:
        """Whether it lives and owes no answer: an interrupted child would answer the wrong question."""
        return not self.asked and self.process.poll() is None

    def send(self, codec: Codec, stream: bytes, shape: Shape) -> None:
        """Ask for a frame."""
        count = shape.rows * shape.columns * shape.samples
        length, room = -(-len(stream) // 64) * 64, -(-count * max(4, shape.bits // 8) // 64) * 64
        start = self._free(length + room)
        asked = _Asked(shape, start, start + length, start + length + room)
        self._view(asked.stop)[start : start + len(stream)] = stream
        request = self.protocol.REQUEST.pack(
            _NUMBERS[codec.syntax], shape.rows, shape.columns, shape.samples, shape.bits,
            shape.signed, shape.ybr, start, len(stream), asked.place, room,
        )  # fmt: skip
        assert self.process.stdin is not None  # noqa: S101 - a pipe above
        self.asked.append(asked)
        try:
            self.process.stdin.write(request)
        except BrokenPipeError:
            raise DecodeError(self._death()) from None

    def receive(self) -> Array:
        """Return the frame that was asked for first; its memory is used again by the next ``send``."""
        asked = self.asked[0]
        good, dtype, why = self.protocol.ANSWER.unpack(self._answer(asked.frame_bytes))
        if good not in (0, 1) or (good and dtype.rstrip(b"\0") not in _DTYPES):
            # Not what our own program says: it is not used again.
            self.process.kill()
            raise DecodeError("the decoder gave an answer that makes no sense")
        self.asked.popleft()
        if not good:
            raise DecodeError(why.rstrip(b"\0").decode("ascii", "replace"))
        shape = asked.shape
        view, count = self._view(asked.stop), shape.rows * shape.columns * shape.samples
        out = np.frombuffer(view, dtype.rstrip(b"\0").decode("ascii"), count, asked.place)
        return out.reshape(shape.rows, shape.columns, *((shape.samples,) if shape.samples > 1 else ()))

    def _free(self, size: int) -> int:
        """Return the start of memory that no frame on its way lies in."""
        if not self.asked or self.asked[0].start >= size:
            return 0
        return self.asked[0].stop

    def _view(self, size: int) -> mmap.mmap:
        if self.view is None or len(self.view) < size:
            os.ftruncate(self.memory, max(_LEAST_BYTES, size * 5 // 4))
            self.view = mmap.mmap(self.memory, 0)
        return self.view

    def _answer(self, frame_bytes: int) -> bytes:
        assert self.process.stdout is not None  # noqa: S101 - a pipe above
        wall_s = _WALL_PER_PROCESSOR_SECOND * self.protocol.seconds_for(frame_bytes)
        answer = b""
        while len(answer) < self.protocol.ANSWER.size:
            if not _readable(self.process.stdout.fileno(), wall_s):
                raise DecodeError("the decoder " + _DEATHS["SIGXCPU"])
            part = self.process.stdout.read(self.protocol.ANSWER.size - len(answer))
            if not part:
                raise DecodeError(self._death())
            answer += part
        return answer

    def _death(self) -> str:
        code = self.process.wait()
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"the decoder {_DEATHS.get(name, f'crashed ({name})')}"

    def close(self) -> None:
        """End the process and give back what it shared."""
        self.process.kill()
        self.process.wait()
        self.release()

    def release(self) -> None:
        """Close this process's ends, without touching the child."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        if self.file is not None:
            self.file.close()
        else:
            os.close(self.memory)


def _readable(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
