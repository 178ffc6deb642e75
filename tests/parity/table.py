"""Every function of chunkmed.ndimage beside scipy.ndimage's, as data.

Rows are plain values, so that tests and benchmarks read the same table. ``call`` says what a
function takes and gives:

- ``filter``: ``f(image, **arguments) -> image``
- ``mask``: ``f(mask, **arguments) -> mask``
- ``label``: ``f(mask, **arguments) -> (labels, count)``
- ``number``: ``f(image, labels, index) -> one number per label``
- ``center``: ``f(image, labels, index) -> one position per label``
- ``position``: the same, where the value at the position counts and not the position
- ``extrema``: ``f(image, labels, index) -> (lowest, highest, position, position)``
- ``boxes``: ``f(labels, **arguments) -> list of boxes``
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["DTYPES", "MODES", "ROWS", "Row"]

MODES = ("reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "wrap", "grid-wrap")
NUMBERS = ("uint8", "int16", "uint16", "float32", "float64")
DTYPES = ("bool", *NUMBERS)


@dataclass(frozen=True)
class Row:
    """One function with one set of arguments."""

    name: str
    call: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ("int16",)
    rtol: float = 0.0
    """0 means equal to the last bit."""
    wide: Mapping[str, Any] | None = None
    """Arguments for four axes, where those for three do not fit."""
    note: str = ""

    @property
    def id(self) -> str:
        """A short name of the case."""
        return f"{self.name}-{self.note}" if self.note else self.name

    def arguments_for(self, ndim: int) -> dict[str, Any]:
        """Return the arguments for an array of ``ndim`` axes that are all acted along."""
        return dict(self.wide if ndim == 4 and self.wide is not None else self.arguments)


def _ball(ndim: int) -> np.ndarray:
    steps = np.abs(np.indices((3,) * ndim) - 1).sum(axis=0)
    return steps <= 2


def _anti_diagonal(ndim: int) -> np.ndarray:
    """Return a structure that joins along one anti-diagonal only: mirrored axes tell it apart."""
    out = np.zeros((3,) * ndim, dtype=bool)
    out[(1,) * ndim] = True
    out[(1,) * (ndim - 2) + (0, 2)] = out[(1,) * (ndim - 2) + (2, 0)] = True
    return out


def _lopsided(*shape: int) -> np.ndarray:
    """Return a structure without any symmetry."""
    out = np.zeros(shape, dtype=bool)
    out[tuple(n // 2 for n in shape)] = out[(0,) * len(shape)] = out[(0,) * (len(shape) - 1) + (-1,)] = True
    return out


def _filters() -> list[Row]:
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
            {"footprint": _ball(3)},
            plane,
            wide={"footprint": _ball(4)},
            note="footprint",
        ),
        Row("median_filter", "filter", {"size": 3, "output": "float64"}, ("int16",), note="output"),
        Row("median_filter", "filter", {"size": 3, "axes": (1, 2)}, plane, note="two axes"),
    ]
    for mode in MODES:
        gaussian = {"sigma": 1.1, "mode": mode, "cval": 7.0}
        median = {"size": (3, 3, 5), "mode": mode, "cval": 7.0}
        rows.append(Row("gaussian_filter", "filter", gaussian, plane, note=mode))
        wide = median | {"size": (1, 3, 3, 5)}
        rows.append(Row("median_filter", "filter", median, plane, wide=wide, note=mode))
    return rows


def _morphology() -> list[Row]:
    rows = []
    for name in ("binary_erosion", "binary_dilation", "binary_opening", "binary_closing"):
        rows.append(Row(name, "mask", {}, ("bool", "uint8", "float32"), note="plain"))
        rows += [
            Row(
                name,
                "mask",
                {"iterations": n, "border_value": border},
                ("bool",),
                note=f"{n}x border {border}",
            )
            for n in (1, 2, 3)
            for border in (0, 1)
        ]
        ball = {"structure": _ball(3), "iterations": 2}
        rows += [
            Row(name, "mask", ball, ("bool",), wide=ball | {"structure": _ball(4)}, note="ball"),
            Row(
                name,
                "mask",
                {"structure": _lopsided(2, 3, 4)},
                ("bool",),
                wide={"structure": _lopsided(1, 2, 3, 4)},
                note="even, lopsided",
            ),
            Row(
                name,
                "mask",
                {"structure": np.ones((3, 3, 3)), "origin": (0, 1, -1)},
                ("bool",),
                wide={"structure": np.ones((3, 3, 3, 3)), "origin": (0, 0, 1, -1)},
                note="origin",
            ),
            Row(name, "mask", {"axes": (1, 2)}, ("bool",), note="two axes"),
        ]
    return rows


def _objects() -> list[Row]:
    rows = [
        Row("label", "label", {}, ("bool", "uint8", "float32"), note="faces"),
        Row(
            "label",
            "label",
            {"structure": np.ones((3, 3, 3))},
            ("bool",),
            wide={"structure": np.ones((3, 3, 3, 3))},
            note="corners",
        ),
        Row(
            "label",
            "label",
            {"structure": _anti_diagonal(3)},
            ("bool",),
            wide={"structure": _anti_diagonal(4)},
            note="anti-diagonal",
        ),
        Row("label", "label", {"output": "int64"}, ("bool",), note="output"),
        Row("find_objects", "boxes", {}, ("int32", "uint8"), note="all"),
        Row("find_objects", "boxes", {"max_label": 3}, ("int32",), note="max_label"),
        Row("find_objects", "boxes", {"max_label": 40}, ("int32",), note="beyond"),
    ]
    calls = {
        "sum": ("number", 1e-9),
        "sum_labels": ("number", 1e-9),
        "mean": ("number", 1e-9),
        "variance": ("number", 1e-9),
        "standard_deviation": ("number", 1e-9),
        "minimum": ("number", 0.0),
        "maximum": ("number", 0.0),
        "minimum_position": ("position", 0.0),
        "maximum_position": ("position", 0.0),
        "extrema": ("extrema", 0.0),
        "center_of_mass": ("center", 1e-9),
    }
    for name, (call, rtol) in calls.items():
        rows += [
            Row(name, call, {"index": [1, 4, 2]}, NUMBERS, rtol, note="labels"),
            Row(name, call, {"index": 2}, ("int16", "float32"), rtol, note="one label"),
            Row(name, call, {"index": None}, ("int16", "float64"), rtol, note="all labels"),
            Row(name, call, {"labels": None}, NUMBERS, rtol, note="no labels"),
        ]
        if call == "number":
            rows.append(Row(name, call, {"index": [1, 99]}, ("int16", "float32"), rtol, note="absent label"))
            rows.append(Row(name, call, {"index": [[1, 2], [3, 4]]}, ("int16",), rtol, note="index 2D"))
    return rows


#: All rows; dtypes are those of the first argument.
ROWS: tuple[Row, ...] = (*_filters(), *_morphology(), *_objects())
