"""Images to measure on, as data: their values are made block by block, the same in any block."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CASES", "Box", "Case", "Values", "blocks"]

Box = tuple[tuple[int, int], ...]
Array = npt.NDArray[Any]

#: Part of every cache name: count up when :class:`Values` makes other values.
GENERATOR = 1
_WAVES = 12
_WAVELENGTHS_VOX = (24.0, 96.0)
_CENTRE, _CONTRAST, _NOISE = 300.0, 200.0, 25.0


@dataclass(frozen=True)
class Case:
    """One image: blobs of 10 to 50 voxels that drift over time, as noisy as CT."""

    name: str
    shape: tuple[int, int, int, int]
    """Sizes of t, z, y, x."""
    chunks: tuple[int, int, int, int]
    """Chunks of the plain zarr arrays that peers read and write; chunkmed's store has its own layout."""
    shards: tuple[int, int, int, int] | None = None
    """Shards of those arrays, where they have any."""
    dtype: str = "int16"
    seed: int = 0
    spacing_mm: tuple[float, float, float] = (2.0, 1.0, 1.0)
    """Steps along z, y, x."""
    series: str = ""
    """Folder of a real DICOM series (below ``$CHUNKMED_TEST_DATA``) whose values it has."""

    @property
    def nbytes(self) -> int:
        """Bytes of the whole image."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    @property
    def unit(self) -> tuple[int, ...]:
        """What is written at once: a shard, or a chunk where there are none."""
        return self.shards or self.chunks

    @property
    def larger(self) -> tuple[int, ...]:
        """A block of twice the unit along z, y and x."""
        t, *space = self.unit
        return (t, *(min(2 * u, -(-n // u) * u) for u, n in zip(space, self.shape[1:], strict=True)))

    @property
    def key(self) -> str:
        """Name of the case in the cache: it changes with everything that its values depend on."""
        text = repr((sorted(asdict(self).items()), GENERATOR, _WAVES, _WAVELENGTHS_VOX))
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


_ALL = (
    Case("tiny", (2, 16, 128, 128), (1, 16, 64, 64)),
    Case("small", (4, 64, 512, 512), (1, 32, 256, 256)),
    Case("one", (1, 64, 512, 512), (1, 32, 256, 256)),
    Case("cine", (30, 16, 512, 512), (1, 16, 256, 256), spacing_mm=(8.0, 1.5, 1.5)),
    Case("big", (1, 1024, 1024, 1024), (1, 32, 256, 256), spacing_mm=(1.0, 1.0, 1.0)),
    # 1 to 40 GB that differ in nothing but the number of time points: is memory flat in it?
    Case("big1", (30, 64, 512, 512), (1, 32, 256, 256)),
    Case("big4", (120, 64, 512, 512), (1, 32, 256, 256)),
    Case("big16", (480, 64, 512, 512), (1, 32, 256, 256)),
    Case("cine40", (1200, 64, 512, 512), (1, 32, 256, 256)),
    # Real images, small: chest CT with padding, functional MR.
    Case(
        "ct",
        (1, 28, 512, 512),
        (1, 28, 256, 256),
        spacing_mm=(2.5, 0.8984, 0.8984),
        series="ct_chest_ge_cmbcrc",
    ),
    Case("mr", (10, 15, 64, 64), (1, 15, 64, 64), spacing_mm=(5.0, 3.75, 3.75), series="mr_fmri_ge_4d"),
)
CASES = {case.name: case for case in _ALL}


def blocks(shape: Sequence[int], size: Sequence[int]) -> Iterator[Box]:
    """Yield the boxes of blocks of one size, in C order; the last of an axis may be smaller."""
    starts = (range(0, n, s) for n, s in zip(shape, size, strict=True))
    for corner in itertools.product(*starts):
        yield tuple((a, min(a + s, n)) for a, s, n in zip(corner, size, shape, strict=True))


class Values:
    """The values of a case, as something that boxes are read from (a chunkmed ``Reader``).

    Waves of random direction make the blobs. Noise comes from a generator of its own for every cell
    (a chunk of the case), so that any box of the image has the values it has in the whole.

    Examples
    --------
    >>> values = Values(CASES["tiny"])
    >>> values.read(((0, 1), (3, 5), (60, 70), (0, 3))).shape
    (1, 2, 10, 3)
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.shape, self.dtype, self.chunks = case.shape, np.dtype(case.dtype), case.chunks
        self.token = case.key

    def read(self, box: Box) -> Array:
        """Return the values of a box."""
        if self.case.series:
            return real(self.case)[tuple(slice(a, b) for a, b in box)]
        out = np.empty([b - a for a, b in box], self.dtype)
        for cell in self._touched(box):
            common = [(max(a, c), min(b, d)) for (a, b), (c, d) in zip(box, cell, strict=True)]
            out[_within(common, box)] = self._cell(cell)[_within(common, cell)]
        return out

    def _touched(self, box: Box) -> Iterator[Box]:
        sizes = zip(box, self.chunks, self.shape, strict=True)
        spans = [[(i * c, min((i + 1) * c, n)) for i in range(a // c, -(-b // c))] for (a, b), c, n in sizes]
        return itertools.product(*spans)

    def _cell(self, cell: Box) -> Array:
        rng = np.random.default_rng((self.case.seed, *(start for start, _ in cell)))
        out = np.empty([b - a for a, b in cell], self.dtype)
        for i, t in enumerate(range(*cell[0])):
            values = self._blobs(t, cell[1:])
            values += _NOISE * rng.standard_normal(values.shape, np.float32)
            out[i] = np.rint(values, out=values)
        return out

    def _blobs(self, t: int, space: Box) -> Array:
        frequencies, phases, drift = self._waves
        steps = [
            np.cos(frequencies[:, axis, None] * np.arange(*span) + phases[:, axis, None] + t * drift[:, None])
            for axis, span in enumerate(space)
        ]
        z, y, x = (step.astype(np.float32) for step in steps)
        planes = (z[:, :, None] * y[:, None, :]).reshape(_WAVES, -1)
        field = (planes.T @ x).reshape([b - a for a, b in space])
        # A product of three cosines has variance 1/8.
        field *= _CONTRAST * np.sqrt(8 / _WAVES).astype(np.float32)
        field += np.float32(_CENTRE)
        return field

    @cached_property
    def _waves(self) -> tuple[Array, Array, Array]:
        rng = np.random.default_rng(self.case.seed)
        frequencies = 2 * np.pi / rng.uniform(*_WAVELENGTHS_VOX, (_WAVES, 3))
        return frequencies, rng.uniform(0, 2 * np.pi, (_WAVES, 3)), rng.uniform(-0.2, 0.2, _WAVES)


@cache
def real(case: Case) -> Array:
    """Return the values of a real series, in the dtype of the case.

    Raises
    ------
    OSError
        Where the folder is not there.
    """
    import chunkmed as cm

    folder = Path(os.environ.get("CHUNKMED_TEST_DATA", "")) / case.series
    if not folder.is_dir():
        raise FileNotFoundError(f"no series at {folder}: set CHUNKMED_TEST_DATA")
    values = np.asarray(cm.open(folder).data)
    return values.reshape(case.shape).astype(case.dtype)


def _within(box: Sequence[tuple[int, int]], outer: Box) -> tuple[slice, ...]:
    return tuple(slice(a - c, b - c) for (a, b), (c, _) in zip(box, outer, strict=True))
