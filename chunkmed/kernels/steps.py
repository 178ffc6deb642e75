"""What is done along one axis: weights, where they stand, what lies beyond the border. No numba here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.ndimage

__all__ = ["ANY", "DIFFERENCES", "DTYPES", "MEAN", "PAIRS", "SHORT", "Step", "gaussian_weights"]

#: How weights are summed: one by one, as sums of pairs, as differences of pairs, or all of them 1.
ANY, PAIRS, DIFFERENCES, MEAN = 0, 1, -1, 2
#: Weights of a window that may be summed on rows where they lie, which takes another array.
SHORT = 3
#: Dtypes whose rounding from float64 is that of C on every machine: what there are own kernels for.
DTYPES = tuple(np.dtype(name) for name in ("i1", "u1", "i2", "u2", "i4", "f4", "f8"))
_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Step:
    """One axis to correlate along, as :func:`scipy.ndimage.correlate1d` does it."""

    axis: int
    weights: tuple[float, ...]
    mode: str
    """A border mode of scipy.ndimage."""
    origin: int = 0
    """How far the window lies to the left, in voxels."""
    mean: bool = False
    """Whether the weights are all 1 and the sum is divided by their number."""

    @property
    def lead(self) -> int:
        """Voxels that the window reaches back."""
        return len(self.weights) // 2 + self.origin

    @property
    def trail(self) -> int:
        """Voxels that the window reaches ahead."""
        return len(self.weights) - 1 - self.lead

    @property
    def depth(self) -> int:
        """Voxels that the window reaches to either side."""
        return max(self.lead, self.trail)

    @property
    def kind(self) -> int:
        """How scipy adds up these weights: symmetric ones in pairs."""
        return MEAN if self.mean else _kind(self.weights)


@lru_cache(maxsize=256)
def _kind(weights: tuple[float, ...]) -> int:
    line = np.asarray(weights, np.float64)
    if len(line) % 2 == 0 or len(line) == 1:
        return PAIRS if len(line) == 1 else ANY
    if not (np.abs(line - line[::-1]) > _EPSILON).any():
        return PAIRS
    radius = len(line) // 2
    return ANY if (np.abs(line + line[::-1])[:radius] > _EPSILON).any() else DIFFERENCES


@lru_cache(maxsize=64)
def gaussian_weights(sigma: float, order: int, radius: int) -> tuple[float, ...]:
    """Return scipy's own weights of a gaussian or its derivative: what it makes of a single one."""
    impulse = np.zeros(2 * radius + 1)
    impulse[radius] = 1.0
    out = scipy.ndimage.gaussian_filter1d(impulse, sigma, order=order, radius=radius, mode="constant")
    return tuple(out[::-1].tolist())
