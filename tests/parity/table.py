"""Every function of chunkmed.ndimage beside scipy.ndimage's: the rows of all rooms."""

from __future__ import annotations

from parity import (
    distances,
    fill,
    fourier,
    generic,
    grey,
    interpolation,
    linear,
    morphology,
    numbers,
    objects,
    ranks,
)
from parity.row import Row

__all__ = ["ROWS"]

#: All rows; dtypes are those of the first argument.
ROWS: tuple[Row, ...] = (
    *distances.ROWS,
    *fill.ROWS,
    *fourier.ROWS,
    *generic.ROWS,
    *grey.ROWS,
    *interpolation.ROWS,
    *linear.ROWS,
    *morphology.ROWS,
    *numbers.ROWS,
    *objects.ROWS,
    *ranks.ROWS,
)
