"""Rows of rank filters."""

from __future__ import annotations

from parity.row import DTYPES, MODES, NUMBERS, Row, ball

__all__ = ["ROWS"]


def _ranks() -> list[Row]:
    plane = ("int16", "float32")
    rows = [
        Row("median_filter", "filter", {"size": 3}, DTYPES, note="size 3"),
        Row(
            "median_filter",
            "filter",
            {"size": (1, 3, 2)},
            NUMBERS,
            wide={"size": (1, 1, 3, 2)},
            note="anisotropic",
        ),
        Row("median_filter", "filter", {"size": 2, "origin": -1}, plane, note="even, origin"),
        Row(
            "median_filter",
            "filter",
            {"footprint": ball(3)},
            plane,
            wide={"footprint": ball(4)},
            note="footprint",
        ),
        Row("median_filter", "filter", {"size": 3, "output": "float64"}, ("int16",), note="output"),
        Row("median_filter", "filter", {"size": 3, "axes": (1, 2)}, plane, note="two axes"),
    ]
    for mode in MODES:
        median = {"size": (3, 3, 5), "mode": mode, "cval": 7.0}
        wide = median | {"size": (1, 3, 3, 5)}
        rows.append(Row("median_filter", "filter", median, plane, wide=wide, note=mode))
    return rows


ROWS = tuple(_ranks())
