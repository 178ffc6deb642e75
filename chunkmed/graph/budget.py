"""How much memory and how many workers a computation may use."""

from __future__ import annotations

import ctypes
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType

from chunkmed.errors import InputError
from chunkmed.units import format_bytes, parse_bytes

__all__ = ["Budget", "config", "current_budget", "resident_bytes", "return_freed_memory"]

#: Part of the free memory that is taken when nobody says how much.
_DEFAULT_SHARE = 0.5
_M_MMAP_THRESHOLD = -3
_CGROUP_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class Budget:
    """Peak memory of the whole process and number of tasks that run at a time.

    Examples
    --------
    >>> print(Budget.of("2 GB", workers=2))
    2 GB, 2 workers
    """

    memory: int
    """Bytes, the interpreter and its libraries included."""
    workers: int
    """Tasks at a time."""

    @classmethod
    def of(cls, memory: int | float | str | None = None, workers: int | None = None) -> Budget:
        """Return a budget; what is not given is read from the machine."""
        if workers is not None and workers < 1:
            raise InputError(f"workers = {workers}", kind="bad-budget", fix="give at least 1")
        amount = parse_bytes(memory) if memory is not None else int(_available_bytes() * _DEFAULT_SHARE)
        return cls(amount, workers if workers is not None else _usable_cores())

    def __str__(self) -> str:
        return f"{format_bytes(self.memory)}, {self.workers} workers"


_configured: list[Budget] = []


class config(AbstractContextManager[Budget]):  # noqa: N801 - mirrors dask.config.set
    """Set the budget of what follows, for good or within a ``with`` block.

    Parameters
    ----------
    memory : int or str, optional
        Peak memory of the process, like ``"2 GB"``.
    workers : int, optional
        Tasks at a time.

    Examples
    --------
    >>> with config(memory="1 GB", workers=2) as budget:
    ...     budget.memory
    1000000000
    """

    def __init__(self, memory: int | float | str | None = None, workers: int | None = None) -> None:
        self._before = list(_configured)
        _configured[:] = [Budget.of(memory, workers)]

    def __enter__(self) -> Budget:
        return _configured[0]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _configured[:] = self._before


def current_budget() -> Budget:
    """Return the budget that was configured, else the machine's."""
    return _configured[0] if _configured else Budget.of()


def resident_bytes() -> int:
    """Return the memory that this process holds now, freed memory given back to the system."""
    _give_back()
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


@cache
def return_freed_memory() -> None:
    """Let glibc give arrays back when they are freed: blocks would pile up in its arenas else.

    glibc raises this threshold by itself, up to 32 MiB; labelling 1.2 GB then kept 90 MB more.
    """
    try:
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 20)
    except (OSError, AttributeError, TypeError):
        return


def _give_back() -> None:
    """Ask glibc for the freed memory that it keeps."""
    return_freed_memory()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):
        return


def _usable_cores() -> int:
    slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(int(slurm), affinity) if slurm.isdigit() and int(slurm) else affinity


def _available_bytes() -> int:
    limits = [_free_bytes(), *_cgroup_limits()]
    slurm = os.environ.get("SLURM_MEM_PER_NODE", "")
    if slurm.isdigit():
        limits.append(int(slurm) << 20)
    return min(limits)


def _free_bytes() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _cgroup_limits() -> list[int]:
    limits = []
    for name in _CGROUP_FILES:
        try:
            limits.append(int(Path(name).read_text()))
        except (OSError, ValueError):
            continue
    return limits
