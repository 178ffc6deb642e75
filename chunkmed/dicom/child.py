"""Decode compressed frames in children with bounded memory and time: a crash costs a file, not the process.

A child is started at the first frame, reused, replaced when it dies, and ends with its parent. The stream and
the decoded frame pass through shared memory, never through a pickle. ``CHUNKMED_DECODE=inline`` decodes
in the process itself.
"""

from __future__ import annotations

import atexit
import mmap
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.codecs import CODECS, Codec, Shape, decode

__all__ = ["DecodeError", "decode_frame"]

Array = npt.NDArray[Any]
_NUMBERS = {syntax: i for i, syntax in enumerate(CODECS)}
_LEAST_BYTES = 2**20
#: A busy machine gives a child little of its wall time: the processor time is what bounds it.
_WALL_PER_PROCESSOR_SECOND = 8
_DEATHS = {
    "SIGXCPU": "took more time than a frame may take",
    "SIGKILL": "was killed, for want of memory or by hand",
}


class DecodeError(Exception):
    """The frame could not be decoded; the message says why and quotes nothing of the file."""


def decode_frame(codec: Codec, stream: bytes, shape: Shape) -> Array:
    """Return the values of one frame, decoded in a child (or here, where children are turned off).

    Raises
    ------
    DecodeError
        If the codec refuses, crashes, panics, or needs more memory or time than a frame may.
    """
    if os.environ.get("CHUNKMED_DECODE") == "inline" or os.name != "posix":
        return _inline(codec, stream, shape)
    child = _POOL.take()
    try:
        out = child.decode(codec, stream, shape)
    except BaseException:
        _POOL.give(child)
        raise
    _POOL.give(child)
    return out


def _inline(codec: Codec, stream: bytes, shape: Shape) -> Array:
    try:
        return decode(codec, stream, shape)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a codec's panic is not an Exception
        raise DecodeError(type(error).__name__) from None


class _Child:
    """One decoding process and the memory that it shares."""

    def __init__(self) -> None:
        from chunkmed.dicom import decoder

        self.protocol = decoder
        self.file = tempfile.TemporaryFile() if not hasattr(os, "memfd_create") else None  # noqa: SIM115
        self.memory = self.file.fileno() if self.file else os.memfd_create("frame")
        self.view: mmap.mmap | None = None
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
        self.usable = True

    def decode(self, codec: Codec, stream: bytes, shape: Shape) -> Array:
        count = shape.rows * shape.columns * shape.samples
        place = -(-len(stream) // 64) * 64
        room = count * max(4, shape.bits // 8)
        view = self._view(place + room)
        view[: len(stream)] = stream
        request = self.protocol.REQUEST.pack(
            _NUMBERS[codec.syntax], shape.rows, shape.columns, shape.samples, shape.bits,
            shape.signed, shape.ybr, len(stream), place, room,
        )  # fmt: skip
        good, dtype, why = self.protocol.ANSWER.unpack(self._ask(request, count * shape.bits // 8))
        if not good:
            raise DecodeError(why.rstrip(b"\0").decode("ascii"))
        out = np.frombuffer(view, dtype.rstrip(b"\0").decode("ascii"), count, place).copy()
        return out.reshape(shape.rows, shape.columns, *((shape.samples,) if shape.samples > 1 else ()))

    def _view(self, size: int) -> mmap.mmap:
        if self.view is None or len(self.view) < size:
            os.ftruncate(self.memory, max(_LEAST_BYTES, size * 5 // 4))
            self.view = mmap.mmap(self.memory, 0)
        return self.view

    def _ask(self, request: bytes, frame_bytes: int) -> bytes:
        assert self.process.stdin is not None and self.process.stdout is not None  # noqa: S101 - pipes above
        self.usable = False  # until the answer is there: an interrupted child would answer the wrong question
        wall_s = _WALL_PER_PROCESSOR_SECOND * self.protocol.seconds_for(frame_bytes)
        answer = b""
        try:
            self.process.stdin.write(request)
            while len(answer) < self.protocol.ANSWER.size:
                if not _readable(self.process.stdout.fileno(), wall_s):
                    raise DecodeError("the decoder " + _DEATHS["SIGXCPU"])
                part = self.process.stdout.read(self.protocol.ANSWER.size - len(answer))
                if not part:
                    raise DecodeError(self._death())
                answer += part
        except BrokenPipeError:
            raise DecodeError(self._death()) from None
        self.usable = True
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


class _Pool:
    """Idle children; at most one for each processor, and never one for two threads at once."""

    def __init__(self) -> None:
        self.idle: list[_Child] = []
        self.places = threading.BoundedSemaphore(os.cpu_count() or 1)
        self.lock = threading.Lock()

    def take(self) -> _Child:
        self.places.acquire()
        try:
            with self.lock:
                if self.idle:
                    return self.idle.pop()
            return _Child()
        except BaseException as error:
            self.places.release()
            if isinstance(error, OSError):
                why = f"no decoding process can be started ({error.strerror})"
                raise DecodeError(why) from error
            raise

    def give(self, child: _Child) -> None:
        if child.usable and child.process.poll() is None:
            with self.lock:
                self.idle.append(child)
        else:
            child.close()
        self.places.release()

    def end(self) -> None:
        with self.lock:
            while self.idle:
                self.idle.pop().close()


_POOL = _Pool()


def _after_fork() -> None:
    # The children answer to the parent: two askers would get each other's frames.
    global _POOL
    old, _POOL = _POOL, _Pool()
    for child in old.idle:
        child.release()
        child.process.returncode = 0  # not this process's child: nothing to wait for


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(lambda: _POOL.end())
