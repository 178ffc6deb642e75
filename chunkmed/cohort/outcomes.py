"""What became of a case: one record in its folder, put in place together with the results."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chunkmed.drafts import sweep_drafts, sync
from chunkmed.errors import ChunkmedError

__all__ = ["Outcome", "case_folder", "partial_folder", "publish", "read_outcome"]

RECORD, LOG = "record.json", "log.txt"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass
class Outcome:
    """How a case ended."""

    case: str
    case_id: str
    token: str
    state: str
    """``done`` or ``failed``."""
    kind: str = ""
    """Kind of the error."""
    message: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0
    """Largest resident memory of the process while it worked on the case."""
    attempts: int = 1
    memory_bytes: int = 0
    """What it was allowed to take."""
    workers: int = 1
    tables: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Names and types of the columns of each table."""
    files: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What was assumed on the way."""

    @property
    def failed(self) -> bool:
        """Whether there are no results."""
        return self.state != "done"

    @classmethod
    def of_error(cls, error: BaseException, **about: Any) -> Outcome:
        """Return the outcome of a case that ended with an error."""
        kind, message = _named(error)
        return cls(state="failed", kind=kind, message=" ".join(message.split()), **about)


def _named(error: BaseException) -> tuple[str, str]:
    if isinstance(error, ChunkmedError):
        return error.kind, str(error)
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return "unwritable", f"the results cannot be written: {error.strerror}"
    if isinstance(error, MemoryError):
        return "out-of-memory", f"it asked for more memory than it may take: {error}"
    return "unexpected", f"{type(error).__name__}: {error}"


def case_folder(out: Path, case: str) -> Path:
    """Return the folder of a case: 256 folders share 10^5 cases."""
    return out / "cases" / case[:2] / case


def partial_folder(out: Path, case: str) -> Path:
    """Return where the results of a case are made: always the same, so that work goes on from there."""
    return out / "cases" / case[:2] / f".{case}.partial"


def publish(out: Path, outcome: Outcome, made: Path) -> None:
    """Put a folder with results or a log in place, with the record in it, in one step.

    Parameters
    ----------
    out : Path
        The cohort.
    outcome : Outcome
        The record.
    made : Path
        The folder, beside the place it goes to.
    """
    final = case_folder(out, outcome.case)
    sweep_drafts(made)
    text = json.dumps(asdict(outcome), indent=1, ensure_ascii=False, default=str)
    (made / RECORD).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    _to_disk(made)
    if final.exists():
        # An earlier failure, or results of other inputs. A kill in between costs a case, no result.
        old = final.with_name(f".{final.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        final.rename(old)
        made.rename(final)
        shutil.rmtree(old, ignore_errors=True)
    else:
        made.rename(final)


def _to_disk(folder: Path) -> None:
    """Have the plain files of a folder written: stores look after themselves."""
    for path in folder.iterdir():
        if path.is_file():
            sync(path)


def publish_failure(out: Path, outcome: Outcome, log: Path | None = None, left: Path | None = None) -> None:
    """Put the record of a failure in place, with the log that it left.

    A folder that is ``left`` goes first: of a case with a record nobody would remove it any more.
    """
    made = case_folder(out, outcome.case).with_name(f".{outcome.case}.failed")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    if log is not None and log.is_file():
        shutil.copyfile(log, made / LOG)
    if left is not None:
        shutil.rmtree(left, ignore_errors=True)
    publish(out, outcome, made)


def read_outcome(out: Path, case: str) -> Outcome | None:
    """Return the record of a case, None where there is none that can be read."""
    try:
        text = (case_folder(out, case) / RECORD).read_text(encoding="utf-8")
        return Outcome(**json.loads(text))
    except (OSError, ValueError, TypeError):
        return None
