"""A child that works on cases, seen from outside: asked, watched, ended when it takes too much, replaced."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import Any

from chunkmed.cohort.casework import Request
from chunkmed.cohort.memory import exceeds
from chunkmed.cohort.outcomes import Outcome, partial_folder, publish_failure
from chunkmed.units import format_bytes

__all__ = ["Worker", "Workers"]

_LOOK_EVERY_S = 0.03
_START_S = 600.0
_RECEIVE_BYTES = 1 << 16


class _DiedError(Exception):
    """The child ended without an answer."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind, self.message = kind, message
        super().__init__(message)


class Worker:
    """One child and its two pipes."""

    def __init__(self) -> None:
        theirs_in, self.requests = os.pipe()
        self.answers, theirs_out = os.pipe()
        self.rest = b""
        try:
            # By name only: it must not wait for what the command line of the parent imports.
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", "chunkmed.cohort.child", str(theirs_in), str(theirs_out)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs_in, theirs_out),
                env=_environment(),
                # A group of its own: it is ended with all that it started.
                start_new_session=True,
            )
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        self.ready = False
        self.stopped = False

    @property
    def is_alive(self) -> bool:
        """Whether it can take a case."""
        return self.process.poll() is None

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self.process.pid

    def run(self, request: Request, timeout_s: float | None) -> Outcome:
        """Have a case worked on; a child that dies over it is an outcome too."""
        started = time.monotonic()
        try:
            if not self.ready:
                self._answer(time.monotonic() + _START_S, None)
                self.ready, started = True, time.monotonic()
            _write_all(self.requests, (json.dumps(request.as_dict()) + "\n").encode())
            end = None if timeout_s is None else started + timeout_s
            return Outcome(**self._answer(end, request.memory))
        except (_DiedError, BrokenPipeError) as error:
            died = error if isinstance(error, _DiedError) else _DiedError(*self._death())
            self.close()
            if self.stopped:
                raise CancelledError from None
            return _of_death(request, died, time.monotonic() - started)

    def _answer(self, end: float | None, memory: int | None) -> dict[str, Any]:
        while b"\n" not in self.rest:
            if select.select([self.answers], [], [], _LOOK_EVERY_S)[0]:
                part = os.read(self.answers, _RECEIVE_BYTES)
                if not part:
                    raise _DiedError(*self._death())
                self.rest += part
                continue
            if memory is not None and exceeds(self.pid, memory):
                raise _DiedError("out-of-memory", f"it held more than {format_bytes(memory)} and was ended")
            if end is not None and time.monotonic() > end:
                raise _DiedError("timeout", "it took longer than a case may take and was ended")
        line, _, self.rest = self.rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _death(self) -> tuple[str, str]:
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            return "crashed", "its process closed its pipes"
        if code == -signal.SIGKILL:
            return "killed", "its process was killed, by the system for want of memory or by hand"
        if code < 0:
            return "crashed", f"its process crashed ({signal.Signals(-code).name})"
        return "exited", f"its process ended by itself (exit code {code})"

    def stop(self) -> None:
        """End the child without a word about its case, which goes on another time."""
        self.stopped = True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the child and all that it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        for handle in (self.requests, self.answers):
            with suppress(OSError):
                os.close(handle)


def _write_all(handle: int, text: bytes) -> None:
    while text:
        text = text[os.write(handle, text) :]


def _environment() -> dict[str, str]:
    """Return this process's environment; modules are found where this process finds them."""
    paths = [path or os.getcwd() for path in sys.path]  # noqa: PTH109 - plain text
    # Threads of numpy's own would be beside those that the budget knows.
    one = {name: os.environ.get(name, "1") for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
    return {**os.environ, **one, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _of_death(request: Request, died: _DiedError, seconds: float) -> Outcome:
    """Write down what a child died of: it cannot do so itself."""
    out = Path(request.out)
    outcome = Outcome(state="failed", kind=died.kind, message=died.message, seconds=seconds, **request.about)
    if died.kind == "out-of-memory":
        outcome.peak_bytes = request.memory
    with suppress(OSError):
        publish_failure(out, outcome, partial_folder(out, request.spec.case) / "log.txt")
    return outcome


class Workers:
    """The children of this process; never one for two threads at once."""

    def __init__(self) -> None:
        self.idle: list[Worker] = []
        self.busy: set[Worker] = set()
        self.lock = threading.Lock()

    def run(self, request: Request, timeout_s: float | None) -> Outcome:
        """Have a case worked on by an idle child, or by a new one."""
        worker = self._taken()
        try:
            return worker.run(request, timeout_s)
        except BaseException:
            worker.close()
            raise
        finally:
            with self.lock:
                self.busy.discard(worker)
                if worker.is_alive:
                    self.idle.append(worker)

    def _taken(self) -> Worker:
        with self.lock:
            while self.idle:
                worker = self.idle.pop()
                if worker.is_alive:
                    break
                worker.close()
            else:
                worker = Worker()
            self.busy.add(worker)
        return worker

    def keep(self, count: int) -> None:
        """End idle children beyond a number: what they hold is needed."""
        with self.lock:
            ended, self.idle = self.idle[count:], self.idle[:count]
        for worker in ended:
            worker.close()

    def stop(self) -> None:
        """End all children; their cases go on another time."""
        with self.lock:
            for worker in self.busy:
                worker.stop()
        self.keep(0)
