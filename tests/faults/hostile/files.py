"""Mutated files: whatever their bytes are, there is a result, or a reason."""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from faults.hostile.contained import Finding, run_cases
from faults.hostile.mutations import mutate
from faults.hostile.outcomes import convert_outcome, outcome

#: Converting takes ten times as long as scanning and reading: one file in so many.
_CONVERT_EVERY = 200


def mutated(seeds: Sequence[bytes], seed: int, case: int) -> tuple[str, bytes]:
    """Return the file of a case, the same each time."""
    return mutate(seeds, random.Random(f"{seed}/{case}"))


def file_campaign(
    seeds: Sequence[bytes], first: int, last: int, *, seed: int = 1, convert: bool = False
) -> list[Finding]:
    """Mutate files, scan and read each; return the cases that ended otherwise than they may."""
    with tempfile.TemporaryDirectory(dir=memory_folder()) as name:
        act = partial(_try, seeds=seeds, seed=seed, folder=Path(name), convert=convert)
        return run_cases(first, last, act)


def _try(case: int, *, seeds: Sequence[bytes], seed: int, folder: Path, convert: bool) -> None:
    path = folder / "mutated.dcm"
    path.write_bytes(mutated(seeds, seed, case)[1])
    outcome(path)
    if convert and case % _CONVERT_EVERY == 0:
        convert_outcome(path, folder / f"{case}.zarr")


def tally(seeds: Sequence[bytes], count: int, *, seed: int = 1) -> Counter[str]:
    """Return how many of the first cases are read, and how many refused: mutations must do both."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=memory_folder()) as name:
        path = Path(name) / "mutated.dcm"
        for case in range(count):
            path.write_bytes(mutated(seeds, seed, case)[1])
            found["read" if "read (" in outcome(path) else "refused"] += 1
    return found


def memory_folder() -> Path | None:
    """Return a folder in memory, where there is one."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else None
