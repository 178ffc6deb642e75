"""What a process and all that it started hold in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["exceeds", "held_bytes"]

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def exceeds(pid: int, limit: int) -> bool:
    """Whether a process and those that it started hold more than a limit, shared pages counted once."""
    pids = list(_tree(pid))
    # The quick look first: resident pages, shared ones counted in each.
    return sum(map(_resident, pids)) > limit and held_bytes(pid) > limit


def held_bytes(pid: int) -> int:
    """Return the proportional resident size of a process and those that it started; 0 when it is gone."""
    return sum(_proportional(each) for each in _tree(pid))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))
    except (OSError, ValueError):
        return


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except (OSError, ValueError, StopIteration):
        return _resident(pid)
