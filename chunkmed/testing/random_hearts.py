"""Draws of what a user's heart study could look like."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["draw"]

_EJECTED = (0.21, 0.75)  # the sampled fraction may be a little lower: it stays above 20 %
_VOLUMES_ML = (80.0, 200.0)
_THINNEST_STEPS = 8  # steps along z over the smallest long axis: keeps thresholded volumes within 3 %


def draw(seed: int) -> dict[str, Any]:
    """Return the settings of a random heart."""
    rng = np.random.default_rng(seed)
    beat = _beat(rng)
    left = _semi_axes(rng, rng.uniform(*_VOLUMES_ML), rng.uniform(1.5, 1.9), 1.0)
    right = _semi_axes(rng, rng.uniform(*_VOLUMES_ML), rng.uniform(1.1, 1.4), rng.uniform(0.6, 0.8))
    spacing, gap = _spacing(rng, left[0], beat["nominal_ejection_fraction"])
    tilt = float(rng.uniform(-20, 20))
    septum = float(rng.uniform(8, 14))
    offset = tuple((rng.uniform(-0.5, 0.5, 3) * spacing).tolist())
    return beat | {
        "semi_axes_mm": left,
        "other_semi_axes_mm": right,
        "septum_mm": septum,
        "spacing_mm": spacing,
        "slice_gap_mm": gap,
        "size": _size(left, right, septum, tilt, spacing),
        "offset_mm": offset,
        "tilt_deg": tilt,
        "rotation_deg": tuple(rng.uniform(-180, 180, 3).tolist()),
        "origin_mm": tuple(rng.uniform(-200, 200, 3).round(3).tolist()),
        "noise_sigma": float(rng.uniform(0, 10)),
        "seed": seed,
        **_intensities(rng),
    }


def _beat(rng: np.random.Generator) -> dict[str, Any]:
    long_axis_share = float(rng.uniform(0.15, 1 / 3))
    short_axis_share = (1 - long_axis_share) / 2
    return {
        "time_points": int(rng.integers(12, 31)),
        "rr_interval_ms": float(rng.uniform(500, 1200)),
        "nominal_ejection_fraction": float(rng.uniform(*_EJECTED)),
        "other_ejection_fraction": float(rng.uniform(0, 0.7)),
        "shrink_exponents": (long_axis_share, short_axis_share, short_axis_share),
        "systole_fraction": float(rng.uniform(0.3, 0.4)),
    }


def _semi_axes(
    rng: np.random.Generator, volume_ml: float, length: float, width: float
) -> tuple[float, float, float]:
    """Return semi-axes z, y, x of a given volume, z : y : x = length : 1 : width, about."""
    width *= float(rng.uniform(0.95, 1.05))
    y = (volume_ml * 1000 / (4 / 3 * math.pi * length * width)) ** (1 / 3)
    return length * y, y, width * y


def _spacing(
    rng: np.random.Generator, long_axis_mm: float, ejected: float
) -> tuple[tuple[float, float, float], float]:
    smallest_mm = 2 * long_axis_mm * (1 - ejected) ** (1 / 3)
    step = min(float(rng.uniform(4, 7)), smallest_mm / _THINNEST_STEPS)
    in_plane = float(rng.uniform(0.9, 1.4))
    return (round(step, 3), round(in_plane, 4), round(in_plane, 4)), round(step * rng.uniform(0, 0.4), 3)


def _size(
    left: tuple[float, ...],
    right: tuple[float, ...],
    septum_mm: float,
    tilt_deg: float,
    spacing_mm: tuple[float, ...],
) -> tuple[int, int, int]:
    deep = max(left[0], right[0])
    high = max(left[1], right[1]) + abs(math.tan(math.radians(tilt_deg))) * deep
    wide = left[2] + right[2] + septum_mm / 2
    halves = (1.2 * deep, 1.6 * high, 1.5 * wide)
    z, y, x = (math.ceil(2 * half / step) + 2 for half, step in zip(halves, spacing_mm, strict=True))
    return z, y, x


def _intensities(rng: np.random.Generator) -> dict[str, Any]:
    tissue = float(rng.uniform(60, 120))
    return {
        "tissue": tissue,
        "blood": tissue + float(rng.uniform(110, 200)),
        "air": float(rng.uniform(0, 20)),
    }
