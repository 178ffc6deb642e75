"""What ``chunkmed cohort plan`` says of a plan."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chunkmed.units import format_bytes

if TYPE_CHECKING:
    from chunkmed.cohort.planning import Plan

__all__ = ["about"]

Rows = Sequence[Mapping[str, Any]]
_MOST_VALUES = 6


def about(plan: Plan, out: str, dry_run: bool) -> list[str]:
    """Return the lines: what was found, what of it will run, what it takes."""
    rows = [case.row() for case in plan.cases]
    chosen = [row for row in rows if row["selected"]]
    lines = [f"found      {len(rows)} images, {len(chosen)} cases"]
    lines += _chosen(plan, chosen, out) if chosen else [f"none left  {_why_none(rows, plan.where)}"]
    if dry_run:
        return [*lines, "nothing was written"]
    return [*lines, f"wrote      {out}" + (f"; go on: chunkmed cohort run {out}" if chosen else "")]


def _chosen(plan: Plan, chosen: Rows, out: str) -> Iterator[str]:
    yield "of them    " + _counted(row["modality"] or "unreadable" for row in chosen)
    if problems := [row["problem"] for row in chosen if row["problem"]]:
        yield "will fail  " + _counted(problems)
    if flags := [flag.partition("=")[0] for row in chosen for flag in row["flags"].split()]:
        yield "flags      " + _counted(flags)
    if outdated := plan.outdated(Path(out)):
        results = "1 result is" if outdated == 1 else f"{outdated} results are"
        yield f"made anew  {results} of other settings or inputs: run makes them once more"
    peak = max(row["peak_bytes"] or 0 for row in chosen)
    disk = sum(row["disk_bytes"] or 0 for row in chosen)
    yield f"memory     {format_bytes(peak)} at most in one case"
    yield f"disk       {format_bytes(disk)} at most, before compression; {_free(Path(out))} free"


def _counted(names: Any) -> str:
    return ", ".join(f"{count} {name}" for name, count in Counter(names).most_common())


def _why_none(rows: Rows, where: str | None) -> str:
    """Return what leaves no case, with what its columns hold."""
    if where is None:
        return "all of them are localizers, or hold no images"
    from chunkmed.cohort.where import columns_of

    held = [f"{name} {_held(rows, name)}" for name in columns_of(where)]
    return f"--where leaves none of {len(rows)} ({', '.join(held)})"


def _held(rows: Rows, name: str) -> str:
    """Return what a column holds: from the smallest to the largest number, or the commonest texts."""
    values = [row[name] for row in rows if row.get(name) is not None]
    if not values:
        return "is not known"
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        low, high = min(values), max(values)
        return f"{low:g}" if low == high else f"{low:g} to {high:g}"
    common = [str(value) for value, _ in Counter(values).most_common()]
    more = f" and {len(common) - _MOST_VALUES} more" if len(common) > _MOST_VALUES else ""
    return "/".join(common[:_MOST_VALUES]) + more


def _free(out: Path) -> str:
    there = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    return format_bytes(shutil.disk_usage(there).free)
