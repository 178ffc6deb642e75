"""What happened, a short line for each case that starts or ends, appended by whoever works.

The records in the cases' folders are the truth; the ledger tells the state of 100,000 of them at once.
Each process has a file of its own: no locks, and a line that was cut off by a kill is passed over.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chunkmed.cohort.outcomes import Outcome
from chunkmed.provenance import content_hash

__all__ = ["Ledger", "Seen", "seen"]

FOLDER = "ledger"
_TIME_DIGITS = len(f"{time.time():.4f}")


class Ledger:
    """The file of this process, for one cohort.

    Parameters
    ----------
    out : Path
        The cohort.
    """

    def __init__(self, out: Path) -> None:
        folder = out / FOLDER
        # Another machine may have the same process number: names of machines are nobody's business.
        host = content_hash(platform.node())[:6]
        self.path = folder / f"{host}-{os.getpid()}-{time.time_ns():x}.tsv"
        self.lock = threading.Lock()
        self.handle = self._open()

    def _open(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def started(self, case: str, token: str) -> None:
        """Note that a case starts."""
        self._write("start", case, token)

    def ended(self, outcome: Outcome) -> None:
        """Note how a case ended."""
        taken = (
            f"{outcome.seconds:.3f}",
            str(outcome.peak_bytes),
            str(outcome.attempts),
            str(outcome.workers),
        )
        self._write(outcome.state, outcome.case, outcome.token, outcome.kind or "-", *taken)

    def _write(self, *words: str) -> None:
        line = "\t".join((f"{time.time():.4f}", *words)) + "\n"
        with self.lock:
            if not self.path.exists():
                # The folder of the cohort was removed and made again meanwhile.
                os.close(self.handle)
                self.handle = self._open()
            os.write(self.handle, line.encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self.handle)


@dataclass
class Seen:
    """What the ledger knows of the cases of a plan."""

    kinds: dict[str, str] = field(default_factory=dict)
    """The cases that ended, with the kind of their error; empty where they are done."""
    tries: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of those that failed: how often they were tried, and with how many workers at last."""
    running: set[str] = field(default_factory=set)
    """Cases that started, and did not end yet (or whose process was killed)."""
    ended_at_s: list[float] = field(default_factory=list)
    """When each end was written, seconds since the epoch, ascending."""
    starts: int = 0
    """How often a case started."""
    peak_bytes: int = 0
    """Of any case."""
    outdated: set[str] = field(default_factory=set)
    """Cases whose results are there, but were made of other inputs, or by other settings."""

    @property
    def failures(self) -> Counter[str]:
        """How many cases failed, by kind."""
        return Counter(kind for kind in self.kinds.values() if kind)


def seen(out: Path, tokens: dict[str, str]) -> Seen:
    """Read the ledger of a cohort.

    Parameters
    ----------
    out : Path
        The cohort.
    tokens : dict
        Cases of the plan and their tokens: lines about other inputs, recipes, versions do not count.
    """
    found, ended = Seen(), []
    mine: dict[str, str] = {}
    others: dict[str, str] = {}
    for line in _lines(out / FOLDER):
        words = line.split("\t", 4)
        if len(words) < 4 or words[2] not in tokens:
            continue
        is_end, is_mine = words[1] != "start", tokens[words[2]] == words[3]
        if is_mine:
            found.starts += not is_end
            ended += [line] * is_end
        if is_mine or is_end:
            last = mine if is_mine else others
            last[words[2]] = max(line, last.get(words[2], ""), key=_time_of)
    for line in ended:
        words = line.split("\t")
        found.ended_at_s.append(float(words[0]))
        found.peak_bytes = max(found.peak_bytes, int(words[6]))
    _note_all(found, mine, others)
    found.ended_at_s.sort()
    return found


def _time_of(line: str) -> str:
    # Times have the same number of digits: as texts they compare as they are.
    return line[:_TIME_DIGITS]


def _note_all(found: Seen, mine: Mapping[str, str], others: Mapping[str, str]) -> None:
    for case, line in mine.items():
        # A later end of other settings has put its results in the place of these.
        if _time_of(line) >= _time_of(others.get(case, "")):
            _note(found, case, line.split("\t"))
    for case, line in others.items():
        if line.split("\t", 2)[1] == "done" and case not in found.kinds:
            found.outdated.add(case)


def _note(found: Seen, case: str, words: list[str]) -> None:
    state = words[1]
    if state == "start":
        found.running.add(case)
        return
    found.kinds[case] = words[4] if state == "failed" else ""
    if state == "failed":
        found.tries[case] = int(words[7]), int(words[8])


def _lines(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.tsv")) if folder.is_dir() else ():
        text = path.read_bytes().decode("ascii", "replace")
        # What has no end was cut off.
        yield from text.split("\n")[:-1]
