"""Stores that take no time: one value everywhere."""

from pathlib import Path

import dask.array as da
import numpy as np

import chunkmed as cm
from chunkmed.coords import attach
from chunkmed.grid import Grid


def write_store(path: Path, value: int, shape=(1, 2, 4, 4), modality="CT") -> None:
    """Write a store of one value."""
    grid = Grid(*(tuple(np.arange(n) * 2.0) for n in shape[1:]), time_ms=tuple(map(float, range(shape[0]))))
    image = attach(da.full(shape, value, chunks=shape, dtype=np.int16), grid, attrs={"modality": modality})
    cm.save(image, path, pyramid=False)
