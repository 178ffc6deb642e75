"""Where the voxels of an array lie: what its user or its metadata say, as a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmed.errors import InputError
from chunkmed.formats.affine import LONGEST_SIDE
from chunkmed.grid import IDENTITY, Grid, Matrix
from chunkmed.units import length_mm

__all__ = ["Placing"]

_AXES = ("z", "y", "x")


@dataclass(frozen=True)
class Placing:
    """Steps and positions of an array, as far as they are said.

    Examples
    --------
    >>> Placing("6.5 um").grid((1, 2, 3, 4), has_z=True).spacing_mm
    (0.0065, 0.0065, 0.0065)
    """

    spacing_mm: Any = None
    """A number or text with a unit for all axes, a sequence for z, y, x (or y, x), a mapping by axis."""
    origin_mm: Any = None
    """Position of the first voxel along z, y, x, in the same forms; 0 by default."""
    time_ms: Any = None
    """Step between time points, or the time of each."""
    direction: Matrix = IDENTITY
    """Columns: LPS step per mm along x, y, z."""

    def over(self, other: Placing) -> Placing:
        """Return this, and the other where this says nothing."""
        return Placing(
            other.spacing_mm if self.spacing_mm is None else self.spacing_mm,
            other.origin_mm if self.origin_mm is None else self.origin_mm,
            other.time_ms if self.time_ms is None else self.time_ms,
            other.direction,
        )

    def grid(self, shape: Sequence[int], *, has_z: bool) -> Grid:
        """Return the grid of an array (t, z, y, x).

        Raises
        ------
        InputError
            ``no-spacing``, ``bad-spacing``, ``bad-origin``, ``bad-times``.
        """
        if self.spacing_mm is None:
            raise InputError(
                "nothing says how large the voxels are",
                kind="no-spacing",
                fix="give spacing_mm= (one number, or those of z, y, x; 1 where it does not matter)",
            )
        if max(shape) > LONGEST_SIDE:
            raise InputError("no image is this long", kind="bad-shape", why=f"shape {tuple(shape)}")
        steps = _per_axis(self.spacing_mm, "spacing", has_z)
        starts = _per_axis(0.0 if self.origin_mm is None else self.origin_mm, "origin", has_z)
        if not all(step is None or step > 0 for step in steps):
            raise InputError(f"spacing_mm = {self.spacing_mm!r}", kind="bad-spacing", why="steps are above 0")
        z, y, x = (
            tuple((np.round((start or 0.0) + (step or 1.0) * np.arange(n), 6) + 0.0).tolist())
            for n, step, start in zip(shape[1:], steps, starts, strict=True)
        )
        times, known = _times(self.time_ms, shape[0])
        thickness = steps[0] if shape[1] == 1 else None
        return Grid(z, y, x, times, self.direction, time_known=known, thickness_mm=thickness)


def _per_axis(given: Any, what: str, has_z: bool) -> list[float | None]:
    """Return one number for each of z, y, x; None for a z that there is not."""
    axes = _AXES if has_z else _AXES[1:]
    if isinstance(given, Mapping):
        values = [given.get(axis) for axis in axes]
        fits = set(given) <= set(_AXES) and None not in values
        own: Any = [given.get("z"), *values[-2:]]
    elif isinstance(given, str) or np.ndim(given) == 0:
        fits, own = True, [given if has_z or what == "spacing" else 0.0, given, given]
        own[0] = own[0] if has_z else None
    else:
        own = list(given)
        fits = len(own) in (len(axes), 3)
        own = own if len(own) == 3 else [None, *own]
    try:
        numbers = [None if v is None else length_mm(v) if isinstance(v, str) else float(v) for v in own]
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        fits, numbers = False, []
    if not fits or not all(n is None or np.isfinite(n) for n in numbers):
        raise InputError(
            f"{what}_mm = {given!r}",
            kind=f"bad-{what}",
            fix=f"give a number in mm, text with a unit, or one for each of {', '.join(axes)}",
        )
    return numbers


def _times(given: Any, count: int) -> tuple[tuple[float, ...], bool]:
    if given is None:
        return tuple(float(i) for i in range(count)), count == 1
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim == 0:
        values = values * np.arange(count) if values > 0 else np.empty(0)
    if values.shape != (count,) or not np.all(np.isfinite(values)):
        raise InputError(
            f"time_ms = {given!r}",
            kind="bad-times",
            why=f"the image has {count} time points",
            fix="give the step in ms, or one time for each of them",
        )
    return tuple((np.round(values, 6) + 0.0).tolist()), True
