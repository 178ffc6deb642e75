"""Schedulers and workers of dask in processes of their own, as somebody else would start them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

_WAIT_S = 60.0
#: A worker on whose machine there is no chunkmed.
WITHOUT = "import sys; sys.modules['chunkmed'] = None; from distributed.cli.dask_worker import main; main()"


@contextmanager
def process(arguments: list[str], log: Path) -> Iterator[subprocess.Popen]:
    """Give a process that is over when the block is; what it says goes to a file."""
    with log.open("w") as out:
        started = subprocess.Popen(arguments, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        yield started
    finally:
        started.terminate()
        with suppress(subprocess.TimeoutExpired):
            started.wait(10)
        started.kill()
        started.wait(10)


@contextmanager
def scheduler(folder: Path, tls: Path | None = None) -> Iterator[tuple[subprocess.Popen, str]]:
    """Give a scheduler on 127.0.0.1, and its address."""
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    command += ["--no-dashboard", "--dashboard-address", "127.0.0.1:0", *certificates(tls)]
    log = folder / "scheduler.log"
    with process(command, log) as started:
        yield started, said(log, started, "Scheduler at:").split()[-1]


@contextmanager
def worker(
    address: str, folder: Path, name: str, tls: Path | None, *, before: tuple[str, ...] = (), code: str = ""
) -> Iterator[subprocess.Popen]:
    """Give a worker of one thread; ``before`` is what its command is an argument of."""
    program = ["-c", code] if code else ["-m", "distributed.cli.dask_worker"]
    command = [sys.executable, *program, address, "--name", name, "--nthreads", "1", "--no-nanny"]
    command += ["--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    command += ["--memory-limit", "1GB", "--local-directory", str(folder), "--death-timeout", "60"]
    log = folder / f"{name}.log"
    with process([*before, *command, *certificates(tls)], log) as started:
        said(log, started, "Registered to:")
        yield started


def certificates(tls: Path | None) -> list[str]:
    if tls is None:
        return []
    return [
        "--tls-ca-file",
        str(tls / "ca.pem"),
        "--tls-cert",
        str(tls / "cert.pem"),
        "--tls-key",
        str(tls / "key.pem"),
    ]


def said(log: Path, started: subprocess.Popen, words: str) -> str:
    """Wait for a line of the log."""
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if words in line:
                return line
        assert started.poll() is None, log.read_text()
        time.sleep(0.05)
    raise TimeoutError(log.read_text())


def kill(started: subprocess.Popen) -> None:
    """End a process as the system does that has no memory left."""
    os.kill(started.pid, signal.SIGKILL)
    started.wait(10)


def listening(pid: int) -> set[str]:
    """Return the addresses, in hexadecimal, on which a process waits for connections."""
    links = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            links.append(str(path.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and f"socket:[{rest[5]}]" in links:
                found.add(local.partition(":")[0])
    return found


def pages(port: int) -> list[str]:
    """Return what a scheduler or worker of dask shows to whoever asks at its port."""
    shown = []
    for path in (
        "",
        "status",
        "info/main/workers.html",
        "json/counts.json",
        "metrics",
        "health",
    ):
        with suppress(HTTPError), urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10):
            shown.append(path)
    return shown
