"""NumPy in, NumPy out: what one task computes. No dask, no files."""

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

__all__ = ["Array"]
