"""What a bomb costs: memory of the process and of the one that decodes, and processor time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from faults.hostile.bombs import bombs
from faults.hostile.contained import Finding, run_cases
from faults.hostile.outcomes import outcome

from chunkmed.dicom import children

#: Of both processes, their imports included.
PEAK_BYTES = 512 << 20
#: Where this process holds more than what reading DICOM takes: a test's own.
GROWTH_BYTES = 400 << 20


def bomb_campaign(
    folder: Path, *, seconds: float, batch: int = 1000, say: Callable[[str], None] | None = None
) -> list[Finding]:
    """Scan and decode every bomb; return those that cost too much, or ended otherwise than they may.

    Parameters
    ----------
    folder : Path
        Where to write them.
    seconds : float
        Processor time that each may take.
    batch : int
        How many are opened in one process: with 1 the figures are those of each.
    say : callable, optional
        Called with what each of them costs.
    """
    names = list(bombs())
    # In processes of their own: this one must not grow by making them.
    written = run_cases(0, len(names), lambda n: bombs()[names[n]](folder / f"{n}.dcm"), seconds=60.0)
    assert written == [], written

    def act(case: int) -> None:
        cost = _explode(folder / f"{case}.dcm", alone=batch == 1)
        if say is not None:
            say(f"{names[case]}: {cost}")

    found = run_cases(0, len(names), act, seconds=seconds, growth_bytes=GROWTH_BYTES, batch=batch)
    return [Finding(case, f"{names[case]}: {what}") for case, what in found]


def _explode(path: Path, *, alone: bool) -> str:
    _forget_peaks()
    began = 0 if alone else _resident_bytes()
    started = time.process_time()
    said = outcome(path)
    took = time.process_time() - started
    grown = _peak_bytes("self") - began + sum(map(_peak_bytes, _decoders()))
    if grown > (PEAK_BYTES if alone else GROWTH_BYTES):
        raise MemoryError(f"took {grown >> 20} MiB")
    return f"{grown >> 20} MiB, {took:.2f} s, {said[-120:]}"


def _decoders() -> list[str]:
    return [str(child.process.pid) for child in children._POOL.idle]


def _forget_peaks() -> None:
    for process in ("self", *_decoders()):
        Path(f"/proc/{process}/clear_refs").write_text("5")


def _peak_bytes(process: str) -> int:
    return _status_bytes(process, "VmHWM:")


def _resident_bytes() -> int:
    return _status_bytes("self", "VmRSS:")


def _status_bytes(process: str, name: str) -> int:
    text = Path(f"/proc/{process}/status").read_text()
    return int(text.partition(name)[2].split()[0]) * 1024
