"""Run what may crash, hang or take all memory in a process of its own, and tell which of its cases did."""

from __future__ import annotations

import faulthandler
import mmap
import os
import resource
import signal
import struct
import sys
import traceback
from collections.abc import Callable
from typing import NamedTuple

_PROGRESS = struct.Struct("<q")
#: A process that waits for something is seen by the wall clock, however busy the machine is.
_WALL_SECONDS = 120


class Finding(NamedTuple):
    """A case that ended otherwise than it may."""

    case: int
    what: str


def run_cases(
    first: int,
    last: int,
    act: Callable[[int], None],
    *,
    seconds: float = 5.0,
    growth_bytes: int = 400 << 20,
    batch: int = 2000,
) -> list[Finding]:
    """Run cases one after the other in forked processes; return those that raised, died, hung or grew.

    Parameters
    ----------
    first, last : int
        Numbers of the cases, the last one excluded.
    act : callable
        What to do with a number.
    seconds : float
        Processor time that a case may take.
    growth_bytes : int
        Memory that a process may take on top of what it began with.
    batch : int
        Cases in one process.
    """
    findings: list[Finding] = []
    shared = mmap.mmap(-1, 1 << 16)
    while first < last:
        stop = min(last, first + batch)
        shared[: _PROGRESS.size] = _PROGRESS.pack(first)
        _say(shared, "")
        cases = range(first, stop)
        status = _in_child(shared, lambda cases=cases: _work(shared, cases, act, seconds, growth_bytes))
        (reached,) = _PROGRESS.unpack(shared[: _PROGRESS.size])
        if status == 0:
            first = stop
            continue
        findings.append(Finding(reached, _cause(status, shared)))
        first = reached + 1
    return findings


def _work(
    shared: mmap.mmap, cases: range, act: Callable[[int], None], seconds: float, growth_bytes: int
) -> None:
    begin = _peak_bytes()
    # What a test's own process says of crashes is of no use here.
    faulthandler.disable()
    # The default action of both ends the process, in native code too.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for case in cases:
        shared[: _PROGRESS.size] = _PROGRESS.pack(case)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, _WALL_SECONDS)
        act(case)
        grown = _peak_bytes() - begin
        if grown > growth_bytes:
            raise MemoryError(f"grew by {grown >> 20} MiB")


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _in_child(shared: mmap.mmap, action: Callable[[], None]) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException as error:
            _say(shared, "".join(traceback.format_exception(error)[-4:]))
            os._exit(3)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def _say(shared: mmap.mmap, text: str) -> None:
    raw = text.encode("utf-8", "backslashreplace")[:60_000]
    start = _PROGRESS.size
    shared[start : start + 8 + len(raw)] = _PROGRESS.pack(len(raw)) + raw


def _cause(status: int, shared: mmap.mmap) -> str:
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return {"SIGPROF": "hung: too much processor time", "SIGALRM": "hung: waited"}.get(
            name, f"died of {name}"
        )
    (size,) = _PROGRESS.unpack_from(shared, _PROGRESS.size)
    start = 2 * _PROGRESS.size
    return shared[start : start + size].decode("utf-8")
