"""A study as the lines of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from chunkmed.dicom.walk import printable

if TYPE_CHECKING:
    from chunkmed.dicom.study import Skipped, Stack

__all__ = ["lines", "reasons", "state_of"]

_HEAD = ("#", "series", "modality", "plane", "description", "t x z x y x x", "z, y, x mm", "axis", "notes")
_UNITS = {"b": "s/mm2", "flip": "degrees"}
_MOST_CHARACTERS, _MOST_REASONS = 32, 12


def lines(stacks: Sequence[Stack], skipped: Sequence[Skipped]) -> Iterator[str]:
    """Yield the printed table, a row for each stack, then what is wrong, then what was skipped."""
    rows = [_HEAD, *(_row(number, stack) for number, stack in enumerate(stacks))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # A column that says nothing takes no room.
    kept = [i for i in range(len(_HEAD)) if any(row[i] for row in rows[1:])] or list(range(len(_HEAD)))
    for row in rows:
        yield "  ".join(row[i].ljust(widths[i]) for i in kept).rstrip()
    for number, stack in enumerate(stacks):
        if (problem := stack.problem) is not None:
            # What nothing helps has at least a reason.
            parts = [problem.what, problem.fix or problem.why]
            yield f"#{number} {problem.kind}: {_plain('; '.join(filter(None, parts)))}"
    if skipped:
        yield f"{len(skipped)} {'file' if len(skipped) == 1 else 'files'} skipped:"
        yield from reasons(skipped)


def _row(number: int, stack: Stack) -> tuple[str, ...]:
    known = stack.grid.known
    return (
        str(number),
        stack.key,
        stack.modality,
        stack.plane,
        _shortened(stack.description),
        " x ".join(map(str, stack.shape)),
        ", ".join(f"{step:.4g}" for step in stack.grid.spacing_mm) if known else "unknown",
        _axis(stack),
        ", ".join(_notes(stack)),
    )


def _axis(stack: Stack) -> str:
    """Return from where to where the first dimension goes."""
    dim, values = stack.grid.time_dim, stack.grid.time_ms
    if len(values) < 2:
        return ""
    if not stack.grid.time_known:
        return f"{dim}: order only"
    return f"{dim} {values[0]:g} to {values[-1]:g} {_UNITS.get(dim, 'ms')}"


def _shortened(text: str) -> str:
    whole = _plain(text)
    return whole if len(whole) <= _MOST_CHARACTERS else whole[: _MOST_CHARACTERS - 3] + "..."


def _plain(text: str) -> str:
    return printable(" ".join(text.split()))


def state_of(stack: Stack) -> str:
    """Return flags and problem of a stack, as they follow its shape in a message."""
    return "".join(f", {word}" for word in _notes(stack))


def _notes(stack: Stack) -> list[str]:
    return [*stack.flags, *([stack.problem.kind] if stack.problem else [])]


def reasons(skipped: Sequence[Skipped]) -> Iterator[str]:
    """Yield each reason for skipping, the commonest first, with how many files and one of them."""
    counts = Counter(item.reason for item in skipped)
    example = {item.reason: item.path for item in reversed(skipped)}
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    for reason, count in ranked[:_MOST_REASONS]:
        name = _plain(example[reason].rpartition("/")[2])
        yield f"  {count:>6} x {_plain(reason)} ({name}{', ...' if count > 1 else ''})"
    if len(ranked) > _MOST_REASONS:
        yield f"  {sum(count for _, count in ranked[_MOST_REASONS:]):>6} for other reasons"
