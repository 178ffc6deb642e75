"""How far a cohort is: read from disk, by any process, while another runs it."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chunkmed.cohort.cases import read_columns
from chunkmed.cohort.ledger import Seen, seen
from chunkmed.units import format_bytes

__all__ = ["Status", "status"]

#: The rate is that of the last ends.
_LAST = 500


@dataclass(frozen=True)
class Status:
    """Counts, rate, time left, failures by kind.

    Examples
    --------
    >>> print(Status(total=3, done=2, failed=1, failures={"timeout": 1}))
    3 cases: 2 done, 1 failed, 0 under way, 0 waiting
    failed     1 timeout
    """

    total: int
    done: int
    failed: int
    under_way: int = 0
    waiting: int = 0
    is_running: bool = False
    """Whether a process of this machine runs it."""
    per_minute: float | None = None
    left_s: float | None = None
    failures: dict[str, int] = field(default_factory=dict)
    """How many failed, by kind, the commonest first."""
    starts: int = 0
    """How often a case was started: more than cases where some were cut off or tried again."""
    peak_bytes: int = 0
    """Of any case."""

    @property
    def is_over(self) -> bool:
        """Whether every case is done or failed."""
        return self.done + self.failed == self.total

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        counts = f"{self.done} done, {self.failed} failed, {self.under_way} under way, {self.waiting} waiting"
        lines = [f"{self.total} case{'s' * (self.total != 1)}: {counts}"]
        if self.per_minute is not None and not self.is_over:
            left = "" if self.left_s is None else f", {_duration(self.left_s)} left"
            lines.append(f"rate       {self.per_minute:.3g} a minute{left}")
        if self.failures:
            lines.append(
                "failed     " + ", ".join(f"{count} {kind}" for kind, count in self.failures.items())
            )
        if self.peak_bytes:
            lines.append(f"memory     {format_bytes(self.peak_bytes)} at most in one case")
        return "\n".join(lines)


def status(folder: str | os.PathLike[str]) -> Status:
    """Return how far a cohort is; any process may ask while another runs it.

    Parameters
    ----------
    folder : path
        The folder that :func:`chunkmed.cohort.plan` wrote.

    Returns
    -------
    Status

    Raises
    ------
    StoreError
        ``no-cohort``.

    Examples
    --------
    >>> import numpy as np, chunkmed as cm
    >>> image = cm.open(np.arange(64, dtype=np.int16).reshape(1, 4, 4, 4), spacing_mm=(5.0, 1.0, 1.0))
    >>> stored = cm.save(image, "studies/a/image.zarr", overwrite=True)
    >>> planned = cm.cohort.plan("studies", "out", recipe="threshold-objects")
    >>> print(status("out"))
    1 case: 0 done, 0 failed, 0 under way, 1 waiting
    """
    out = Path(folder)
    columns = read_columns(out, "case", "token", "selected")
    rows = zip(columns["case"], columns["token"], columns["selected"], strict=True)
    tokens = {case: token for case, token, selected in rows if selected}
    found, is_running = seen(out, tokens), _is_running(out)
    failed = sum(found.failures.values())
    # What a killed process left is not under way: it waits.
    under_way = len(found.running) if is_running else 0
    waiting = len(tokens) - len(found.kinds) - under_way
    per_minute = _per_minute(found) if is_running else None
    left_s = 60 * (under_way + waiting) / per_minute if per_minute else None
    return Status(
        total=len(tokens),
        done=len(found.kinds) - failed,
        failed=failed,
        under_way=under_way,
        waiting=waiting,
        is_running=is_running,
        per_minute=per_minute,
        left_s=left_s,
        failures=dict(sorted(found.failures.items(), key=lambda pair: (-pair[1], pair[0]))),
        starts=found.starts,
        peak_bytes=found.peak_bytes,
    )


def _per_minute(found: Seen) -> float | None:
    last = found.ended_at_s[-_LAST:]
    # A pause between two runs is none of the rate: what ended long before the last does not count.
    recent = [at_s for at_s in last if last[-1] - at_s < 3600]
    if len(recent) < 2:
        return None
    return 60 * len(recent) / max(time.time() - recent[0], 1e-3)


def _is_running(out: Path) -> bool:
    try:
        handle = os.open(out / "run.lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _duration(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
