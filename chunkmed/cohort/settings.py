"""What a cohort is run with: one JSON file beside the table of cases."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chunkmed.cohort.cases import no_cohort
from chunkmed.cohort.work import Work
from chunkmed.drafts import draft_of
from chunkmed.errors import StoreError
from chunkmed.provenance import versions

__all__ = ["Limits", "read_settings", "write_settings"]

SETTINGS = "cohort.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Limits:
    """What a case may take."""

    memory: int
    """Bytes of all cases that run at a time."""
    workers: int
    """Cases at a time, and tasks at a time of a case that runs alone."""
    timeout_s: float | None = None
    """Longest time of one case; None: no limit."""
    retries: int = 1
    """How often a case is tried again that ran out of memory, crashed or lost its worker."""


def write_settings(out: Path, work: Work, limits: Limits, where: str | None) -> None:
    """Write the settings, whole or not at all."""
    told = {"schema": SCHEMA_VERSION, "work": work.as_dict(), "limits": asdict(limits), "where": where}
    with draft_of(out / SETTINGS) as draft:
        text = json.dumps(told | {"versions": versions()}, indent=2, default=str)
        draft.write_text(text + "\n", encoding="utf-8")


def read_settings(out: Path) -> tuple[Work, Limits, dict[str, Any]]:
    """Return the work, the limits and everything that is written down.

    Raises
    ------
    StoreError
        ``no-cohort`` or ``damaged``.
    """
    path = out / SETTINGS
    if not path.is_file():
        raise no_cohort(out)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Work(**told["work"]), Limits(**told["limits"]), told
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            "the settings of the cohort cannot be read",
            kind="damaged",
            where=str(path),
            why=str(error),
            fix="plan the cohort again: results are kept",
        ) from error
