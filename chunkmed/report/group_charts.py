"""Pictures of a group: thumbnails of the cases, distributions of measures, curves over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image, UnidentifiedImageError

from chunkmed.drafts import draft_of
from chunkmed.report.drawing import INK, QUIET
from chunkmed.report.group import Values
from chunkmed.report.words import titled

__all__ = ["draw_curves", "draw_distributions", "thumbnail"]

_BLUE, _ORANGE = "#0072B2", "#D55E00"
_THUMBNAIL_PIXELS = (480, 270)
_MOST_MEASURES, _COLUMNS = 12, 4
_DOTS_PER_INCH = 110
_FAR = 3.5
_SIZES = ("volume_", "area_")


def thumbnail(picture: Path, path: Path) -> Path | None:
    """Write a small copy of a picture; None where it is none."""
    try:
        with Image.open(picture) as full, draft_of(path) as draft:
            small = full.convert("RGB")
            small.thumbnail(_THUMBNAIL_PIXELS)
            small.save(draft, format="PNG", optimize=True)
    except (OSError, UnidentifiedImageError, ValueError):
        return None
    return path


def draw_distributions(values: Sequence[tuple[str, Values]], path: Path) -> Path | None:
    """Write one histogram for each measure, each case a mark below it; None where there is nothing."""
    shown = [(name, v[np.isfinite(v)]) for name, v in values]
    # Sizes first: they are what most cohorts are about. What is the same in all cases says nothing.
    shown = [(name, v) for name, v in shown if v.size > 1 and np.ptp(v) > 0]
    shown = sorted(shown, key=lambda pair: not pair[0].startswith(_SIZES))[:_MOST_MEASURES]
    if not shown:
        return None
    columns = min(_COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = _figure(3.4 * columns, 2.3 * rows)
    for number, (name, known) in enumerate(shown, 1):
        _draw_distribution(figure.add_subplot(rows, columns, number), name, known)
    return _saved(figure, path)


def _draw_distribution(axes: Axes, name: str, known: Values) -> None:
    counts, _, _ = axes.hist(
        known, bins=min(40, max(5, int(2 * math.sqrt(known.size)))), color=_BLUE, alpha=0.75
    )
    median = float(np.median(known))
    deviation = float(np.median(np.abs(known - median)))
    far = np.abs(known - median) > (_FAR / 0.6745) * deviation if deviation else np.zeros(known.shape, bool)
    floor = -0.06 * float(np.max(counts))
    for chosen, color in ((known[~far], INK), (known[far], _ORANGE)):
        axes.plot(chosen, np.full(chosen.size, floor), "|", color=color, markersize=6)
    axes.axvline(median, color=INK, linewidth=1)
    axes.set_title(titled(name), fontsize=10, color=INK, loc="left")
    _quiet(axes)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.ticklabel_format(axis="x", useOffset=False)


def draw_curves(curves: Sequence[tuple[str, str, Values, Values]], path: Path) -> Path | None:
    """Write all curves over each other, and their median at each index; None where there are none."""
    if not curves:
        return None
    figure = _figure(8, 3.6)
    axes = figure.add_subplot()
    for _, _, times, values in curves:
        axes.plot(times, values, color=_BLUE, alpha=max(0.06, min(0.6, 8 / len(curves))), linewidth=1)
    lengths = {len(values) for _, _, _, values in curves}
    if len(lengths) == 1 and len(curves) > 2:
        times, values = (np.median([curve[i] for curve in curves], axis=0) for i in (2, 3))
        axes.plot(times, values, color=_ORANGE, linewidth=2.5, label="median")
        axes.legend(frameon=False, fontsize=9)
    axes.set_xlabel("time (ms)", fontsize=9, color=QUIET)
    axes.set_title(titled(curves[0][1]), fontsize=10, color=INK, loc="left")
    _quiet(axes)
    return _saved(figure, path)


def _quiet(axes: Axes) -> None:
    axes.tick_params(labelsize=8, colors=QUIET)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _saved(figure: Figure, path: Path) -> Path:
    with draft_of(path) as draft:
        options: dict[str, Any] = {"format": "png", "dpi": _DOTS_PER_INCH}
        figure.savefig(draft, **options)
    return path
