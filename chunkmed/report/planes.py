"""Which way up a slice is drawn, and which patient direction lies at each of its edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chunkmed.grid import Matrix

__all__ = ["Plane", "letter_toward", "plane_across"]

_COLUMN = {"x": 0, "y": 1, "z": 2}
_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))  # toward low and high values of L, P, S
_NAMES = ("sagittal", "coronal", "axial")
_LEFT, _POSTERIOR, _SUPERIOR = range(3)


@dataclass(frozen=True)
class Plane:
    """How the slice across one array axis lies on the page."""

    normal: str
    """Array axis that the slice is one position of."""
    vertical: str
    """Array axis drawn vertically."""
    horizontal: str
    """Array axis drawn horizontally."""
    down: bool = True
    """Whether values of the vertical axis grow downwards, as in an array."""
    right: bool = True
    """Whether values of the horizontal axis grow to the right."""
    name: str = ""
    """Anatomical name of the plane it is nearest to, empty if not known."""

    def letters(self, direction: Matrix) -> dict[str, str]:
        """Return the patient direction toward the edges left, right, top and bottom."""
        across, along = 1 if self.right else -1, 1 if self.down else -1
        return {
            "left": letter_toward(direction, self.horizontal, -across),
            "right": letter_toward(direction, self.horizontal, across),
            "top": letter_toward(direction, self.vertical, -along),
            "bottom": letter_toward(direction, self.vertical, along),
        }


def letter_toward(direction: Matrix, axis: str, sign: int) -> str:
    """Return R, L, A, P, S or I: where an array axis mostly leads (``sign`` -1: its other end).

    Examples
    --------
    >>> letter_toward(((1, 0, 0), (0, 1, 0), (0, 0, 1)), "x", -1)
    'R'
    """
    step = _step(direction, axis) * sign
    return _LETTERS[_dominant(step)][int(step[_dominant(step)] > 0)]


def plane_across(normal: str, direction: Matrix | None) -> Plane:
    """Return how the slice across an array axis is drawn.

    Axial slices across z are drawn as stored. In all others superior is up, or else posterior down, and
    the patient's left (or else posterior) is to the right. Without a direction: as stored.
    """
    rows, columns = (axis for axis in "zyx" if axis != normal)
    if direction is None:
        return Plane(normal, rows, columns)
    name = _NAMES[_dominant(_step(direction, normal))]
    if name == "axial" and normal == "z":
        return Plane(normal, rows, columns, name=name)
    up = _POSTERIOR if name == "axial" else _SUPERIOR
    vertical, horizontal = sorted((rows, columns), key=lambda axis: -abs(_step(direction, axis)[up]))
    # Superior grows upwards on the page, posterior downwards.
    down = bool(_step(direction, vertical)[up] * (1 if up == _POSTERIOR else -1) > 0)
    across = _step(direction, horizontal)[[_LEFT, _POSTERIOR]]
    right = bool(across[int(abs(across[1]) > abs(across[0]))] > 0)
    return Plane(normal, vertical, horizontal, down, right, name)


def _step(direction: Matrix, axis: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(direction, dtype=np.float64)[:, _COLUMN[axis]]


def _dominant(step: np.ndarray[tuple[int], np.dtype[np.float64]]) -> int:
    return int(np.argmax(np.abs(step)))
