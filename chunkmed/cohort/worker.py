"""A child that works on cases, seen from outside: asked, watched, ended when it takes too much, replaced."""

from __future__ import annotations

import json
import os
import select
import signal
import threading
import time
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import Any

from chunkmed.cohort.casework import Request
from chunkmed.cohort.memory import exceeds
from chunkmed.cohort.nursery import NURSERY, Nursery
from chunkmed.cohort.outcomes import Outcome, partial_folder, publish_failure
from chunkmed.units import format_bytes

__all__ = ["Worker", "Workers"]

_LOOK_EVERY_S = 0.03
_START_S = 600.0
_RECEIVE_BYTES = 1 << 16


class _DiedError(Exception):
    """The child ended without an answer."""

    def __init__(self, message: str, *, kind: str) -> None:
        self.kind, self.message = kind, message
        super().__init__(message)


class Worker:
    """One child and the socket to it."""

    def __init__(self, nursery: Nursery) -> None:
        self.nursery = nursery
        self.pid, self.channel = nursery.fork()
        self.rest = b""
        self.ready, self.stopped, self.closed = False, False, False

    @property
    def is_alive(self) -> bool:
        """Whether it can take a case: an idle child has nothing to say, its socket is open."""
        if self.closed or self.stopped:
            return False
        return not select.select([self.channel], [], [], 0)[0]

    def run(self, request: Request, timeout_s: float | None) -> Outcome:
        """Have a case worked on; a child that dies over it is an outcome too."""
        started = time.monotonic()
        try:
            if not self.ready:
                self._answer(time.monotonic() + _START_S, None)
                self.ready, started = True, time.monotonic()
            self.channel.sendall((json.dumps(request.as_dict()) + "\n").encode())
            end = None if timeout_s is None else started + timeout_s
            return Outcome(**self._answer(end, request.memory))
        except (_DiedError, ConnectionError) as error:
            died = error if isinstance(error, _DiedError) else self._death()
            self.close()
            if self.stopped:
                raise CancelledError from None
            return _of_death(request, died, time.monotonic() - started)

    def _answer(self, end: float | None, memory: int | None) -> dict[str, Any]:
        while b"\n" not in self.rest:
            if select.select([self.channel], [], [], _LOOK_EVERY_S)[0]:
                part = self.channel.recv(_RECEIVE_BYTES)
                if not part:
                    raise self._death()
                self.rest += part
                continue
            if memory is not None and exceeds(self.pid, memory):
                raise _DiedError(
                    f"it held more than {format_bytes(memory)} and was ended", kind="out-of-memory"
                )
            if end is not None and time.monotonic() > end:
                raise _DiedError("it took longer than a case may take and was ended", kind="timeout")
        line, _, self.rest = self.rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _death(self) -> _DiedError:
        code = self.nursery.wait(self.pid)
        if code == -signal.SIGKILL:
            why = "its process was killed, by the system for want of memory or by hand"
            return _DiedError(why, kind="killed")
        if code < 0:
            return _DiedError(f"its process crashed ({signal.Signals(-code).name})", kind="crashed")
        return _DiedError(f"its process ended by itself (exit code {code})", kind="exited")

    def stop(self) -> None:
        """End the child without a word about its case, which goes on another time."""
        self.stopped = True
        self._kill()

    def close(self) -> None:
        """End the child and all that it started."""
        if not self.closed:
            self.closed = True
            self._kill()
            self.nursery.wait(self.pid)
            self.channel.close()

    def _kill(self) -> None:
        # Before it has a group of its own it has started nothing.
        for kill in (os.killpg, os.kill):
            with suppress(ProcessLookupError, PermissionError):
                kill(self.pid, signal.SIGKILL)
                return


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
        self.nursery = NURSERY
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
                worker = Worker(self.nursery)
            self.busy.add(worker)
        return worker

    def forget(self) -> None:
        """Leave all children to the process that this one was forked from."""
        for worker in (*self.idle, *self.busy):
            worker.channel.close()
        self.nursery.forget()
        self.__init__()  # type: ignore[misc] # a new one, under the name that others know

    def keep(self, count: int) -> None:
        """End idle children beyond a number: what they hold is needed."""
        with self.lock:
            ended, self.idle = self.idle[count:], self.idle[:count]
        for worker in ended:
            worker.close()

    def stop(self) -> None:
        """End all children; cases under way go on another time."""
        with self.lock:
            for worker in self.busy:
                worker.stop()
        self.keep(0)
        if not self.busy:
            self.nursery.close()
