"""DICOM series to ingest: CT of a made-up trunk, made once into the cache folder, one file per slice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.inputs import cache_folder, made_whole

__all__ = ["SYNTAXES", "Series", "slice_of", "smallest", "stored_series"]

Array = npt.NDArray[Any]

#: Part of every cache name: count up when the files change.
GENERATOR = 1
SYNTAXES = {
    "plain": "1.2.840.10008.1.2.1",
    "rle": "1.2.840.10008.1.2.5",
    "jpegls": "1.2.840.10008.1.2.4.80",
}
_AT_ONCE = 64
_INTERCEPT = -1024
_NOISE_HU = 14.0
#: Centre y, x and half axes y, x as fractions of the side, then Hounsfield units: later ones cover earlier.
_PARTS: tuple[tuple[tuple[float, float, float, float], float], ...] = (
    ((0.50, 0.50, 0.33, 0.43), -90.0),
    ((0.50, 0.50, 0.30, 0.40), 45.0),
    ((0.45, 0.31, 0.18, 0.13), -820.0),
    ((0.45, 0.69, 0.18, 0.13), -820.0),
    ((0.48, 0.52, 0.11, 0.10), 140.0),
    ((0.70, 0.50, 0.06, 0.05), 420.0),
    ((0.88, 0.50, 0.015, 0.45), -550.0),
)


@dataclass(frozen=True)
class Series:
    """One series; its key says what its files depend on."""

    slices: int
    side: int = 512
    syntax: str = "plain"

    @property
    def name(self) -> str:
        """Name for tables and the cache."""
        return f"ct{self.slices}x{self.side}-{self.syntax}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sizes of z, y, x."""
        return self.slices, self.side, self.side

    @property
    def pixel_bytes(self) -> int:
        """Bytes of a slice, not compressed."""
        return self.side * self.side * 2


def smallest(series: Series) -> Series:
    """Return a series of the same kind that is read at once; large enough for coarser levels."""
    return replace(series, slices=min(series.slices, 4))


def slice_of(series: Series, z: int) -> Array:
    """Return the values of a slice, Hounsfield units (y, x), int16."""
    rng = np.random.default_rng((series.side, z))
    values = rng.standard_normal((series.side, series.side), np.float32)
    values *= np.float32(_NOISE_HU)
    # Lungs come and go along z.
    values += _trunk(series.side, round(10 * (1 + np.sin(z / 40))))
    return np.rint(values).astype(np.int16)


@cache
def _trunk(side: int, size: int) -> Array:
    """Return a slice without noise; air parts are ``size`` twentieths of their full size."""
    y, x = np.ogrid[: 1 : side * 1j, : 1 : side * 1j]
    values = np.full((side, side), -1000.0, np.float32)
    for (cy, cx, ry, rx), hu in _PARTS:
        scale = size / 20 if hu < -800 else 1.0
        if scale > 0:
            values[((y - cy) / (ry * scale)) ** 2 + ((x - cx) / (rx * scale)) ** 2 < 1] = hu
    return values


def stored_series(series: Series) -> Path:
    """Return the folder of a series; write it if it is not there."""
    key = hashlib.sha256(repr((series, GENERATOR, _PARTS, _NOISE_HU)).encode()).hexdigest()[:8]
    path = cache_folder() / "dicom" / f"{series.name}-{key}"
    if not path.exists():
        made_whole(path, lambda folder: _write(series, folder))
    return path


def _write(series: Series, folder: Path) -> None:
    folder.mkdir()
    # Names in no order, as archives give them: who sorts by name is wrong.
    numbers = np.random.default_rng(0).permutation(series.slices).tolist()
    for z, values in _slices(series):
        _write_slice(series, folder / f"IM{numbers[z]:06d}.dcm", z, values)


def _slices(series: Series) -> Iterator[tuple[int, Array]]:
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, series.slices, _AT_ONCE):
            part = range(start, min(start + _AT_ONCE, series.slices))
            yield from zip(part, pool.map(lambda z: slice_of(series, z), part), strict=True)


def _write_slice(series: Series, path: Path, z: int, values: Array) -> None:
    from benchmarks.ct_header import header

    dataset = header(series.name, z, series.side)
    dataset.PixelData = (values - np.int16(_INTERCEPT)).astype("<i2").tobytes()
    dataset["PixelData"].VR = "OW"
    if series.syntax != "plain":
        # Of the very instance that was named: no new one is made.
        dataset.compress(SYNTAXES[series.syntax], generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)
