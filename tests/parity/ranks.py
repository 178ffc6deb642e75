"""Rows of rank filters, of minima and maxima."""

from __future__ import annotations

from parity.row import DTYPES, MODES, NUMBERS, Row, ball, lopsided

__all__ = ["ROWS"]

PLANE = ("int16", "float32")


def _ranks() -> list[Row]:
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
        Row("median_filter", "filter", {"size": 2, "origin": -1}, PLANE, note="even, origin"),
        Row(
            "median_filter",
            "filter",
            {"footprint": ball(3)},
            PLANE,
            wide={"footprint": ball(4)},
            note="footprint",
        ),
        Row("median_filter", "filter", {"size": 3, "output": "float64"}, ("int16",), note="output"),
        Row("median_filter", "filter", {"size": 3, "axes": (1, 2)}, PLANE, note="two axes"),
        Row("rank_filter", "filter", {"rank": 5, "size": 3}, ("uint8", "float64"), note="size 3"),
        Row("rank_filter", "filter", {"rank": -1, "size": 2}, ("int16",), note="highest"),
        Row("rank_filter", "filter", {"rank": -3, "footprint": lopsided(2, 3, 4)}, ("int16",),
            wide={"rank": -3, "footprint": lopsided(1, 2, 3, 4)}, note="lopsided"),
        Row("rank_filter", "filter", {"rank": 2, "size": 2, "mode": "constant", "cval": -7.5}, ("uint8",),
            note="constant between"),
        Row("rank_filter", "filter", {"rank": 1, "size": (5, 4, 3), "axes": (2, 0, 1)}, ("int16",),
            wide={"rank": 1, "size": (1, 4, 3, 2), "axes": (2, 0, 3, 1)}, note="unsorted axes"),
        Row("percentile_filter", "filter", {"percentile": 80, "size": 3}, ("bool", "int16", "float32"),
            note="size 3"),
        Row("percentile_filter", "filter", {"percentile": -70, "size": (2, 3, 3)}, ("int16",),
            wide={"percentile": -70, "size": (1, 2, 3, 3)}, note="negative"),
        Row("percentile_filter", "filter", {"percentile": 100, "size": 3}, ("int16",), note="highest"),
        Row("percentile_filter", "filter", {"percentile": 33.4, "size": 3, "axes": (2, 1)}, ("float64",),
            note="unsorted axes"),
    ]  # fmt: skip
    for mode in MODES:
        median = {"size": (3, 3, 5), "mode": mode, "cval": 7.0}
        wide = median | {"size": (1, 3, 3, 5)}
        rows.append(Row("median_filter", "filter", median, PLANE, wide=wide, note=mode))
    return rows


def _extremes(name: str) -> list[Row]:
    sizes, wide = {"size": (2, 5, 4), "origin": (-1, 2, 0)}, {"size": (1, 2, 5, 4), "origin": (0, -1, 2, 0)}
    rows = [
        Row(name, "filter", {"size": 3}, ("bool", "uint8", "uint16", "float32"), note="size 3"),
        Row(name, "filter", sizes, ("int16",), wide=wide, note="even, origin"),
        Row(
            name, "filter", {"footprint": lopsided(2, 3, 4), "mode": "constant", "cval": 90.0}, ("float32",),
            wide={"footprint": lopsided(1, 2, 3, 4), "mode": "constant", "cval": 90.0}, note="footprint",
        ),
        Row(
            name, "filter", {"size": (1, 4, 3), "mode": ("constant", "wrap", "mirror"), "cval": 90.0},
            ("int16",), wide={"size": (1, 1, 4, 3), "mode": ("wrap", "constant", "wrap", "mirror")},
            note="mixed borders",
        ),
        Row(name, "filter", {"size": (4, 2), "axes": (2, 1), "mode": ("nearest", "constant"), "cval": 90.0},
            ("int16",), note="unsorted axes"),
        Row(name, "filter", {"size": 3, "output": "float64"}, ("int16",), note="output"),
        Row(name, "filter", {"size": 3, "mode": "constant", "cval": 300.0}, ("uint8",), note="cval beyond"),
    ]  # fmt: skip
    rows += [
        Row(name, "filter", {"size": (2, 3, 5), "mode": mode, "cval": 90.0}, ("int16",), note=mode,
            wide={"size": (1, 2, 3, 5), "mode": mode, "cval": 90.0})
        # Both take borders in one way.
        for mode in (MODES if name == "minimum_filter" else ())
    ]  # fmt: skip
    line = {"size": 4, "axis": -2, "origin": 1, "mode": "wrap"}
    rows += [
        Row(f"{name}1d", "filter", {"size": 3}, ("uint16",), note="size 3"),
        Row(f"{name}1d", "filter", line, ("int16",), note="even, origin"),
        Row(
            f"{name}1d",
            "filter",
            {"size": 11, "axis": -3, "mode": "constant", "cval": 90.0},
            ("int16",),
            note="long",
        ),
    ]
    return rows


ROWS = (*_ranks(), *_extremes("minimum_filter"), *_extremes("maximum_filter"))
