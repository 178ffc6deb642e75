"""Rows of masks that depend on the whole image: filled holes, propagation, morphology until it rests."""

from __future__ import annotations

import numpy as np
from parity.row import Row, anti_diagonal, lopsided

__all__ = ["ROWS"]


def _far(ndim: int) -> np.ndarray:
    """Return a structure that reaches beyond the next voxel, and one way only along the last axis."""
    out = np.zeros((1,) * (ndim - 2) + (3, 4), dtype=bool)
    out[..., 1, :], out[..., 0, 2] = True, True
    return out


def _fill() -> list[Row]:
    def row(
        name: str, note: str, dtypes: tuple[str, ...] = ("bool",), wide: object = None, **more: object
    ) -> Row:
        over = None if wide is None else {**more, "structure": wide}
        return Row(name, "mask", more, dtypes, wide=over, note=note)

    ones = np.ones((3, 3, 3))
    return [
        row("binary_fill_holes", "faces", ("bool", "float32")),
        row("binary_fill_holes", "corners", structure=ones, wide=np.ones((3,) * 4)),
        row("binary_fill_holes", "anti-diagonal", structure=anti_diagonal(3), wide=anti_diagonal(4)),
        row("binary_fill_holes", "far, one way", structure=_far(3), wide=_far(4)),
        row("binary_fill_holes", "two axes", axes=(1, 2)),
        row("binary_fill_holes", "origin", structure=np.ones((1, 3, 1)), origin=(0, 1, 0), axes=(0, 1, 2)),
        row("binary_propagation", "all", ("bool", "uint8")),
        row("binary_propagation", "one axis", structure=[1, 1, 1], axes=(2,)),
        row("binary_erosion", "until it rests", iterations=-1, border_value=1),
        row("binary_closing", "until it rests", iterations=0, structure=[[0, 1, 1]], axes=(1, 2)),
        row(
            "binary_opening", "one way", wide=lopsided(1, 1, 1, 3), iterations=-1, structure=lopsided(1, 1, 3)
        ),
    ]


ROWS = tuple(_fill())
