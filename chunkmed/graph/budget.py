"""How much memory and how many workers a computation may use."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import dask.base

from chunkmed.errors import InputError, PlanError
from chunkmed.graph.schedulers import scheduler_in_use
from chunkmed.reused import idle_bytes
from chunkmed.store.options import use_storage_options
from chunkmed.units import format_bytes, is_whole, parse_bytes

__all__ = [
    "GROWTH_BYTES",
    "Budget",
    "base_bytes",
    "base_of",
    "budget_of_client",
    "config",
    "current_budget",
    "expecting",
    "peak_bytes",
    "resident_bytes",
    "return_freed_memory",
]

#: Part of the free memory that is taken when nobody says how much.
_DEFAULT_SHARE = 0.5
#: Part of a dask worker's limit, above which it moves data to disk.
_CLUSTER_SHARE = 0.6
#: What a dask worker holds once it has imported what a task needs.
_WORKER_BYTES = 250 << 20
#: What a process grows by once it works: kernels that are compiled (90 MB of them), modules.
GROWTH_BYTES = 96 << 20
#: What each call adds: tables, results.
_LATER_BYTES = 16 << 20
_M_MMAP_THRESHOLD = -3
_CGROUP = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


#: More threads than that nobody has.
_MOST_WORKERS = 100_000


@dataclass(frozen=True)
class Budget:
    """Peak memory of the whole process and number of tasks that run at a time.

    Examples
    --------
    >>> print(Budget.of("2 GB", workers=2))
    2 GB, 2 workers
    """

    memory: int
    """Bytes of one process, the interpreter and its libraries included."""
    workers: int
    """Tasks at a time, in all processes."""
    processes: int = 1
    """Processes that tasks run in."""
    base: int | None = None
    """Bytes that a process holds before it works, where that is not this one."""

    @property
    def threads(self) -> int:
        """Tasks at a time in one process."""
        return -(-self.workers // self.processes)

    @classmethod
    def of(cls, memory: int | float | str | None = None, workers: int | None = None) -> Budget:
        """Return a budget; what is not given is read from the machine."""
        if workers is not None and not (is_whole(workers) and 1 <= workers <= _MOST_WORKERS):
            fix = f"give a whole number from 1 to {_MOST_WORKERS}"
            raise InputError(f"workers = {workers!r}", kind="bad-budget", fix=fix)
        amount = parse_bytes(memory) if memory is not None else int(_available_bytes() * _DEFAULT_SHARE)
        return cls(amount, workers if workers is not None else _usable_cores())

    def __str__(self) -> str:
        each = f" in each of {self.processes} processes" if self.processes > 1 else ""
        return f"{format_bytes(self.memory)}{each}, {self.workers} workers"


_configured: list[Budget] = []


class config(AbstractContextManager[Budget]):  # noqa: N801 - mirrors dask.config.set
    """Set the budget of what follows, and where it works, for good or within a ``with`` block.

    Parameters
    ----------
    memory : int or str, optional
        Peak memory of the process, like ``"2 GB"``.
    workers : int, optional
        Tasks at a time.
    base : int, optional
        Bytes that the process holds before it works, to plan for one that is not this one.
    storage_options : mapping, optional
        How object stores are reached: ``endpoint``, ``region``, ``access_key_id``,
        ``secret_access_key``, ``timeout``, ``retries`` ... What is not given is read from the
        provider's environment variables (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL`` ...).

    Examples
    --------
    >>> with config(memory="1 GB", workers=2) as budget:
    ...     budget.memory
    1000000000
    """

    def __init__(
        self,
        memory: int | float | str | None = None,
        workers: int | None = None,
        *,
        base: int | None = None,
        storage_options: Mapping[str, object] | None = None,
    ) -> None:
        self._before = list(_configured)
        self._options: dict[str, str] | None = None
        if (memory, workers, base) != (None, None, None) or storage_options is None:
            _configured[:] = [replace(Budget.of(memory, workers), base=base)]
        if storage_options is not None:
            self._options = use_storage_options(storage_options)

    def __enter__(self) -> Budget:
        return _configured[0] if _configured else Budget.of()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _configured[:] = self._before
        if self._options is not None:
            use_storage_options(self._options)


def current_budget() -> Budget:
    """Return the budget that was configured, else that of dask's workers, else the machine's."""
    get = scheduler_in_use()
    # A distributed client, told by what it can do: only the room for clusters imports it.
    client: Any = getattr(get, "__self__", None)
    if hasattr(client, "scheduler_info"):
        return budget_of_client(client)
    budget = _configured[0] if _configured else Budget.of()
    if get is not None and get is dask.base.named_schedulers.get("processes"):
        return Budget(budget.memory // budget.workers, budget.workers, budget.workers)
    return budget


#: Processes and threads that a client is going to have: jobs begin one after the other.
_expected: weakref.WeakKeyDictionary[Any, tuple[int, int]] = weakref.WeakKeyDictionary()


@contextmanager
def expecting(client: Any, processes: int, threads: int) -> Iterator[None]:
    """Let plans for a client count on workers that have not begun yet."""
    _expected[client] = processes, threads
    try:
        yield
    finally:
        del _expected[client]


def budget_of_client(client: Any) -> Budget:
    """Return what each worker of a distributed client may take: dask begins to spill at 60 % of its limit."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise PlanError(
            "the dask cluster has no workers", kind="no-workers", fix="start workers, or wait for them"
        )
    limits = [int(worker["memory_limit"]) for worker in workers.values() if worker["memory_limit"]]
    memory = int(min(limits) * _CLUSTER_SHARE) if limits else Budget.of().memory // len(workers)
    if _configured:
        memory = min(memory, _configured[0].memory)
    held = [int(worker.get("metrics", {}).get("memory", 0)) for worker in workers.values()]
    threads = sum(int(worker["nthreads"]) for worker in workers.values())
    processes, more = _expected.get(client, (0, 0))
    return Budget(memory, max(threads, more), max(len(workers), processes), max(*held, _WORKER_BYTES))


def resident_bytes() -> int:
    """Return the memory that this process holds now, freed memory given back to the system."""
    _give_back()
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak_bytes()
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int:
    """Return the most memory that this process held, since its peak was forgotten where it ever was."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def base_bytes() -> int:
    """Return what a process holds beside its tasks, with what it still grows by.

    Kernels that are compiled and modules make it grow once: later calls find it grown.
    """
    # What is kept for tasks is theirs.
    resident = resident_bytes() - idle_bytes()
    _smallest[:] = [min([resident, *_smallest])]
    return max(_smallest[0] + GROWTH_BYTES, resident + _LATER_BYTES)


_smallest: list[int] = []


def base_of(budget: Budget) -> int:
    """Return what a process of a budget holds beside its tasks, with what it still grows by."""
    return base_bytes() if budget.base is None else budget.base + GROWTH_BYTES


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
    per_node = os.environ.get("SLURM_MEM_PER_NODE", "")
    per_cpu = os.environ.get("SLURM_MEM_PER_CPU", "")
    if per_node.isdigit() and int(per_node):
        limits.append(int(per_node) << 20)
    elif per_cpu.isdigit() and int(per_cpu):
        limits.append((int(per_cpu) << 20) * _usable_cores())
    return min(limits)


def _free_bytes() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _cgroup_limits() -> list[int]:
    limits = []
    for path in _cgroup_files():
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):
            continue
    return limits


def _cgroup_files() -> Iterator[Path]:
    """Yield where limits of this process may stand: its own group and those around it."""
    yield _CGROUP / "memory" / "memory.limit_in_bytes"
    try:
        own = next(line[3:] for line in _OWN_CGROUP.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        own = "/"
    place = _CGROUP / own.strip("/")
    for folder in (place, *place.parents):
        if folder.is_relative_to(_CGROUP):
            yield folder / "memory.max"
