"""Rows of filters by functions of the user's."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from parity.row import Row, lopsided

__all__ = ["ROWS"]


def _spread(values, scale=1.0, *, power=1):
    return scale * (values.max() - values[0]) ** power


def _far(line, out):
    """Fill a line with what depends on all of it."""
    out[...] = line[: len(out)] - line.sum() / 64


def _second(image, axis, output, mode, cval, weight=1.0):
    line = [weight, -2, 0, 2, -0.5]
    return scipy.ndimage.correlate1d(image, line, axis, output, mode, cval)


def _from_mean(image, axis, output, mode, cval):
    """Derive what depends on all of the image, and smooth across the axis."""
    out = scipy.ndimage.sobel(image, axis, np.float64, mode, cval) - image.mean()
    if isinstance(output, np.ndarray):
        output[...] = out
    return out.astype(getattr(output, "dtype", output))


def _generic() -> list[Row]:
    extra = {"extra_arguments": (0.5,), "extra_keywords": {"power": 2}}
    shape = {"footprint": lopsided(2, 3, 3), "origin": (-1, 0, 1)}
    mixed, wide = ("wrap", "nearest", "constant"), ("mirror", "wrap", "nearest", "constant")
    filter_, vectorized = "generic_filter", "vectorized_filter"
    return [
        Row(filter_, "filter", {"function": np.ptp, "size": (1, 2, 3), "axes": (2, 0, 1)}, note="axes"),
        Row(
            filter_,
            "filter",
            {"function": _spread, "mode": "wrap", **shape, **extra},
            ("float32",),
            wide={"function": np.max, "size": 2, "mode": "mirror", "output": "uint8"},
            note="footprint, origin, arguments",
        ),
        Row("generic_filter1d", "filter", {"function": _far, "filter_size": 4, "axis": -2}, ("float64",)),
        Row("generic_laplace", "filter", {"derivative2": _second}, note="whole"),
        Row(
            "generic_laplace",
            "filter",
            {"derivative2": _second, "extra_arguments": (3.0,), "mode": mixed, "cval": 2.0},
            ("float32",),
            wide={"derivative2": _second, "mode": wide},
            note="mixed borders",
        ),
        Row("generic_gradient_magnitude", "filter", {"derivative": scipy.ndimage.sobel}, note="near"),
        Row(
            "generic_gradient_magnitude",
            "filter",
            {"derivative": _from_mean, "mode": "wrap", "axes": (2, 0)},
            ("float32",),
            note="far",
        ),
        Row(vectorized, "filter", {"function": np.median, "size": (2, 3), "axes": (2, 0)}, note="axes"),
        Row(
            vectorized,
            "filter",
            {"function": np.sum, "footprint": lopsided(2, 3, 3), "origin": (-1, 0, 1), "mode": "wrap"},
            ("int16", "float32"),
            wide={"function": np.ptp, "size": 2, "mode": "constant", "cval": 3},
            note="footprint, origin",
        ),
        Row(
            vectorized,
            "filter",
            {"function": np.mean, "size": 3, "mode": "valid"},
            wide={"function": np.mean, "size": 2, "mode": "valid"},
            note="valid",
        ),
    ]


ROWS = tuple(_generic())
