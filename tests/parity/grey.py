"""Rows of grey morphology."""

from __future__ import annotations

import numpy as np
from parity.row import Row, ball, lopsided

__all__ = ["ROWS"]

STEPS = ("grey_erosion", "grey_dilation", "grey_opening", "grey_closing")
DIFFERENCES = ("morphological_gradient", "morphological_laplace")
TOPHATS = ("white_tophat", "black_tophat")


def _bumps(*shape: int) -> np.ndarray:
    """Return a structure that is neither flat nor symmetric."""
    return np.arange(np.prod(shape)).reshape(shape) % 5


def _rows(name: str) -> list[Row]:
    mode = {"mode": "constant", "cval": 90.0}
    return [
        Row(name, "filter", {"size": 3}, ("uint8",), note="size 3"),
        Row(
            name, "filter", {"size": (2, 3, 4), "origin": (0, 1, -1), "mode": "wrap"}, ("int16",),
            wide={"size": (1, 2, 3, 4), "origin": (0, 0, 1, -1), "mode": "wrap"}, note="even, origin",
        ),
        Row(
            name, "filter", {"footprint": lopsided(2, 3, 4), **mode}, ("uint8",),
            wide={"footprint": lopsided(1, 2, 3, 4), **mode}, note="footprint",
        ),
        Row(
            name, "filter", {"structure": _bumps(2, 3, 3), **mode}, ("int16",),
            wide={"structure": _bumps(1, 2, 3, 3), **mode}, note="structure",
        ),
    ]  # fmt: skip


def _grey() -> list[Row]:
    rows = [row for name in STEPS for row in _rows(name)]
    # Made of these: what is theirs is the last step.
    rows += [row for name in (*DIFFERENCES, *TOPHATS) for row in _rows(name)[::3]]
    for name in STEPS:
        both = {"structure": _bumps(3, 3, 3), "footprint": ball(3)}
        wide = {"structure": _bumps(3, 3, 3, 3), "footprint": ball(4)}
        rows += [
            Row(name, "filter", {"size": (3, 2), "axes": (2, 1)}, ("uint16",), note="unsorted axes"),
            Row(name, "filter", both, ("float64",), wide=wide, note="structure in a footprint"),
            Row(name, "filter", {"structure": np.zeros((2, 3)), "axes": (0, 2)}, ("bool",), note="flat"),
            Row(name, "filter", {"size": 3, "output": "float32"}, ("int16",), note="output"),
        ]
    for name in TOPHATS:
        rows.append(Row(name, "filter", {"size": 2}, ("bool",), note="mask"))
        rows.append(Row(name, "filter", {"size": 2, "output": "float64"}, ("uint8",), note="output"))
    return rows


def _patterns() -> list[Row]:
    corner, rest = lopsided(2, 3, 2), np.zeros((2, 3, 2), bool)
    rest[1, 0, 0] = rest[0, 2, 0] = True
    moved = {"structure1": corner, "structure2": rest, "origin1": (0, -1, 0), "origin2": (-1, 1, 0)}
    wide = {
        "structure1": corner[np.newaxis],
        "structure2": rest[np.newaxis],
        "origin1": (0, 0, -1, 0),
        "origin2": (0, -1, 1, 0),
    }
    one = np.array([[0, 0, 0], [0, 1, 1], [0, 0, 0]])
    return [
        Row("binary_hit_or_miss", "mask", {}, ("bool", "float32"), note="faces"),
        Row("binary_hit_or_miss", "mask", moved, ("bool",), wide=wide, note="two structures, origins"),
        Row("binary_hit_or_miss", "mask", {"structure1": one, "axes": (1, 2)}, ("bool",), note="two axes"),
    ]


ROWS = (*_grey(), *_patterns())
