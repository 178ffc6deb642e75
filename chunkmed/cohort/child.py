"""The process that works on cases, one after the other: forked by the nursery, all imports done.

Requests come and answers go as lines of JSON through one socket; what a case prints goes to its log.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["work"]

_PR_SET_PDEATHSIG = 1
#: Address space that a case may take beyond its memory: stacks, arenas, what is mapped and not touched.
_SPARE_ADDRESSES = 4 << 30


def work(channel: socket.socket, parent: int) -> None:
    """Answer requests until the other end is closed.

    Parameters
    ----------
    channel : socket
        Where requests come from.
    parent : int
        The process that this one must not outlive.
    """
    # A group of its own: it is ended with all that it started.
    os.setsid()
    _die_with(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable(2)
    from chunkmed.cohort.casework import Request, run_case

    _tell(channel, {"ready": os.getpid()})
    with channel.makefile("r", encoding="utf-8") as lines:
        for line in lines:
            request = Request.of(json.loads(line))
            _limit(request.memory)
            outcome = run_case(request, _log_to)
            _log_to(Path(os.devnull))
            _tell(channel, vars(outcome))


def _die_with(parent: int) -> None:
    """Have the system end this process when its parent is killed."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    # Whoever asks for work waits for answers: what it gets as Ctrl-C is its business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _tell(channel: socket.socket, what: dict[str, object]) -> None:
    channel.sendall((json.dumps(what, default=str) + "\n").encode())


def _log_to(path: Path) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def _limit(memory: int) -> None:
    """Refuse single arrays far beyond what the case may take; the parent watches the rest."""
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        now = pages * os.sysconf("SC_PAGE_SIZE")
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wished = now + 2 * memory + _SPARE_ADDRESSES
        soft = wished if hard == resource.RLIM_INFINITY else min(wished, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
