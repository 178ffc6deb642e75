"""Rows of interpolation.

Orders 0 and 1 are equal to the last bit; higher ones add up in another order, and their coefficients
come from cut lines.
"""

from __future__ import annotations

import numpy as np
from parity.row import DTYPES, MODES, Row

__all__ = ["ROWS"]

TURN = np.array([[0.95, 0.2, -0.1], [-0.15, 0.9, 0.3], [0.1, -0.25, 1.05]])
CLOSE = 1e-11


def bent(index, stretch=0.9):
    """Return where a voxel comes from: another bend for each axis, some voxels from outside."""
    return tuple(stretch * i + 0.07 * sum(index) - 0.3 * (axis + 1) for axis, i in enumerate(index))


def scattered(axes):
    """Return points in and around the image, three axes of results from any number."""
    rng = np.random.default_rng(17)
    return rng.uniform(-2, 8, (axes, 3, 5, 4)) if axes == 3 else rng.uniform(-1, 7, (axes, 2, 3, 2, 3))


def turn(axes):
    out = np.eye(axes) * 0.97
    out[-3:, -3:] = TURN
    return out


def row(name, note, dtypes=("int16",), rtol=0.0, wide=None, **arguments):
    """Return a row; ``wide`` is what differs for four axes."""
    return Row(name, "filter", arguments, dtypes, rtol, arguments | wide if wide else None, note)


FLOAT, EXACT = (("float64",), CLOSE), (("int16",), 0.0)
POINTS, MORE_POINTS = scattered(3), {"coordinates": scattered(4)}


def _affine():
    name, given = "affine_transform", {"matrix": turn(3), "offset": (0.3, -0.8, 0.5)}
    wide = {"matrix": turn(4), "offset": -0.3}
    offset = (0.3, -0.4, 0.1)
    homogeneous, larger = np.eye(4), np.eye(5)
    homogeneous[:3], larger[1:4, 1:] = np.c_[TURN, offset], np.c_[TURN, offset]
    factors = {"matrix": (0.7, 1.2, 0.9), "output_shape": (7, 5, 6)}
    more = {"matrix": (1, 0.7, 1.2, 0.9), "output_shape": (2, 7, 5, 6)}
    out = [
        row(name, "order 1", DTYPES, wide=wide, order=1, **given),
        row(name, "order 0", ("int16", "float32"), wide=wide, order=0, **given),
        row(name, "order 3", *FLOAT, wide, **given),
        row(name, "homogeneous", *EXACT, {"matrix": larger}, matrix=homogeneous, order=1),
        row(name, "per axis, shape", ("uint8",), 0.0, more, offset=0.4, order=1, **factors),
    ]
    for mode in MODES:
        beyond = given | {"mode": mode, "cval": 3.25}
        out.append(row(name, mode, *EXACT, wide, order=1, **beyond))
        out.append(row(name, f"{mode} 2", *FLOAT, wide, order=2, **beyond))
    return out


def _along():
    steps, wide = (0.4, -1.2, 2.7), {"shift": (0, 0.4, -1.2, 2.7)}
    out = [
        row("shift", "order 1", DTYPES, shift=1.3, order=1),
        row("shift", "order 0", ("int16", "bool"), 0.0, wide, shift=steps, order=0),
        row("shift", "order 3, output", ("int16",), CLOSE, wide, shift=steps, output="float64"),
        row("shift", "no prefilter", ("float32",), 1e-6, shift=0.6, prefilter=False),
        row("zoom", "order 1", DTYPES, zoom=1.6, order=1),
        row("zoom", "order 0", zoom=0.6, order=0),
        row("zoom", "order 3", *FLOAT, {"zoom": (1, 1.7, 0.6, 1.3)}, zoom=(1.7, 0.6, 1.3)),
        row("zoom", "grid mode", zoom=1.4, order=1, mode="grid-constant", grid_mode=True),
        row("zoom", "by one", zoom=1, output="float32"),
    ]
    for mode in MODES:
        # Further than the image is long: borders upon borders.
        far, wide = {"shift": (2.3, -9.6, 17.2)}, {"shift": (0.5, 2.3, -9.6, 17.2)}
        out.append(row("shift", mode, *EXACT, wide, order=1, mode=mode, cval=3.25, **far))
        out.append(row("shift", f"{mode} 5", *FLOAT, wide, order=5, mode=mode, cval=3.25, **far))
    for mode in ("nearest", "grid-wrap", "reflect"):
        out.append(row("zoom", mode, *FLOAT, zoom=1.4, mode=mode, order=4))
    return out


def _others():
    bend = {"output_shape": (4, 3, 5), "extra_keywords": {"stretch": 1.4}}
    out = [
        row("rotate", "order 1", ("int16", "float32"), angle=30, order=1),
        row("rotate", "same shape", *FLOAT, angle=-200, axes=(1, 2), reshape=False),
        row("rotate", "quarter", ("uint8",), angle=90, axes=(0, -1), order=0),
        row("map_coordinates", "order 1", DTYPES, 0.0, MORE_POINTS, coordinates=POINTS, order=1),
        row("map_coordinates", "order 3", *FLOAT, MORE_POINTS, coordinates=POINTS),
        row("geometric_transform", "order 1", mapping=bent, order=1),
        row("geometric_transform", "keywords", *FLOAT, {"output_shape": (2, 3, 3, 4)}, mapping=bent, **bend),
        row("spline_filter", "order 3", ("int16", "float64"), CLOSE),
        row("spline_filter", "output", ("float32",), 1e-5, order=4, output="float32"),
        row("spline_filter1d", "order 1", ("float32",), order=1, output="int32"),
    ]
    for mode in MODES:
        wide = MORE_POINTS
        out.append(row("map_coordinates", mode, *EXACT, wide, coordinates=POINTS, order=1, mode=mode))
        out.append(row("spline_filter1d", mode, *FLOAT, order=5, mode=mode))
    return out


ROWS = (*_affine(), *_along(), *_others())
