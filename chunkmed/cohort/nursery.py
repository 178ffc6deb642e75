"""Where children are forked, everything imported, no thread running: ``python -m chunkmed.cohort.nursery``.

A child that died is replaced in milliseconds: importing what a case needs takes seconds, and threads of
whoever asks for work must not be forked.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from chunkmed.cohort.child import work
from chunkmed.errors import PlanError

__all__ = ["NURSERY", "Nursery", "main"]

_LINE_BYTES = 4096
_PATIENCE_S = 5.0


class Nursery:
    """The forking process as whoever asks it sees it: started when it is needed first."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.line: socket.socket | None = None
        self.lock = threading.Lock()

    def fork(self) -> tuple[int, socket.socket]:
        """Return number and socket of a new child.

        Raises
        ------
        PlanError
            ``no-process`` if none can be started.
        """
        with self.lock:
            try:
                return self._forked()
            except (OSError, EOFError):
                # Killed meanwhile, perhaps: once more, with a new one.
                self._end()
            try:
                return self._forked()
            except (OSError, EOFError) as error:
                self._end()
                raise PlanError(
                    "no process can be started for the cases",
                    kind="no-process",
                    why=str(error) or "it ended at once",
                    fix='look at: python -c "import chunkmed.cohort.casework"',
                ) from error

    def _forked(self) -> tuple[int, socket.socket]:
        self._start()
        ours, theirs = socket.socketpair()
        assert self.line is not None  # noqa: S101 - started
        with theirs:
            try:
                socket.send_fds(self.line, [b'{"fork": true}\n'], [theirs.fileno()])
                return int(self._answer()["pid"]), ours
            except BaseException:
                ours.close()
                raise

    def wait(self, pid: int) -> int:
        """Return how a child ended: its exit code, negative for a signal."""
        with self.lock:
            if self.line is None:
                return -signal.SIGKILL
            try:
                self.line.sendall((json.dumps({"wait": pid}) + "\n").encode())
                return int(self._answer()["code"])
            except (OSError, EOFError):
                return -signal.SIGKILL

    def close(self) -> None:
        """End the process, and the children with it."""
        with self.lock:
            self._end()

    def _end(self) -> None:
        if self.line is not None:
            self.line.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = self.line = None

    def forget(self) -> None:
        """Leave the process to the one that this process was forked from."""
        if self.line is not None:
            self.line.close()
        if self.process is not None:
            self.process.returncode = 0  # not this process's child: nothing to wait for
        self.__init__()  # type: ignore[misc] # another thread may have held the lock

    def begin(self) -> None:
        """Start it ahead of the first child: it imports while whoever asks does."""
        with self.lock:
            self._start()

    def _start(self) -> None:
        if self.process is not None and self.process.poll() is None:
            return
        if self.line is not None:
            self.line.close()
        self.line, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", "chunkmed.cohort.nursery", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=_environment(),
                # Ctrl-C is for whoever asks.
                start_new_session=True,
            )

    def _answer(self) -> dict[str, Any]:
        assert self.line is not None  # noqa: S101 - something was asked
        text = b""
        while not text.endswith(b"\n"):
            part = self.line.recv(_LINE_BYTES)
            if not part:
                raise EOFError
            text += part
        answer: dict[str, Any] = json.loads(text)
        return answer


#: That of this process.
NURSERY = Nursery()
atexit.register(NURSERY.close)


def _environment() -> dict[str, str]:
    """Return this process's environment; modules are found where this process finds them."""
    paths = [path or os.getcwd() for path in sys.path]  # noqa: PTH109 - plain text
    # Threads of numpy's own would be beside those that the budget knows, and none may run when forking.
    one = {name: os.environ.get(name, "1") for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
    return {**os.environ, **one, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def main() -> None:
    """Fork children, and say how they ended, until whoever asks is gone."""
    line = socket.socket(fileno=int(sys.argv[1]))
    line.set_inheritable(False)
    import chunkmed.cohort.casework  # noqa: F401 - what children need is there before they are
    from chunkmed.kernels.compiled import get_ready

    get_ready()
    # Pages that the collector does not touch stay shared.
    gc.collect()
    gc.freeze()
    while True:
        text, handles, _, _ = socket.recv_fds(line, _LINE_BYTES, 1)
        if not text:
            # Children die with this process.
            os._exit(0)
        asked = json.loads(text)
        if "fork" in asked:
            _tell(line, {"pid": _forked(line, handles[0])})
        else:
            _tell(line, {"code": _ended(int(asked["wait"]))})


def _tell(line: socket.socket, what: dict[str, int]) -> None:
    try:
        line.sendall((json.dumps(what) + "\n").encode())
    except OSError:
        os._exit(0)


def _forked(line: socket.socket, handle: int) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(handle)
        return pid
    code = 1
    try:
        line.close()
        work(socket.socket(fileno=handle), parent)
        code = 0
    finally:
        # Nothing of this process's ending is the child's.
        os._exit(code)


def _ended(pid: int) -> int:
    """Return the exit code of a child; one that closed its socket and lives is ended."""
    end = time.monotonic() + _PATIENCE_S
    with suppress(ChildProcessError):
        while time.monotonic() < end:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        os.kill(pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return -signal.SIGKILL


if __name__ == "__main__":
    main()
