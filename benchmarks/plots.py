"""Time and memory against the size of the image, of the last batch of each size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.tables import latest, summary

__all__ = ["draw", "lines_of"]

Row = dict[str, Any]
#: Size in GB, seconds, MiB.
Point = tuple[float, float, float]
_STYLE = {"chunkmed": ("C0", "o"), "dask_image": ("C1", "s"), "scipy": ("C2", "^"), "floor": ("0.6", "x")}
_NAMES = {"dask_image": "dask-image", "scipy": "scipy, in memory", "floor": "zarr read and write alone"}
_LABELS = (("wall seconds", 1), ("peak memory (MiB)", 2))


def lines_of(rows: Sequence[Row], operation: str) -> dict[str, list[Point]]:
    """Return the points of each peer, of its variant with the lowest median."""
    best: dict[str, dict[str, Point]] = defaultdict(dict)
    for batch in latest([row for row in rows if row["operation"] == operation]):
        name = batch[0]["case"]
        if CASES[name].series or name == "tiny":
            continue
        for line in summary(batch):
            point = (CASES[name].nbytes / 1e9, line.get("wall_s"), line.get("peak_mib"))
            if point[1] is not None and (name not in (own := best[line["peer"]]) or point < own[name]):
                own[name] = point
    return {peer: sorted(points.values()) for peer, points in best.items()}


def draw(rows: Sequence[Row], operation: str, path: Path) -> None:
    """Draw one picture of two plots; scales are logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    lines = lines_of(rows, operation)
    for axes, (label, at) in zip(figure.subplots(1, 2), _LABELS, strict=True):
        for peer, points in lines.items():
            colour, marker = _STYLE.get(peer, (None, "."))
            x, y = [point[0] for point in points], [point[at] for point in points]
            axes.plot(x, y, marker=marker, color=colour, label=_NAMES.get(peer, peer))
        axes.set(xscale="log", yscale="log", xlabel="image (GB)", ylabel=label)
        axes.grid(alpha=0.3)
    figure.axes[0].legend(frameon=False)
    figure.suptitle(f"{operation}, from store to store, two workers")
    figure.savefig(path, dpi=110)
