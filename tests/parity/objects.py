"""Rows of labels and of numbers of labels."""

from __future__ import annotations

import numpy as np
from parity.row import NUMBERS, Row, anti_diagonal

__all__ = ["ROWS"]


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
            {"structure": anti_diagonal(3)},
            ("bool",),
            wide={"structure": anti_diagonal(4)},
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


ROWS = tuple(_objects())
