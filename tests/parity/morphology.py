"""Rows of binary morphology."""

from __future__ import annotations

import numpy as np
from parity.row import Row, ball, lopsided

__all__ = ["ROWS"]


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
        round_ = {"structure": ball(3), "iterations": 2}
        rows += [
            Row(name, "mask", round_, ("bool",), wide=round_ | {"structure": ball(4)}, note="ball"),
            Row(
                name,
                "mask",
                {"structure": lopsided(2, 3, 4)},
                ("bool",),
                wide={"structure": lopsided(1, 2, 3, 4)},
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
            Row(
                name,
                "mask",
                {"structure": lopsided(1, 5), "axes": (2, 1), "origin": (0, 0)},
                ("bool",),
                note="unsorted axes",
            ),
        ]
    return rows


ROWS = tuple(_morphology())
