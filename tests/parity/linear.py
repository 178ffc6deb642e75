"""Rows of linear filters."""

from __future__ import annotations

import numpy as np
from parity.row import DTYPES, MODES, NUMBERS, Row

__all__ = ["ROWS"]

_PLANE = ("int16", "float32")
#: One mode per axis.
_MIXED = ("wrap", "nearest", "constant")
_MIXED_WIDE = ("mirror", *_MIXED)


def _gaussian() -> list[Row]:
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
        Row("gaussian_filter", "filter", {"sigma": 3.0, "truncate": 2.5}, _PLANE, note="wider than image"),
        Row("gaussian_filter", "filter", {"sigma": 0.8, "radius": 2}, _PLANE, note="radius"),
        Row("gaussian_filter", "filter", {"sigma": 0.0}, _PLANE, note="sigma 0"),
        Row("gaussian_filter", "filter", {"sigma": 1.0, "order": 2}, ("float64",), note="derivative"),
        Row(
            "gaussian_filter",
            "filter",
            {"sigma": 1.0, "order": (0, 1, 0)},
            ("int16", "float64"),
            wide={"sigma": 1.0, "order": (0, 0, 1, 0)},
            note="gradient",
        ),
        Row(
            "gaussian_filter", "filter", {"sigma": 1.0, "output": "float32"}, ("int16", "bool"), note="output"
        ),
        Row(
            "gaussian_filter",
            "filter",
            {"sigma": 1.0, "mode": _MIXED, "cval": 3.5},
            _PLANE,
            wide={"sigma": 1.0, "mode": _MIXED_WIDE, "cval": 3.5},
            note="mixed borders",
        ),
        Row("gaussian_filter", "filter", {"sigma": 1.0, "axes": (0, 2)}, _PLANE, note="two axes"),
        Row("gaussian_filter", "filter", {"sigma": 1.0, "axes": -1}, _PLANE, note="last axis"),
        Row("gaussian_filter1d", "filter", {"sigma": 1.2, "axis": -2, "order": 3}, _PLANE, note="order 3"),
    ]
    for mode in MODES:
        gaussian = {"sigma": 1.1, "mode": mode, "cval": 7.0}
        rows.append(Row("gaussian_filter", "filter", gaussian, _PLANE, note=mode))
    return rows


def _uniform() -> list[Row]:
    """Sums of whole windows: running sums, as scipy's, have other last bits."""
    rows = [
        Row("uniform_filter", "filter", {"size": 3}, ("bool", "uint8", "int16", "uint16"), note="integers"),
        Row("uniform_filter", "filter", {"size": 3}, ("float32",), 1e-5, note="float32"),
        Row("uniform_filter", "filter", {"size": 3}, ("float64",), 1e-12, note="float64"),
        Row(
            "uniform_filter",
            "filter",
            {"size": (2, 1, 9), "origin": (-1, 0, 3), "mode": _MIXED, "cval": 3.5},
            ("int16",),
            wide={"size": (1, 2, 1, 9), "origin": (0, -1, 0, 3), "mode": _MIXED_WIDE, "cval": 3.5},
            note="origins, mixed borders",
        ),
        Row("uniform_filter", "filter", {"size": 4, "axes": (0, 2)}, ("int16",), note="two axes"),
        Row("uniform_filter", "filter", {"size": 3, "output": "float32"}, ("int16",), 1e-5, note="output"),
        Row("uniform_filter1d", "filter", {"size": 5, "axis": -3, "origin": 1}, ("int16",)),
    ]
    for mode in MODES:
        uniform = {"size": 5, "mode": mode, "cval": 7.0}
        rows.append(Row("uniform_filter", "filter", uniform, ("int16",), note=mode))
    return rows


def _correlations() -> list[Row]:
    rng = np.random.default_rng(3)
    weights, wide = rng.normal(size=(3, 2, 4)), rng.normal(size=(2, 3, 1, 3))
    weights[1, 1, 1] = 0.0
    line = (0.3, -1.0, 2.0, 0.7)
    rows = [
        Row("correlate1d", "filter", {"weights": line, "axis": -2, "origin": 1}, DTYPES, note="even"),
        Row("convolve1d", "filter", {"weights": line, "axis": -1, "mode": "wrap"}, _PLANE, note="even"),
        Row("correlate1d", "filter", {"weights": np.arange(9.0), "axis": -3}, ("int16",), note="wide"),
        Row("correlate1d", "filter", {"weights": [1j, 2, 3]}, ("int16",), 1e-14, note="complex"),
    ]
    for name in ("correlate", "convolve"):
        shifted = {"origin": (1, -1, 0), "mode": "constant", "cval": 2.5}
        rows += [
            Row(name, "filter", {"weights": weights}, DTYPES, wide={"weights": wide}, note="weights"),
            Row(
                name,
                "filter",
                {"weights": weights, **shifted},
                ("int16",),
                wide={"weights": wide, **shifted, "origin": (0, 1, 0, -1)},
                note="origins",
            ),
        ]
    rows += [
        Row("correlate", "filter", {"weights": weights[0], "axes": (2, 0), "origin": (0, -1)}, note="axes"),
        Row(
            "convolve",
            "filter",
            {"weights": weights + 1j * weights[::-1], "output": "complex128"},
            ("float32",),
            1e-13,
            wide={"weights": wide * 1j, "output": "complex128"},
            note="complex",
        ),
    ]
    for mode in MODES:
        more = {"mode": mode, "cval": -3.0}
        dense = {"weights": weights, **more}
        rows.append(Row("convolve", "filter", dense, ("float32",), wide={"weights": wide, **more}, note=mode))
    return rows


def _derivatives() -> list[Row]:
    mixed, wide = {"mode": _MIXED, "cval": 3.5}, {"mode": _MIXED_WIDE, "cval": 3.5}
    rows = [
        Row("sobel", "filter", {}, DTYPES, note="x"),
        Row("sobel", "filter", {"axis": -2, "output": "float32"}, ("int16",), note="output"),
        Row("sobel", "filter", {"axis": -3} | mixed, _PLANE, wide={"axis": -3} | wide, note="mixed borders"),
        Row("prewitt", "filter", {"axis": -2, "mode": "mirror"}, NUMBERS, note="y"),
        Row("laplace", "filter", {}, DTYPES, note="plain"),
        Row("laplace", "filter", mixed, _PLANE, wide=wide, note="mixed borders"),
        Row("laplace", "filter", {"axes": (2, 0), "output": "float32"}, ("int16",), note="two axes"),
    ]
    for name in ("gaussian_laplace", "gaussian_gradient_magnitude"):
        plain = {"sigma": 0.8}
        rows += [
            Row(name, "filter", plain, DTYPES, note="plain"),
            Row(name, "filter", plain | mixed, _PLANE, wide=plain | wide, note="mixed borders"),
            Row(name, "filter", {"sigma": 1.0, "axes": (0, 2), "truncate": 2.0}, ("float32",), note="axes"),
            Row(name, "filter", {"sigma": 0.7, "output": "float32", "mode": "wrap"}, ("int16",), note="wrap"),
        ]
    return rows


ROWS = (*_gaussian(), *_uniform(), *_correlations(), *_derivatives())
