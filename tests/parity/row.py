"""One row of the parity table: a function of chunkmed.ndimage beside scipy.ndimage's, as data.

Rows are plain values, so that tests and benchmarks read the same table. ``call`` says what a
function takes and gives:

- ``filter``: ``f(image, **arguments) -> image``
- ``mask``: ``f(mask, **arguments) -> mask``
- ``label``: ``f(mask, **arguments) -> (labels, count)``
- ``number``: ``f(image, labels, index) -> one number per label``
- ``center``: ``f(image, labels, index) -> one position per label``
- ``position``: the same, where the value at the position counts and not the position
- ``extrema``: ``f(image, labels, index) -> (lowest, highest, position, position)``
- ``boxes``: ``f(labels, **arguments) -> list of boxes``
- ``grouped``: as ``parity.numbers.run`` calls it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["DTYPES", "MODES", "NUMBERS", "Row", "anti_diagonal", "ball", "lopsided"]

MODES = ("reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "wrap", "grid-wrap")
NUMBERS = ("uint8", "int16", "uint16", "float32", "float64")
DTYPES = ("bool", *NUMBERS)


@dataclass(frozen=True)
class Row:
    """One function with one set of arguments."""

    name: str
    call: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ("int16",)
    rtol: float = 0.0
    """0 means equal to the last bit."""
    wide: Mapping[str, Any] | None = None
    """Arguments for four axes, where those for three do not fit."""
    note: str = ""
    most_axes: int = 4
    """Axes that the function takes at most."""

    @property
    def id(self) -> str:
        """A short name of the case."""
        return f"{self.name}-{self.note}" if self.note else self.name

    def arguments_for(self, ndim: int) -> dict[str, Any]:
        """Return the arguments for an array of ``ndim`` axes that are all acted along."""
        return dict(self.wide if ndim == 4 and self.wide is not None else self.arguments)


def ball(ndim: int) -> np.ndarray:
    steps = np.abs(np.indices((3,) * ndim) - 1).sum(axis=0)
    return steps <= 2


def anti_diagonal(ndim: int) -> np.ndarray:
    """Return a structure that joins along one anti-diagonal only: mirrored axes tell it apart."""
    out = np.zeros((3,) * ndim, dtype=bool)
    out[(1,) * ndim] = True
    out[(1,) * (ndim - 2) + (0, 2)] = out[(1,) * (ndim - 2) + (2, 0)] = True
    return out


def lopsided(*shape: int) -> np.ndarray:
    """Return a structure without any symmetry."""
    out = np.zeros(shape, dtype=bool)
    out[tuple(n // 2 for n in shape)] = out[(0,) * len(shape)] = out[(0,) * (len(shape) - 1) + (-1,)] = True
    return out
