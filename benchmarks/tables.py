"""Tables of medians, and of medians of paired ratios: only these say something."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["latest", "markdown", "paired_ratio", "rendered", "summary"]

Row = dict[str, Any]
_KEY = ("case", "operation", "workers", "budget")
_MEDIANS = ("wall_s", "cpu_s", "others_cpu_s", "peak_mib", "output_mib")
#: What ratios are taken against.
_BASES = ("chunkmed", "floor")


def latest(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the last batch of every case, operation, number of workers and budget."""
    batches: dict[tuple[Any, ...], dict[str, list[Row]]] = {}
    for row in rows:
        batches.setdefault(tuple(row[k] for k in _KEY), {}).setdefault(row["batch"], []).append(row)
    return [found[max(found)] for found in batches.values()]


def summary(rows: Sequence[Row]) -> list[Row]:
    """Return one row of medians for every peer and variant of one batch.

    ``vs_chunkmed`` and ``vs_floor`` are medians of the ratios of wall times within a pair, against
    the variant of the base that has the lowest median; ``cpu_vs_...`` the same of processor times.
    """
    peers: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        peers.setdefault((row["peer"], row["variant"]), []).append(row)
    bases = {base: _best(peers, base) for base in _BASES}
    return [_line(own, bases) for own in peers.values()]


def _best(peers: dict[tuple[str, str], list[Row]], name: str) -> list[Row]:
    found = [_timed(own) for (peer, _), own in peers.items() if peer == name and _timed(own)]
    return min(found, key=lambda own: _median(own, "wall_s"), default=[])


def _timed(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if "wall_s" in row]


def _median(rows: Sequence[Row], name: str) -> float:
    return statistics.median(row[name] for row in rows)


def _line(own: Sequence[Row], bases: dict[str, list[Row]]) -> Row:
    out: Row = {"peer": own[0]["peer"], "variant": own[0]["variant"]}
    timed = _timed(own)
    if not timed:
        return out | {"note": f"no {own[0]['unsupported']}" if "unsupported" in own[0] else "failed"}
    out |= {name: _median(timed, name) for name in _MEDIANS}
    out |= {"pairs": len(timed), "tasks": timed[-1]["tasks"], "differs": differing(timed)}
    out |= {f"vs_{base}": paired_ratio(timed, rows) for base, rows in bases.items()}
    return out | {f"cpu_vs_{base}": paired_ratio(timed, rows, "cpu_s") for base, rows in bases.items()}


def differing(rows: Sequence[Row]) -> int | None:
    """Return the most voxels that any run had wrong; None where nothing was compared."""
    known = [row["differs"] for row in rows if row["differs"] is not None]
    return max(known, default=None)


def paired_ratio(own: Sequence[Row], base: Sequence[Row], name: str = "wall_s") -> float | None:
    """Return the median over pairs of own / base; None where they share no pair."""
    theirs = {row["pair"]: row[name] for row in base}
    ratios = [row[name] / theirs[row["pair"]] for row in own if row["pair"] in theirs]
    return statistics.median(ratios) if ratios else None


_COLUMNS = (
    ("peer", "{}"),
    ("variant", "{}"),
    ("wall_s", "{:.3f}"),
    ("cpu_s", "{:.3f}"),
    ("others_cpu_s", "{:.2f}"),
    ("peak_mib", "{:.0f}"),
    ("output_mib", "{:.1f}"),
    ("tasks", "{}"),
    ("differs", "{}"),
    ("vs_chunkmed", "{:.2f}"),
    ("vs_floor", "{:.2f}"),
    ("cpu_vs_chunkmed", "{:.2f}"),
    ("cpu_vs_floor", "{:.2f}"),
    ("note", "{}"),
)


def rendered(rows: Sequence[Row]) -> str:
    """Return the table of one batch as Markdown."""
    lines = summary(rows)
    names = [name for name, _ in _COLUMNS if name != "note" or any("note" in line for line in lines)]
    forms = dict(_COLUMNS)
    cells = [[forms[n].format(line[n]) if line.get(n) is not None else "" for n in names] for line in lines]
    return "\n".join([_title(rows), "", *markdown(names, cells)])


def _title(rows: Sequence[Row]) -> str:
    first = rows[0]
    pairs = 1 + max(row["pair"] for row in rows)
    budget = f", budget {first['budget']}" if first["budget"] else ""
    about = f"{first['workers']} workers{budget}, {pairs} pairs, {first['batch'][:10]}"
    return f"{first['case']}, {first['operation']}: {about}, commit {first['versions']['commit']}"


def markdown(names: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    widths = [max(len(row[i]) for row in [names, *cells]) for i in range(len(names))]
    rows = [names, ["-" * width for width in widths], *cells]
    return (f"| {' | '.join(c.ljust(w) for c, w in zip(row, widths, strict=True))} |" for row in rows)
