"""What is drawn on one slice: its values, layers over it, letters, points, a scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from chunkmed.slices.page import Slice
from chunkmed.slices.planes import Plane

__all__ = [
    "INK",
    "QUIET",
    "draw_letters",
    "draw_lines",
    "draw_outlines",
    "draw_overlay",
    "draw_point",
    "draw_scale",
    "draw_slice",
    "frame",
    "label_color",
]

INK, QUIET = "#1f2933", "#6b7785"
# Okabe and Ito's colours that stand out from gray, told apart with any colour vision.
_COLORS = ("#E69F00", "#56B4E9", "#CC79A7", "#009E73", "#F0E442", "#D55E00")
_MOST_CONTOURS = 60
_LETTER_INSET = 1.15  # of the size of the letters, from the edge
_EDGES = {"left": (0, 0.5, 1, 0), "right": (1, 0.5, -1, 0), "top": (0.5, 1, 0, -1), "bottom": (0.5, 0, 0, 1)}

#: Of the shorter side of a panel, the most that letters may measure; smaller ones nobody reads (points).
_LETTER_PART, _LEAST_LETTER = 1 / 8, 6.0
#: Height over width of a panel without room for letters at top and bottom.
_FLAT = 0.3
#: Longest scale, as a part of the width of a panel.
_SCALE_PART = 0.3

Extent = tuple[float, float, float, float]


def label_color(label: int) -> str:
    """Return the colour of a label, the same in all panels."""
    return _COLORS[(label - 1) % len(_COLORS)]


def draw_slice(axes: Axes, shown: Slice, window: tuple[float, float], **look: Any) -> None:
    """Draw one slice in gray, or in its own colours, in the millimetres of its two axes."""
    how: dict[str, Any] = {"aspect": "equal", "origin": "lower", "extent": shown.extent}
    if shown.is_colour:
        axes.imshow(_eight_bits(shown.values), **how | {k: v for k, v in look.items() if k != "cmap"})
        return
    values = shown.values.astype(np.uint8) if shown.values.dtype == bool else shown.values
    plain = {"cmap": "gray", "interpolation": "nearest"} if shown.values.dtype == bool else {"cmap": "gray"}
    axes.imshow(values, vmin=window[0], vmax=window[1], **how | plain | look)


def frame(axes: Axes, plane: Plane, extent: Extent) -> None:
    """Make the axes show a slice the right way round, black around it, without ticks."""
    left, right, first, last = extent
    across, along = (min(left, right), max(left, right)), (min(first, last), max(first, last))
    axes.set_xlim(across if plane.right else across[::-1])
    axes.set_ylim(along[::-1] if plane.down else along)
    axes.set_facecolor("black")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def draw_letters(axes: Axes, plane: Plane, fontsize: float = 14) -> None:
    """Write which direction of the patient lies at each edge."""
    width, height = abs(np.diff(axes.get_xlim())[0]), abs(np.diff(axes.get_ylim())[0])
    fontsize = min(fontsize, _LETTER_PART * _shortest(axes, width, height))
    if fontsize < _LEAST_LETTER:
        return
    for edge, letter in plane.letters.items():
        # In a flat panel the letters at top and bottom would lie on each other, in a narrow one the others.
        across, along = (width, height) if edge in ("left", "right") else (height, width)
        if across > _FLAT * along:
            _draw_letter(axes, edge, letter, fontsize)


def _shortest(axes: Axes, width: float, height: float) -> float:
    """Return the shorter side of a slice of this size as it is drawn into axes, in points."""
    room = axes.get_window_extent()
    per_mm = min(room.width / width, room.height / height)
    return float(min(width, height) * per_mm * 72 / axes.figure.dpi)


def draw_overlay(axes: Axes, shown: Slice, alpha: float, cmap: Any = None, **look: Any) -> None:
    """Draw a layer over a slice: labels in their colours, other values in a colour map; 0 and NaN are clear.

    The layer is the last of the ``images`` of the axes: what a colour bar is made for.
    """
    values = shown.values
    how: dict[str, Any] = {"origin": "lower", "extent": shown.extent, "aspect": axes.get_aspect()}
    if values.dtype.kind in "iub" and cmap is None:
        axes.imshow(_in_colours(values, alpha), **how | {"interpolation": "nearest"} | look)
        return
    clear = np.ma.masked_where((values == 0) | (values != values), values)
    plain = {"interpolation": "nearest", "alpha": alpha, "cmap": cmap or "hot"}
    axes.imshow(clear, **how | plain | look)


def draw_outlines(axes: Axes, shown: Slice, style: str = "solid", linewidth: float = 2.2) -> None:
    """Draw the outline of each label of a slice in its colour."""
    left, right, bottom, top = shown.extent
    labels = np.pad(shown.values, 1)
    rows, columns = labels.shape
    x = left + (np.arange(columns) - 0.5) * (right - left) / (columns - 2)
    y = bottom + (np.arange(rows) - 0.5) * (top - bottom) / (rows - 2)
    present = [int(label) for label in np.unique(labels) if label]
    if len(present) > _MOST_CONTOURS:
        labels, present = (labels > 0).astype(np.uint8), [1]
    for label in present:
        axes.contour(
            x,
            y,
            labels == label,
            [0.5],
            colors=label_color(label),
            linewidths=linewidth,
            linestyles=style,
        )


def draw_point(axes: Axes, plane: Plane, point_mm: dict[str, float], label: int, *, inside: bool) -> None:
    """Mark a point: filled where it lies in the slice, hollow where it lies before or behind it."""
    color = label_color(label)
    axes.plot(
        [point_mm[plane.horizontal]],
        [point_mm[plane.vertical]],
        "o",
        markersize=9,
        markerfacecolor=color if inside else "none",
        markeredgecolor="white" if inside else color,
        markeredgewidth=1.5,
    )


def draw_lines(axes: Axes, plane: Plane, at_mm: dict[str, float]) -> None:
    """Draw where the slices of the other panels cross this one."""
    look = {"color": "#F0E442", "linewidth": 0.8, "alpha": 0.55}
    axes.axvline(at_mm[plane.horizontal], **look)  # type: ignore[arg-type]
    axes.axhline(at_mm[plane.vertical], **look)  # type: ignore[arg-type]


def draw_scale(axes: Axes) -> None:
    """Draw a bar of a round length in mm in the lower left corner."""
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    length = _round_length(_SCALE_PART * abs(x1 - x0))
    start, height = x0 + 0.04 * (x1 - x0), y0 + 0.04 * (y1 - y0)
    end = start + np.sign(x1 - x0) * length
    axes.plot([start, end], [height, height], color="white", linewidth=2.5, solid_capstyle="butt")
    axes.annotate(
        f"{length:g} mm",
        ((start + end) / 2, height),
        (0, 4),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color="white",
        fontsize=9,
    )


def _round_length(most: float) -> float:
    """Return the longest of 1, 2 and 5 times a power of ten that is not above ``most``.

    Examples
    --------
    >>> _round_length(130.0), _round_length(0.7), _round_length(20.0)
    (100.0, 0.5, 20.0)
    """
    power = 10.0 ** np.floor(np.log10(most))
    return float(max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-9)))


def _draw_letter(axes: Axes, edge: str, letter: str, fontsize: float) -> None:
    x, y, right, up = _EDGES[edge]
    inset = _LETTER_INSET * fontsize
    axes.annotate(
        letter,
        (x, y),
        (inset * right, inset * up),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="center",
        color="white",
        fontsize=fontsize,
        fontweight="bold",
        bbox={"boxstyle": "circle,pad=0.25", "facecolor": "black", "alpha": 0.55, "linewidth": 0},
    )


def _in_colours(labels: npt.NDArray[Any], alpha: float) -> npt.NDArray[np.float64]:
    """Return labels as colours with transparency, (rows, columns, 4); 0 is clear."""
    table = np.array([to_rgba(color, alpha) for color in _COLORS])
    colours = table[(labels.astype(np.int64) - 1) % len(_COLORS)]
    colours[labels == 0] = 0.0
    return colours


def _eight_bits(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return channels as matplotlib takes them: three or four, bytes or 0 to 1."""
    values = values[..., [0, 0, 0]] if values.shape[-1] not in (3, 4) else values
    if values.dtype.kind in "iu" and values.dtype != np.uint8:
        top = np.iinfo(values.dtype).max
        return np.clip(values.astype(np.float64) / top, 0, 1)
    return values
