"""A measured process from outside and inside: its cores, its processor time, its memory."""

from __future__ import annotations

import mmap
import os
import resource
import threading
import time
from pathlib import Path

__all__ = [
    "MemorySampler",
    "cpu_seconds",
    "limited_environment",
    "machine_cpu_seconds",
    "memory_bytes",
    "peak_rss_mib",
    "pin",
    "reset_peak_rss",
    "rss_mib",
    "touch_memory",
]

#: Time between two looks at the memory.
INTERVAL_S = 0.05
#: More than most runs take, their files in the page cache included.
_TOUCHED_BYTES = 1 << 30
_THREAD_VARIABLES = "OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS NUMBA_NUM_THREADS"


def limited_environment(workers: int) -> dict[str, str]:
    """Return environment variables that hold libraries to a number of threads, codecs to one each."""
    counts = dict.fromkeys(_THREAD_VARIABLES.split(), str(workers))
    return counts | {"BLOSC_NTHREADS": "1", "ZARR_THREADING__MAX_WORKERS": str(workers)}


def pin(workers: int) -> None:
    """Keep this process, and the threads that it starts, on as many cores as it has workers."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:workers])


def descendants(pid: int) -> list[int]:
    """Return a process and all below it that are alive."""
    found = [pid]
    for each in found:
        for path in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += [int(child) for child in path.read_text().split()]
            except OSError:
                continue
    return found


def cpu_seconds() -> float:
    """Return the processor time of this process, of its children that ended and of those alive."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    alive = sum(_cpu_seconds_of(pid) for pid in descendants(os.getpid())[1:])
    return time.process_time() + ended.ru_utime + ended.ru_stime + alive


def _cpu_seconds_of(pid: int) -> float:
    try:
        # The name in brackets may hold blanks.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def machine_cpu_seconds() -> float:
    """Return the processor time that all cores were not idle, what a hypervisor took away included."""
    fields = [int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    # user nice system idle iowait irq softirq steal
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def memory_bytes(name: str) -> int:
    """Return what the kernel says of the machine's memory: ``MemFree``, ``MemAvailable``."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def touch_memory() -> None:
    """Take memory in large pages and give it back at once, as much as the machine has to spare.

    A virtual machine's kernel gives large pages that lie free for two seconds back to its host, and to
    touch them again takes 2 ms a megabyte: whoever took longer to import would pay more.
    """
    size = min(_TOUCHED_BYTES, memory_bytes("MemFree") // 2)
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        for start in range(0, len(memory), mmap.PAGESIZE):
            memory[start] = 1


def reset_peak_rss() -> None:
    """Let the kernel's own record of this process's peak begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_rss_mib() -> float:
    """Return the kernel's record: this process alone, no peak missed, shared pages counted whole."""
    return _status_mib("VmHWM")


def rss_mib() -> float:
    """Return the memory of this process now."""
    return _status_mib("VmRSS")


def _status_mib(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


class MemorySampler:
    """Looks at the memory of a process tree from a thread of another process.

    Parameters
    ----------
    pid : int
        Root of the tree.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.samples: list[tuple[float, int]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemorySampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(INTERVAL_S):
            pids = descendants(self.pid)
            if len(pids) == 1:
                # The kernel's own record is exact, and looking holds up a process that asks for memory.
                continue
            total = sum(_pss_bytes(pid) for pid in pids)
            if total:
                self.samples.append((time.monotonic(), total))

    def peak_mib(self, start_s: float, stop_s: float, alone_mib: float) -> float:
        """Return the highest sum of proportional set sizes between two readings of the clock.

        The clock is ``time.monotonic``, one for all processes. A part shorter than the interval has
        the sample that is nearest to its end; a process without children its own record.
        """
        if not self.samples:
            return alone_mib
        inside = [size for at, size in self.samples if start_s <= at <= stop_s]
        nearest = min(self.samples, key=lambda sample: abs(sample[0] - stop_s), default=(0.0, 0))
        return max(inside, default=nearest[1]) / 2**20


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
