"""Rows of filters of Fourier transforms."""

from __future__ import annotations

import numpy as np
from parity.row import NUMBERS, Row

__all__ = ["ROWS"]


def _fourier() -> list[Row]:
    rows = []
    anisotropic, wide = (0.4, 2.5, 1.3), (0.7, 0.4, 2.5, 1.3)
    names = {"gaussian": ("sigma", 0.0), "uniform": ("size", 0.0), "shift": ("shift", 1e-13)}
    for kind, (word, rtol) in names.items():
        name = f"fourier_{kind}"
        rows += [
            Row(name, "filter", {word: anisotropic}, NUMBERS, rtol, wide={word: wide}, note="complex"),
            Row(name, "filter", {word: 1.7, "n": 9, "axis": -2}, ("complex64",), rtol, note="real"),
            Row(
                name,
                "filter",
                {word: 1.7, "output": np.complex128},
                ("float32", "complex128"),
                rtol,
                note="output",
            ),
        ]
    ellipsoid = {"size": anisotropic, "n": 9, "axis": -1}
    rows += [
        Row(
            "fourier_ellipsoid",
            "filter",
            {"size": 2.5},
            ("int16", "complex64"),
            1e-13,
            note="complex",
            most_axes=3,
        ),
        Row(
            "fourier_ellipsoid",
            "filter",
            ellipsoid,
            ("float32", "complex128"),
            1e-13,
            note="real",
            most_axes=3,
        ),
    ]
    return rows


ROWS = tuple(_fourier())
