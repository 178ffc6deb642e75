"""Proof that workers see the same files as the client, and run the same chunkmed.

Files and folders that hold something are inputs: nothing is written into them, and a worker must find
the same names, sizes and first bytes. Where something will be written, the client leaves a nonce that the
worker reads, and the worker leaves one that the client reads.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import secrets
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import chunkmed
from chunkmed.errors import PlanError, StoreError

__all__ = ["Evidence", "Seen", "look", "nonces", "sample", "verdict"]

_ENTRIES = 64
_FIRST_BYTES = 1 << 16
#: How long a file may take to show on another machine: attributes of NFS are cached.
_SHOWS_S = 5.0


@dataclass(frozen=True)
class Evidence:
    """What a worker must find."""

    samples: Mapping[str, tuple[tuple[str, str], ...]]
    """For each input: names below it, and what there is."""
    nonces: Mapping[str, str]
    """For each folder that is written into: what the file of the client holds."""
    name: str
    """Name of the client's file."""


@dataclass(frozen=True)
class Seen:
    """What a worker found."""

    version: str
    """Of chunkmed."""
    unlike: tuple[str, ...]
    """Inputs that it does not see, or not as they are."""
    unseen: tuple[str, ...]
    """Folders whose nonce it does not see, or that it cannot write into."""
    answers: Mapping[str, str]
    """The file that it wrote into each folder."""


def sample(path: Path) -> tuple[tuple[str, str], ...]:
    """Return names below a path, "" for itself, and what there is: kind, size, first bytes."""
    if not path.is_dir():
        return (("", _what(path)),)
    with os.scandir(path) as entries:
        names = sorted(entry.name for entry in itertools.islice(entries, _ENTRIES))
    return tuple((name, _what(path / name)) for name in names)


def _what(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "folder" if stat.S_ISDIR(status.st_mode) else "other"
        with path.open("rb") as file:
            return f"{status.st_size} {hashlib.sha256(file.read(_FIRST_BYTES)).hexdigest()[:16]}"
    except OSError:
        return "nothing"


@contextmanager
def nonces(folders: Sequence[Path]) -> Iterator[tuple[dict[str, str], str]]:
    """Write a nonce into each folder; they are removed at the end."""
    name, told = f".chunkmed-nonce-{secrets.token_hex(8)}", {}
    try:
        for folder in folders:
            told[str(folder)] = secrets.token_hex(16)
            _write(folder / name, told[str(folder)])
        yield told, name
    finally:
        for folder in folders:
            for path in folder.glob(f"{name}*"):
                path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise StoreError(
            "nothing can be written here",
            kind="unwritable",
            where=str(path.parent),
            why=error.strerror or str(error),
            fix="choose another folder",
        ) from error


def look(evidence: Evidence) -> Seen:
    """Task of a worker: look for everything, and leave an answer."""
    unlike = [
        path
        for path, wanted in evidence.samples.items()
        if any(_what(Path(path) / name if name else Path(path)) != what for name, what in wanted)
    ]
    answers, unseen = {}, []
    for folder, text in evidence.nonces.items():
        answer = Path(folder) / f"{evidence.name}-{secrets.token_hex(4)}"
        if not _appears(Path(folder) / evidence.name, text):
            unseen.append(folder)
            continue
        try:
            answer.write_text(text)
            answers[folder] = answer.name
        except OSError:
            unseen.append(folder)
    return Seen(chunkmed.__version__, tuple(unlike), tuple(unseen), answers)


def _appears(path: Path, text: str) -> bool:
    """Wait a moment for a file of another machine."""
    deadline = time.monotonic() + _SHOWS_S
    while True:
        with suppress(OSError):
            if path.read_text() == text:
                return True
            # Listing the folder makes NFS look again.
            os.listdir(path.parent)  # noqa: PTH208 - only its asking counts
        if not path.parent.is_dir() or time.monotonic() > deadline:
            return False
        time.sleep(0.1)


def verdict(seen: Seen, evidence: Evidence, worker: str) -> PlanError | None:
    """Return what is wrong with a worker; None where it will do."""
    if seen.version != chunkmed.__version__:
        return PlanError(
            f"a worker has another version of chunkmed: {seen.version}",
            kind="worker-version",
            where=worker,
            why=f"here it is {chunkmed.__version__}",
            fix="install the same on all",
        )
    if seen.unlike:
        return PlanError(
            "a worker does not see the input, or not the same",
            kind="unseen-input",
            where=f"{', '.join(seen.unlike)}; worker {worker}",
            fix="put it where all machines see it by the same path",
        )
    unseen = [*seen.unseen]
    for folder, answer in seen.answers.items():
        if not _appears(Path(folder) / answer, evidence.nonces[folder]):
            unseen.append(folder)
    if unseen:
        return PlanError(
            "a worker does not see a folder that both write into",
            kind="unseen-folder",
            where=f"{', '.join(unseen)}; worker {worker}",
            fix="name folders that all machines share: OUT, and --scratch DIR (scratch=DIR)",
        )
    return None
