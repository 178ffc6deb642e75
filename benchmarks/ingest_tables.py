"""Tables of the ingest benchmark: medians, and medians of ratios within a round."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.tables import differing, markdown, paired_ratio

__all__ = ["latest", "rendered", "slab_mib"]

Row = dict[str, Any]
_KEY = ("slices", "side", "syntax", "workers", "memory")
#: What ratios are taken against: chunkmed as it is used, and the floor that reads headers too.
_OURS, _FLOOR = ("chunkmed", "convert"), ("floor", "headers")
_MEDIANS = ("wall_s", "cpu_s", "others_cpu_s", "peak_mib", "output_mib")
_COLUMNS = (
    ("peer", "{}"),
    ("variant", "{}"),
    ("wall_s", "{:.3f}"),
    ("cpu_s", "{:.3f}"),
    ("others_cpu_s", "{:.1f}"),
    ("wall_vs_ours", "{:.2f}"),
    ("cpu_vs_ours", "{:.2f}"),
    ("wall_vs_floor", "{:.2f}"),
    ("cpu_vs_floor", "{:.2f}"),
    ("peak_mib", "{:.0f}"),
    ("over_imports_mib", "{:.0f}"),
    ("slabs", "{:.1f}"),
    ("predicted_mib", "{:.0f}"),
    ("output_mib", "{:.0f}"),
    ("headers_per_file", "{:.2f}"),
    ("dtype", "{}"),
    ("differs", "{}"),
    ("runs", "{}"),
    ("note", "{}"),
)


def slab_mib(row: Row) -> float:
    """Return the size of a slab: as many slices as a shard of the store is deep."""
    from chunkmed.store.layout import layout_of

    depth = layout_of((1, row["slices"], row["side"], row["side"])).shard[1]
    return float(depth * row["side"] ** 2 * 2 / 2**20)


def latest(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the last batch of every series and number of workers."""
    batches: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found = batches.setdefault(tuple(row.get(name) for name in _KEY), [])
        if found and found[0]["batch"] != row["batch"]:
            found.clear()
        found.append(row)
    return list(batches.values())


def rendered(rows: Sequence[Row]) -> str:
    """Return the table of one batch as Markdown."""
    peers: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        peers.setdefault((row["peer"], row["variant"]), []).append(row)
    timed = {turn: [row for row in own if "wall_s" in row] for turn, own in peers.items()}
    lines = [_line(peers[turn], timed[turn], timed) for turn in peers]
    columns = [(name, form) for name, form in _COLUMNS if any(line.get(name) is not None for line in lines)]
    cells = [
        ["" if line.get(name) is None else form.format(line[name]) for name, form in columns]
        for line in lines
    ]
    return "\n".join([_title(rows), "", *markdown([name for name, _ in columns], cells)])


def _line(own: Sequence[Row], timed: Sequence[Row], all_timed: dict[tuple[str, str], list[Row]]) -> Row:
    out: Row = {"peer": own[0]["peer"], "variant": own[0]["variant"]}
    if not timed:
        reason = own[0].get("unsupported")
        return out | {"note": f"cannot: {reason}" if reason else f"failed: {_short(own[0]['error'])}"}
    out |= {name: statistics.median(row[name] for row in timed) for name in _MEDIANS}
    out["over_imports_mib"] = statistics.median(row["peak_mib"] - row["before_mib"] for row in timed)
    out["slabs"] = out["over_imports_mib"] / slab_mib(timed[0])
    for base, turn in (("ours", _OURS), ("floor", _FLOOR)):
        theirs = all_timed.get(turn, [])
        out[f"wall_vs_{base}"] = paired_ratio(timed, theirs)
        out[f"cpu_vs_{base}"] = paired_ratio(timed, theirs, "cpu_s")
    names = ("headers_per_file", "predicted_mib", "dtype")
    return (
        out
        | {name: timed[-1].get(name) for name in names}
        | {"runs": len(timed), "differs": differing(timed)}
    )


def _short(error: str) -> str:
    return error[:100].replace("|", "/")


def _title(rows: Sequence[Row]) -> str:
    first = rows[0]
    size = f"{first['slices']} slices of {first['side']} x {first['side']}, {first['syntax']}"
    budget = f", budget {first['memory']}" if first.get("memory") else ""
    about = f"{first['workers']} workers{budget}, slab {slab_mib(first):.0f} MiB, {first['batch'][:10]}"
    return f"{size}: {about}, commit {first['versions']['commit']}"
