"""The process that works on cases, one after the other: ``python -m chunkmed.cohort.child IN OUT``.

Requests come and answers go as lines of JSON through two pipes; what a case prints goes to its log.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1
#: Address space that a case may take beyond its memory: stacks, arenas, what is mapped and not touched.
_SPARE_ADDRESSES = 4 << 30


def main() -> None:
    """Answer requests until the pipe ends."""
    requests, answers = (int(word) for word in sys.argv[1:3])
    _die_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What is imported before the first case is in no case's time.
    from chunkmed.cohort.casework import Request, run_case

    faulthandler.enable(2)
    _tell(answers, {"ready": os.getpid()})
    with os.fdopen(requests, encoding="utf-8") as lines:
        for line in lines:
            request = Request.of(json.loads(line))
            _limit(request.memory)
            outcome = run_case(request, _log_to)
            _log_to(Path(os.devnull))
            _tell(answers, vars(outcome))


def _die_with_parent() -> None:
    """Have the system end this process when whoever started it is killed."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent waits for our answers: what it gets as Ctrl-C is its business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _tell(answers: int, what: dict[str, object]) -> None:
    os.write(answers, (json.dumps(what, default=str) + "\n").encode())


def _log_to(path: Path) -> None:
    _flush()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _limit(memory: int) -> None:
    """Refuse single arrays far beyond what the case may take; the parent watches the rest."""
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        now = pages * os.sysconf("SC_PAGE_SIZE")
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wished = now + 2 * memory + _SPARE_ADDRESSES
        soft = wished if hard == resource.RLIM_INFINITY else min(wished, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


if __name__ == "__main__":
    main()
