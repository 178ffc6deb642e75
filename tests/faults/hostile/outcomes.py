"""What chunkmed makes of a path: a result or an error of its own; everything else is a finding."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from chunkmed import dicom
from chunkmed.errors import ChunkmedError, SourceError

#: Words in a reason that tell of a limit that was not seen in time.
_LATE = ("MemoryError", "RecursionError", "AssertionError")
_MOST_VOXELS = 2**22


def outcome(path: str | os.PathLike[str]) -> str:
    """Scan a file or folder and read some of what it holds; return in a word what came of it.

    Raises
    ------
    Exception
        Whatever is no result, no skipped file with its reason, and no error of chunkmed's.
    """
    try:
        study = dicom.scan(path)
    except SourceError as error:
        return _checked(f"{error.kind}: {error}")
    json.dumps(dicom.described(study))
    seen = [str(study), *(item.reason for item in study.skipped)]
    for stack in study.stacks[:4]:
        seen += [f"{problem.kind}: {problem}" for problem in stack.problems]
        if stack.problem is None or stack.irregularities:
            seen.append(_read(stack))
    return _checked("; ".join(seen))


def _read(stack: Any) -> str:
    try:
        if stack.problem is not None:
            stack = stack.accepting(allow_missing=True, allow_irregular=True)
        values = stack.read(box_of(stack))
    except ChunkmedError as error:
        if error.kind != "value-overflow":
            return f"{error.kind}: {error}"
        values = stack.widened().widened().read(box_of(stack))
    return f"read {values.shape}"


def box_of(stack: Any) -> list[tuple[int, int]]:
    """Return the last frame of a stack, or those rows of it that a sensible reader takes at a time."""
    t, z, y, *rest = stack.shape
    row = max(1, _MOST_VOXELS // max(1, rest[0]))
    rows = max(stack.granule[0], min(y, row))
    return [(t - 1, t), (z - 1, z), (0, min(y, rows)), *((0, size) for size in rest)]


def _checked(text: str) -> str:
    late = [word for word in _LATE if word in text]
    if late:
        raise RuntimeError(f"{late[0]} instead of a limit: {text[:300]}")
    return text


def kind_of(text: str) -> str:
    """Return the part of an outcome to count by."""
    if "read (" in text:
        return "read"
    return text.partition(":")[0] if text.startswith(("no-dicom",)) else "refused"


def convert_outcome(path: str | os.PathLike[str], store: Path) -> str:
    """Convert what a path holds; return in a word what came of it."""
    import chunkmed as cm

    try:
        image = cm.convert(path, store, allow_missing=True, allow_irregular=True, pyramid=False)
    except ChunkmedError as error:
        return _checked(f"{error.kind}: {error}")
    return f"read {image.shape}"
