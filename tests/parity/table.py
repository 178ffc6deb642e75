"""Every function of chunkmed.ndimage beside scipy.ndimage's: the rows of all rooms."""

from __future__ import annotations

from parity import fill, linear, morphology, objects, ranks
from parity.row import Row

__all__ = ["ROWS"]

#: All rows; dtypes are those of the first argument.
ROWS: tuple[Row, ...] = (*linear.ROWS, *ranks.ROWS, *morphology.ROWS, *objects.ROWS, *fill.ROWS)
