"""Rows of numbers that need every value of an object: medians, histograms, functions of all voxels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from parity.row import DTYPES, NUMBERS, Row

__all__ = ["ROWS", "check", "run"]


def run(function: Any, image: Any, labels: Any, arguments: Mapping[str, Any]) -> Any:
    """Call a function with the image, the arguments before and after the labels, and the labels."""
    arguments = dict(arguments)
    arguments.pop("labels", None)
    before, after = arguments.pop("before", ()), arguments.pop("after", ())
    if function.__name__ == "value_indices":
        return function(image, **arguments)
    return function(image, *before, labels, arguments.get("index"), *after)


def check(found: Any, wanted: Any, rtol: float) -> None:
    """Compare numbers, histograms of several labels, or indices."""
    if isinstance(wanted, dict):
        assert {int(key): [part.tolist() for part in value] for key, value in found.items()} == {
            int(key): [part.tolist() for part in value] for key, value in wanted.items()
        }
        assert {type(key) for key in found} == {type(key) for key in wanted}
        return
    if isinstance(wanted, np.ndarray) and wanted.dtype.kind == "O":
        plain = np.asarray(found)
        if plain.dtype == object:
            assert [item is None for item in plain.ravel()] == [item is None for item in wanted.ravel()]
            plain = _stacked(plain)
        found, wanted = plain, _stacked(wanted)
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=0)


def _stacked(histograms: np.ndarray) -> np.ndarray:
    """Return histograms as rows, zeros for labels that are not there."""
    bins = max(len(item) for item in histograms if item is not None)
    return np.stack([np.zeros(bins, np.int64) if item is None else item for item in histograms])


def last(values: np.ndarray) -> Any:
    """Tell orders of voxels apart."""
    return values[-1] if len(values) else 0


def moment(values: np.ndarray, positions: np.ndarray) -> float:
    # scipy's order of voxels is that of an unstable sort: what is compared must not depend on it.
    return float((values.astype(float) * positions).sum())


def _numbers() -> list[Row]:
    few = ("int16", "float32")
    rows = [
        Row("median", "grouped", {"index": [1, 4, 2, 2]}, (*DTYPES, "float16"), note="labels"),
        Row("median", "grouped", {"index": 3}, few, note="one label"),
        Row("median", "grouped", {"index": None}, ("int16", "float64"), note="all labels"),
        Row("median", "grouped", {"labels": None}, NUMBERS, note="no labels"),
        Row("value_indices", "grouped", {"labels": None}, ("int32", "uint8"), note="all"),
        Row("value_indices", "grouped", {"labels": None, "ignore_value": 2}, ("int16",), note="ignored"),
    ]
    for bins in ((0, 100, 10), (-3.5, 18.25, 7)):
        note = f"{bins[2]} bins"
        rows += [
            Row(
                "histogram",
                "grouped",
                {"before": bins, "index": [4, 1]},
                NUMBERS if bins[1] == 100 else few,
                note=note,
            ),
            Row("histogram", "grouped", {"before": bins, "index": [1, 99]}, few, note=f"{note}, absent"),
            Row("histogram", "grouped", {"before": bins, "index": 2}, ("int16",), note=f"{note}, one label"),
            Row("histogram", "grouped", {"before": bins}, ("float32",), note=f"{note}, all labels"),
            Row("histogram", "grouped", {"before": bins, "labels": None}, few, note=f"{note}, no labels"),
        ]
    for after in ((np.ptp, "float64", -1), (moment, float, 0, True)):
        note = after[0].__name__
        rows += [
            Row(
                "labeled_comprehension",
                "grouped",
                {"index": [3, 99, 1], "after": after},
                few,
                1e-9,
                note=note,
            ),
            Row(
                "labeled_comprehension",
                "grouped",
                {"index": 2, "after": after},
                ("uint8",),
                1e-9,
                note=f"{note}, one label",
            ),
        ]
    rows += [
        Row(
            "labeled_comprehension", "grouped", {"after": (last, None, None)}, few, note="last of all labels"
        ),
        Row(
            "labeled_comprehension",
            "grouped",
            {"labels": None, "after": (last, None, None)},
            few,
            note="last of all",
        ),
    ]
    return rows


ROWS = tuple(_numbers())
