"""A beating heart whose volume is known in closed form at every time point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from chunkmed.errors import InputError
from chunkmed.grid import Grid, Matrix
from chunkmed.testing.ellipsoids import Ellipsoid, Voxels
from chunkmed.testing.random_hearts import draw

__all__ = ["BeatingEllipsoid"]

Triple = tuple[float, float, float]

_BODY_FRACTIONS = (0.75, 0.48, 0.48)  # semi-axes of the body over the extent of the image, z, y, x


@dataclass(frozen=True)
class BeatingEllipsoid:
    """Short-axis cine of two ventricles: ellipsoids whose long axis is the slice normal.

    The left ventricle is the truth; the right one, equally bright, lies beside it on the low-x side,
    and its septum never gets thinner than ``septum_mm``. Both lie in an ellipsoid of tissue. Voxels
    are averages over their pixel and over the slice thickness (partial volume). Triples are in the
    order z, y, x.

    Examples
    --------
    >>> heart = BeatingEllipsoid(semi_axes_mm=(45.0, 25.0, 25.0), nominal_ejection_fraction=0.5)
    >>> round(float(heart.volumes_ml[heart.ed_index]), 1), heart.grid.shape
    (117.8, (20, 20, 112, 144))
    >>> heart.frame(t=0, z=10).shape
    (112, 144)
    """

    time_points: int = 20
    """Number of frames over one RR interval, the first at end-diastole."""
    rr_interval_ms: float = 900.0
    """Length of one heart beat, ms."""
    semi_axes_mm: Triple = (44.0, 26.0, 26.0)
    """Semi-axes of the left ventricle at end-diastole, mm."""
    nominal_ejection_fraction: float = 0.6
    """Fraction of the volume ejected at the end of systole, which may fall between two frames."""
    shrink_exponents: Triple = (1 / 3, 1 / 3, 1 / 3)
    """Share of the contraction that each axis takes: semi-axes go with (V / EDV) ** exponent. Sum 1."""
    systole_fraction: float = 1 / 3
    """Part of the RR interval from end-diastole to end-systole."""
    other_semi_axes_mm: Triple = (38.0, 30.0, 18.0)
    """Semi-axes of the right ventricle at end-diastole, mm."""
    other_ejection_fraction: float = 0.45
    """Ejection fraction of the right ventricle; 0 makes it static."""
    septum_mm: float = 10.0
    """Tissue between the ventricles at end-diastole, mm; at least 8."""
    size: tuple[int, int, int] = (20, 112, 144)
    """Number of voxels along z, y, x."""
    spacing_mm: Triple = (6.0, 1.25, 1.25)
    """Steps along z (thickness + gap), y, x, mm."""
    slice_gap_mm: float = 2.0
    """Part of the step along z that no slice sees, mm."""
    rotation_deg: Triple = (0.0, 0.0, 0.0)
    """Rotation of the image axes about S, then P, then L, degrees: zeros are axial slices."""
    tilt_deg: float = 0.0
    """Gantry tilt: slices slide along y by tan(tilt) per mm of z, degrees."""
    origin_mm: Triple = (-90.0, -70.0, 30.0)
    """LPS position of the first voxel, mm, in the order L, P, S."""
    offset_mm: Triple = (0.0, 0.0, 0.0)
    """Shift of the ventricles from the centre of the image, mm."""
    blood: float = 240.0
    """Intensity of both ventricles."""
    tissue: float = 90.0
    """Intensity of the body."""
    air: float = 6.0
    """Intensity around the body."""
    noise_sigma: float = 0.0
    """Standard deviation of the noise (of each channel for Rician noise), in intensities."""
    noise: Literal["rician", "gaussian"] = "rician"
    """Rician as in MR magnitude images, or Gaussian as in CT."""
    seed: int = 0
    """Seed of the noise: equal seeds give equal frames, in whatever order they are asked for."""

    def __post_init__(self) -> None:
        if abs(sum(self.shrink_exponents) - 1) > 1e-9:
            raise InputError("shrink_exponents must add up to 1", kind="bad-phantom")
        if self.septum_mm < 8:
            raise InputError("the septum is thinner than 8 mm", kind="bad-phantom")
        if not 0 < self.nominal_ejection_fraction < 1 or not 0 <= self.other_ejection_fraction < 1:
            raise InputError("ejection fractions lie between 0 and 1", kind="bad-phantom")
        if self.thickness_mm <= 0:
            raise InputError("the gap leaves no slice thickness", kind="bad-phantom")
        self._check_fits()

    @classmethod
    def random(cls, seed: int) -> BeatingEllipsoid:
        """Return a heart as a user could meet it; equal seeds give equal hearts.

        Ejection fraction 20 to 75 %, end-diastolic volume 80 to 200 ml, oblique and tilted slices.
        Thresholding half-way between blood and tissue gives each volume within 3 % (without noise).
        """
        return cls(**draw(seed))

    @property
    def thickness_mm(self) -> float:
        """Slice thickness, mm: the step along z without its gap."""
        return self.spacing_mm[0] - self.slice_gap_mm

    @cached_property
    def contraction(self) -> npt.NDArray[np.float64]:
        """(T,) 0 at end-diastole, 1 at end-systole: raised cosines down and up again."""
        phase = np.arange(self.time_points) / self.time_points
        down = phase / self.systole_fraction
        up = (1 - phase) / (1 - self.systole_fraction)
        return np.asarray((1 - np.cos(np.pi * np.minimum(down, up))) / 2)

    @cached_property
    def volumes_ml(self) -> npt.NDArray[np.float64]:
        """(T,) true volume of the left ventricle, ml."""
        end_diastolic = 4 / 3 * math.pi * math.prod(self.semi_axes_mm) / 1000
        return np.asarray(end_diastolic * (1 - self.nominal_ejection_fraction * self.contraction))

    @property
    def ed_index(self) -> int:
        """Index of the frame with the largest volume."""
        return int(np.argmax(self.volumes_ml))

    @property
    def es_index(self) -> int:
        """Index of the frame with the smallest volume."""
        return int(np.argmin(self.volumes_ml))

    @property
    def ejection_fraction(self) -> float:
        """True ejection fraction of the sampled frames, 0 to 1."""
        largest, smallest = self.volumes_ml.max(), self.volumes_ml.min()
        return float((largest - smallest) / largest)

    @property
    def center_mm(self) -> Triple:
        """Coordinates z, y, x of the left ventricle's centre on the grid, mm."""
        z, y, x = self._pair_center_mm
        return z, y, x + self._pair_length_mm / 2 - self.semi_axes_mm[2]

    @property
    def other_center_mm(self) -> Triple:
        """Coordinates z, y, x of the right ventricle's centre on the grid, mm."""
        z, y, x = self._pair_center_mm
        return z, y, x - self._pair_length_mm / 2 + self.other_semi_axes_mm[2]

    @property
    def center_lps(self) -> Triple:
        """Patient position L, P, S of the left ventricle's centre, mm."""
        z, y, x = self.center_mm
        left, posterior, superior = self.grid.to_lps([[x, y, z]])[0].tolist()
        return left, posterior, superior

    @property
    def threshold(self) -> float:
        """Intensity half-way between blood and tissue."""
        return (self.blood + self.tissue) / 2

    @cached_property
    def grid(self) -> Grid:
        """Where the voxels lie, in the coordinates that a DICOM reader gives them.

        Upright axial slices: z, y, x are S, P, L themselves. Others count from the first voxel.
        """
        triples = zip(self._first_mm, self.size, self.spacing_mm, strict=True)
        z, y, x = (_steps(first, count, step) for first, count, step in triples)
        times = np.arange(self.time_points) * (self.rr_interval_ms / self.time_points)
        return Grid(
            z_mm=z,
            y_mm=y,
            x_mm=x,
            time_ms=tuple(times.round(6).tolist()),
            direction=_direction(self.rotation_deg, self._shear),
            origin_mm=(0.0, 0.0, 0.0) if self._upright else self.origin_mm,
            thickness_mm=self.thickness_mm,
        )

    def semi_axes_at(self, t: int) -> Triple:
        """Return the semi-axes of the left ventricle in frame ``t``, mm."""
        return self._shrunk(self.semi_axes_mm, self.nominal_ejection_fraction, t)

    def frame(self, t: int, z: int) -> npt.NDArray[np.int16]:
        """Return slice ``z`` at time point ``t``: (y, x), int16, noise included."""
        voxels = Voxels(self.grid, z, self.thickness_mm, self._shear, self.center_mm[0])
        other_axes = self._shrunk(self.other_semi_axes_mm, self.other_ejection_fraction, t)
        blood = Ellipsoid(self.center_mm, self.semi_axes_at(t)).coverage(voxels)
        blood += Ellipsoid(self.other_center_mm, other_axes).coverage(voxels)
        body = np.maximum(self._body.coverage(voxels), blood)
        values = self.air + (self.tissue - self.air) * body + (self.blood - self.tissue) * blood
        return np.rint(self._noisy(values, t, z)).astype(np.int16)

    @property
    def _shear(self) -> float:
        return math.tan(math.radians(self.tilt_deg))

    @property
    def _extent_mm(self) -> Triple:
        z, y, x = (n * step for n, step in zip(self.size, self.spacing_mm, strict=True))
        return z, y, x

    @property
    def _upright(self) -> bool:
        return not any((*self.rotation_deg, self.tilt_deg))

    @property
    def _first_mm(self) -> Triple:
        left, posterior, superior = self.origin_mm
        return (superior, posterior, left) if self._upright else (0.0, 0.0, 0.0)

    @property
    def _image_center_mm(self) -> Triple:
        triples = zip(self._first_mm, self.size, self.spacing_mm, strict=True)
        z, y, x = (first + (count - 1) * step / 2 for first, count, step in triples)
        return z, y, x

    @property
    def _pair_length_mm(self) -> float:
        return 2 * self.semi_axes_mm[2] + self.septum_mm + 2 * self.other_semi_axes_mm[2]

    @property
    def _pair_center_mm(self) -> Triple:
        z, y, x = (a + b for a, b in zip(self._image_center_mm, self.offset_mm, strict=True))
        return z, y, x

    @property
    def _body(self) -> Ellipsoid:
        z, y, x = (f * e for f, e in zip(_BODY_FRACTIONS, self._extent_mm, strict=True))
        return Ellipsoid(self._image_center_mm, (z, y, x))

    def _shrunk(self, semi_axes_mm: Triple, ejection_fraction: float, t: int) -> Triple:
        ratio = 1 - ejection_fraction * float(self.contraction[t])
        z, y, x = (a * ratio**e for a, e in zip(semi_axes_mm, self.shrink_exponents, strict=True))
        return z, y, x

    def _noisy(self, values: npt.NDArray[np.float64], t: int, z: int) -> npt.NDArray[np.float64]:
        if not self.noise_sigma:
            return values
        rng = np.random.default_rng([self.seed, t, z])
        real = values + rng.normal(scale=self.noise_sigma, size=values.shape)
        if self.noise == "gaussian":
            return real
        return np.hypot(real, rng.normal(scale=self.noise_sigma, size=values.shape))

    def _check_fits(self) -> None:
        deep = max(self.semi_axes_mm[0], self.other_semi_axes_mm[0])
        high = max(self.semi_axes_mm[1], self.other_semi_axes_mm[1]) + abs(self._shear) * deep
        needed = (deep, high, self._pair_length_mm / 2)
        for name, half, extent, shift in zip("zyx", needed, self._extent_mm, self.offset_mm, strict=True):
            if half + abs(shift) > extent / 2:
                raise InputError(
                    f"the ventricles do not fit into the image along {name}",
                    kind="bad-phantom",
                    why=f"they need {2 * (half + abs(shift)):.0f} of {extent:.0f} mm",
                    fix="give a larger size or spacing_mm",
                )


def _steps(first_mm: float, count: int, step_mm: float) -> tuple[float, ...]:
    return tuple((first_mm + np.arange(count) * step_mm).round(6).tolist())


def _direction(rotation_deg: Triple, shear: float) -> Matrix:
    """Return the columns x, y, z in LPS; z leans along y by the gantry tilt."""
    (ca, cb, cc), (sa, sb, sc) = np.cos(np.radians(rotation_deg)), np.sin(np.radians(rotation_deg))
    about_s = np.array([[ca, -sa, 0], [sa, ca, 0], [0, 0, 1]])
    about_p = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_l = np.array([[1, 0, 0], [0, cc, -sc], [0, sc, cc]])
    lean = np.array([[1, 0, 0], [0, 1, shear], [0, 0, 1]])
    first, second, third = (tuple(row) for row in (about_l @ about_p @ about_s @ lean).tolist())
    return first, second, third
