"""Rows of linear filters."""

from __future__ import annotations

from parity.row import DTYPES, MODES, NUMBERS, Row

__all__ = ["ROWS"]


def _linear() -> list[Row]:
    plane = ("int16", "float32")
    rows = [
        Row("gaussian_filter", "filter", {"sigma": 1.0}, DTYPES, note="sigma 1"),
        Row(
            "gaussian_filter",
            "filter",
            {"sigma": (0.4, 1.3, 0.7)},
            NUMBERS,
            wide={"sigma": (0.3, 0.4, 1.3, 0.7)},
            note="anisotropic",
        ),
        Row("gaussian_filter", "filter", {"sigma": 3.0, "truncate": 2.5}, plane, note="wider than image"),
        Row("gaussian_filter", "filter", {"sigma": 0.8, "radius": 2}, plane, note="radius"),
        Row("gaussian_filter", "filter", {"sigma": 0.0}, plane, note="sigma 0"),
        Row("gaussian_filter", "filter", {"sigma": 1.0, "order": 2}, ("float64",), note="derivative"),
        Row(
            "gaussian_filter",
            "filter",
            {"sigma": 1.0, "order": (0, 1, 0)},
            ("float64",),
            wide={"sigma": 1.0, "order": (0, 0, 1, 0)},
            note="gradient",
        ),
        Row(
            "gaussian_filter", "filter", {"sigma": 1.0, "output": "float32"}, ("int16", "bool"), note="output"
        ),
        Row(
            "gaussian_filter",
            "filter",
            {"sigma": 1.0, "mode": ("wrap", "nearest", "constant"), "cval": 3.5},
            plane,
            wide={"sigma": 1.0, "mode": ("mirror", "wrap", "nearest", "constant"), "cval": 3.5},
            note="mixed borders",
        ),
        Row("gaussian_filter", "filter", {"sigma": 1.0, "axes": (0, 2)}, plane, note="two axes"),
        Row("gaussian_filter", "filter", {"sigma": 1.0, "axes": -1}, plane, note="last axis"),
    ]
    for mode in MODES:
        gaussian = {"sigma": 1.1, "mode": mode, "cval": 7.0}
        rows.append(Row("gaussian_filter", "filter", gaussian, plane, note=mode))
    return rows


ROWS = tuple(_linear())
