"""Where panels lie on a figure: all to one scale, whatever the sizes of the slices."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["below", "figure_size", "grid_of_panels", "grid_shape", "row_of_panels"]

Rect = tuple[float, float, float, float]
Size = tuple[float, float]

#: Between panels and around them, and above each for its title, inches.
_GAP, _TITLE = 0.08, 0.24
_LONGEST, _LOWEST = 12.0, 1.2
#: A panel takes at least so much: its title.
_NARROWEST = 1.5
#: For the title of a figure.
_HEAD = 0.35


def row_of_panels(sizes: Sequence[Size], figure: Size) -> list[Rect]:
    """Return the rectangles, in parts of the figure, of panels beside each other.

    Parameters
    ----------
    sizes : sequence of (width, height)
        Of what the panels show, in mm: all are drawn to one scale, as large as fits.
    figure : (width, height)
        Inches.

    Examples
    --------
    >>> rects = row_of_panels([(400, 400), (400, 200)], (8.24, 4.4))
    >>> [tuple(round(float(part), 2) for part in rect) for rect in rects]
    [(0.01, 0.02, 0.49, 0.91), (0.5, 0.47, 0.49, 0.45)]
    """
    width, height = figure
    across = width - _GAP * (len(sizes) + 1)
    along = height - 2 * _GAP - _TITLE
    per_mm = min(_per_mm([w for w, _ in sizes], across), along / max(h for _, h in sizes))
    rooms = [max(w * per_mm, _NARROWEST) for w, _ in sizes]
    left = max(0.0, (width - sum(rooms) - _GAP * (len(sizes) - 1)) / 2)
    rects = []
    for (w, h), room in zip(sizes, rooms, strict=True):
        top = height - _GAP - _TITLE
        rects.append((left / width, (top - h * per_mm) / height, w * per_mm / width, h * per_mm / height))
        left += room + _GAP
    return rects


def _per_mm(widths: Sequence[float], across: float) -> float:
    """Return the largest scale at which panels fit beside each other, each with room for its title."""
    scale = across / sum(widths)
    wide = [w for w in widths if w * scale >= _NARROWEST]
    left = across - _NARROWEST * (len(widths) - len(wide))
    return left / sum(wide) if wide and left > 0 else scale


def grid_of_panels(count: int, columns: int, figure: Size) -> list[Rect]:
    """Return the rectangles of panels in rows, the first one at the upper left."""
    width, height = figure
    rows = math.ceil(count / columns)
    w = (width - _GAP * (columns + 1)) / columns
    h = (height - _GAP * (rows + 1) - _TITLE * rows) / rows
    rects = []
    for number in range(count):
        row, column = divmod(number, columns)
        left = _GAP + column * (w + _GAP)
        bottom = height - (row + 1) * (h + _TITLE + _GAP)
        rects.append((left / width, bottom / height, w / width, h / height))
    return rects


def below(rects: Sequence[Rect], figure: Size, title: str) -> list[Rect]:
    """Return rectangles moved down to leave room for a title of the figure, if there is one."""
    part = 1 - (_HEAD / figure[1] if title else 0.0)
    return [(left, bottom * part, width, height * part) for left, bottom, width, height in rects]


def grid_shape(count: int, size: Size, columns: int | None) -> tuple[int, int]:
    """Return columns and rows that make the figure about four to three.

    Examples
    --------
    >>> grid_shape(12, (400, 400), None), grid_shape(5, (400, 100), None), grid_shape(7, (1, 1), 2)
    ((4, 3), (1, 5), (2, 4))
    """
    if columns is None:
        wanted = math.sqrt(count * size[1] / size[0] * 4 / 3)
        columns = min(count, max(1, round(wanted)))
    return columns, math.ceil(count / columns)


def figure_size(sizes: Sequence[Size], rows: int = 1) -> Size:
    """Return width and height in inches of a figure for rows of panels of these sizes in mm."""
    across, highest = sum(w for w, _ in sizes), max(h for _, h in sizes)
    room = _GAP * (len(sizes) + 1)
    per_mm = min((_LONGEST - room) / across, 9.0 / (rows * highest))
    height = rows * (per_mm * highest + _TITLE + _GAP) + _GAP
    return per_mm * across + room, max(height, _LOWEST)
