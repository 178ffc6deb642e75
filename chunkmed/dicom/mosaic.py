"""Siemens mosaics: the slices of a volume as tiles of one image."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmed.dicom.tags import integer, number, numbers, text, value

__all__ = ["Tiles", "in_file", "slice_positions", "tiles_of"]

_COUNT, _CSA = 0x0019100A, 0x00291010
_NAME_BYTES, _MOST_ITEMS = 64, 4


@dataclass(frozen=True, slots=True)
class Tiles:
    """How many slices, and tiles along a side; 0 where it is no mosaic that can be placed."""

    count: int = 0
    side: int = 0


def tiles_of(dataset: Any) -> Tiles:
    """Return the tiles of a mosaic whose slices can all be placed."""
    if "MOSAIC" not in (value(dataset, "ImageType", text) or "").split("\\"):
        return Tiles()
    count = value(dataset, _COUNT, _number) or (_csa(dataset, b"NumberOfImagesInMosaic") or (0.0,))[0]
    side = math.ceil(math.sqrt(count)) if 0 < count < 10**4 else 0
    sizes = [value(dataset, name, integer) or 0 for name in ("Rows", "Columns")]
    placed = len(_csa(dataset, b"SliceNormalVector")) == 3
    apart = value(dataset, "SpacingBetweenSlices", number) or 0
    if not side or not placed or apart <= 0 or any(size % side or size < side for size in sizes):
        return Tiles()
    return Tiles(int(count), side)


def _number(raw: Any) -> float | None:
    # Bytes where the file names no VR: then it is US.
    return float(int.from_bytes(raw[:2], "little")) if isinstance(raw, bytes) else number(raw)


def _csa(dataset: Any, name: bytes) -> tuple[float, ...]:
    """Return the numbers of one element of the CSA header; empty where it has none."""
    found: tuple[float, ...] | None = value(dataset, _CSA, lambda raw: _csa_numbers(bytes(raw), name))
    return found or ()


def _csa_numbers(header: bytes, name: bytes) -> tuple[float, ...]:
    at = header.find(name + b"\0")
    if at < 0:
        return ()
    # Name, VM, VR, type, number of items, a mark; then items of four lengths and text, padded to 4.
    (items,) = struct.unpack_from("<i", header, at + _NAME_BYTES + 12)
    at += _NAME_BYTES + 20
    out: list[float] = []
    for _ in range(min(items, _MOST_ITEMS)):
        (length,) = struct.unpack_from("<i", header, at + 4)
        word = header[at + 16 : at + 16 + length].split(b"\0")[0].strip()
        out += [float(word)] if word else []
        at += 16 + -(-length // 4) * 4
    return tuple(out)


def slice_positions(dataset: Any, rows: int, columns: int) -> list[tuple[float, ...]] | list[None]:
    """Return the position in LPS mm of each slice of a mosaic with tiles of this size."""
    tiles = tiles_of(dataset)
    corner, direction, spacing = (
        value(dataset, name, numbers)
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    )
    if len(corner or ()) != 3 or len(direction or ()) != 6 or len(spacing or ()) != 2:
        return [None] * tiles.count
    across, down = np.array(direction[:3]) * spacing[1], np.array(direction[3:]) * spacing[0]
    # The corner is that of an image as large as the mosaic around the same centre.
    first = corner + (tiles.side - 1) / 2 * (columns * across + rows * down)
    # The side on which the next slice lies is the CSA header's, the direction that of the orientation.
    normal = np.cross(direction[:3], direction[3:])
    sign = math.copysign(1.0, float(normal @ np.array(_csa(dataset, b"SliceNormalVector"))))
    step = sign * normal * float(value(dataset, "SpacingBetweenSlices", number))
    return [tuple(float(part) for part in first + i * step) for i in range(tiles.count)]


def in_file(layout: Any, place: Any) -> Any:
    """Return frame, rows and columns as the file holds them: a tile's place in its mosaic."""
    if not layout.mosaic:
        return place
    tile, (y0, y1), (x0, x1) = place
    y, x = tile // layout.mosaic * layout.rows, tile % layout.mosaic * layout.columns
    return 0, (y + y0, y + y1), (x + x0, x + x1)
