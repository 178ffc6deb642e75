"""Where voxels lie: an immutable value. It knows nothing of files, arrays or dask."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from chunkmed.errors import InputError

__all__ = ["Grid", "Matrix", "step_weights"]

Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
#: Real series step 3.27/3.29: steps within 2 % of their median count as uniform.
UNIFORM_TOLERANCE = 0.02
_COORDINATE_DIGITS = 6
#: Cosines between axes up to this are what rounding of headers makes of right angles.
_RIGHT_ANGLE = 1e-3


@dataclass(frozen=True)
class Grid:
    """Positions of the voxels of a 4D image.

    ``lps = origin_mm + direction @ (x, y, z)`` holds for every voxel centre, where x, y, z are the
    values of ``x_mm``, ``y_mm``, ``z_mm``: it stays true when the image is cropped.
    """

    z_mm: tuple[float, ...]
    """Positions along the slice normal, ascending, mm (voxel indices when ``known`` is False)."""
    y_mm: tuple[float, ...]
    """Positions along the rows axis (down a column), mm."""
    x_mm: tuple[float, ...]
    """Positions along the columns axis (along a row), mm."""
    time_ms: tuple[float, ...] = (0.0,)
    """One value per time point (or per b-value, echo ...: see ``time_dim``)."""
    direction: Matrix = IDENTITY
    """3 x 3, rows L, P, S; columns: LPS step per mm along x, y, z. The last is not of unit
    length and not orthogonal when the gantry is tilted."""
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """LPS position of the point x = y = z = 0, mm."""
    time_dim: str = "t"
    """Name of the first dimension: ``t``, or what the series varies along instead."""
    known: bool = True
    """False when the input holds no geometry: positions are then voxel indices."""
    time_known: bool = True
    """False when only the order of the time points is known: ``time_ms`` then counts them."""
    thickness_mm: float | None = None
    """Depth that one slice stands for where a single slice gives no step, mm."""
    frame_key: str = ""
    """Keyed identifier of the frame of reference, never the UID itself."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Sizes of t, z, y, x."""
        return len(self.time_ms), len(self.z_mm), len(self.y_mm), len(self.x_mm)

    @property
    def dims(self) -> tuple[str, str, str, str]:
        """Names of the four dimensions."""
        return self.time_dim, "z", "y", "x"

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Mean steps along z, y, x in mm, positive (1.0 for a single unknown step)."""
        z, y, x = self._steps_mm
        return abs(z), abs(y), abs(x)

    @property
    def _steps_mm(self) -> tuple[float, float, float]:
        """Mean steps along z, y, x, negative on an axis that was turned round."""
        z_single = self.thickness_mm or 1.0
        return mean_step(self.z_mm, z_single), mean_step(self.y_mm, 1.0), mean_step(self.x_mm, 1.0)

    @property
    def uniform(self) -> bool:
        """Whether all steps along z are within 2 % of their median."""
        steps = np.diff(self.z_mm)
        if len(steps) < 2:
            return True
        median = float(np.median(steps))
        return bool(np.all(np.abs(steps - median) <= UNIFORM_TOLERANCE * abs(median)))

    @property
    def right_angled(self) -> bool:
        """Whether the axes are at right angles, but for what rounding of headers makes of them."""
        axes = np.asarray(self.direction)
        return bool(np.all(np.abs(axes.T @ axes - np.eye(3)) <= _RIGHT_ANGLE))

    @property
    def affine(self) -> npt.NDArray[np.float64]:
        """4 x 4 matrix from index (x, y, z, 1) to LPS mm; z by its mean step."""
        out = np.eye(4)
        dz, dy, dx = self._steps_mm
        out[:3, :3] = np.asarray(self.direction) * np.array([dx, dy, dz])
        out[:3, 3] = self.to_lps([[self.x_mm[0], self.y_mm[0], self.z_mm[0]]])[0]
        return out

    @property
    def runs_to(self) -> tuple[tuple[int, bool], ...]:
        """For x, y, z the row of L, P, S that rising positions run along most, and whether forward.

        Each axis has a row of its own, however oblique: of all orders the one that fits all three best.

        Examples
        --------
        >>> Grid((0.0,), (0.0,), (0.0,), direction=((0, 0, -1), (1, 0, 0), (0, -1, 0))).runs_to
        ((1, True), (2, False), (0, False))
        """
        direction = np.asarray(self.direction, dtype=np.float64)
        unit = np.abs(direction) / np.linalg.norm(direction, axis=0)
        orders = itertools.permutations(range(3))
        rows = max(orders, key=lambda order: sum(unit[row, i] for i, row in enumerate(order)))
        return tuple((row, bool(direction[row, i] >= 0)) for i, row in enumerate(rows))

    @property
    def fingerprint(self) -> int:
        """Hash of direction, origin and frame of reference (63 bits): the ``grid`` coordinate.

        Positions are not part of it (they are coordinates of their own), so that a crop keeps it.
        """
        # + 0.0 makes -0.0 and 0.0 the same text.
        numbers = [[round(v, 6) + 0.0 for v in row] for row in (*self.direction, self.origin_mm)]
        text = json.dumps([numbers, self.frame_key, self.known])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def to_lps(self, points_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return patient positions (n, 3) of coordinate triples x, y, z (n, 3), both mm."""
        points = np.asarray(points_mm, dtype=np.float64)
        return np.asarray(points @ np.asarray(self.direction).T + np.asarray(self.origin_mm))

    def from_lps(self, points_lps: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return coordinate triples x, y, z (n, 3) of patient positions (n, 3), both mm."""
        points = np.asarray(points_lps, dtype=np.float64) - np.asarray(self.origin_mm)
        return np.asarray(np.linalg.solve(np.asarray(self.direction), points.T).T)

    def nearest_voxel(self, point_mm: Sequence[float]) -> tuple[int, int, int]:
        """Return the index (z, y, x) of the voxel nearest to coordinates z, y, x.

        Raises
        ------
        InputError
            If the point lies more than half a step outside the image.

        Examples
        --------
        >>> Grid(z_mm=(0.0, 5.0), y_mm=(0.0, 1.0), x_mm=(0.0, 1.0)).nearest_voxel((4, 0, 1.2))
        (1, 0, 1)
        """
        axes = (self.z_mm, self.y_mm, self.x_mm)
        triples = zip("zyx", point_mm, axes, self.spacing_mm, strict=True)
        z, y, x = (nearest_index(positions, value, step, name) for name, value, positions, step in triples)
        return z, y, x

    def crop(self, box: Sequence[tuple[int, int]]) -> Grid:
        """Return the grid of a box ``((start, stop), ...)`` over t, z, y, x."""
        (t0, t1), (z0, z1), (y0, y1), (x0, x1) = box
        return replace(
            self,
            time_ms=self.time_ms[t0:t1],
            z_mm=self.z_mm[z0:z1],
            y_mm=self.y_mm[y0:y1],
            x_mm=self.x_mm[x0:x1],
        )

    def shrunk(self, factors: Sequence[int]) -> Grid:
        """Return the grid of voxels that are twice as long along some of z, y, x.

        The edges of the voxels stay where they are, so that the first centre moves by half a voxel.

        Examples
        --------
        >>> small = Grid(z_mm=(0.0, 5.0), y_mm=(0.0, 1.0, 2.0), x_mm=(0.0, 1.0, 2.0, 3.0)).shrunk((1, 2, 2))
        >>> small.y_mm, small.x_mm, small.spacing_mm
        ((0.5, 2.5), (0.5, 2.5), (5.0, 2.0, 2.0))
        """
        z, y, x = (_pair_means(p, f) for p, f in zip((self.z_mm, self.y_mm, self.x_mm), factors, strict=True))
        return replace(self, z_mm=z, y_mm=y, x_mm=x)


def _pair_means(positions_mm: Sequence[float], factor: int) -> tuple[float, ...]:
    """Return the centres of voxels that stand for one or two; a last one alone reaches outside."""
    if factor == 1:
        return tuple(positions_mm)
    half = mean_step(positions_mm, 1.0) / 2
    odd = [*positions_mm, positions_mm[-1] + 2 * half] if len(positions_mm) % 2 else positions_mm
    return tuple((a + b) / 2 for a, b in zip(odd[::2], odd[1::2], strict=True))


def mean_step(positions_mm: Sequence[float], single_mm: float) -> float:
    """Return the mean step between positions, or ``single_mm`` where there is only one."""
    if len(positions_mm) < 2:
        return float(single_mm)
    step = (positions_mm[-1] - positions_mm[0]) / (len(positions_mm) - 1)
    return round(float(step), _COORDINATE_DIGITS)


def nearest_index(positions: Sequence[float], value: float, step: float, name: str) -> int:
    """Return the index of the position nearest to ``value``; refuse what lies outside."""
    array = np.asarray(positions)
    low, high = array.min() - abs(step) / 2, array.max() + abs(step) / 2
    if not low <= value <= high:
        raise InputError(
            f"{name} = {value:g} lies outside the image",
            kind="point-outside",
            why=f"{name} runs from {array.min():g} to {array.max():g}",
            fix="give coordinates, or voxel=(z, y, x) for indices",
        )
    return int(np.argmin(np.abs(array - value)))


def step_weights(positions_mm: Sequence[float], single_mm: float) -> npt.NDArray[np.float64]:
    """Return the depth in mm that each slice stands for: half the way to each neighbour.

    The two ends count one full step of their own, so that n uniform slices make n steps.

    Examples
    --------
    >>> step_weights([0.0, 1.0, 3.0, 6.0], single_mm=1.0).tolist()
    [1.0, 1.5, 2.5, 3.0]
    """
    positions = np.asarray(positions_mm, dtype=np.float64)
    if len(positions) < 2:
        return np.full(len(positions), float(single_mm))
    steps = np.abs(np.diff(positions))
    inner = (steps[:-1] + steps[1:]) / 2
    return np.concatenate([steps[:1], inner, steps[-1:]])
