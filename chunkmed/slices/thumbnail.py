"""A small picture of the middle of an image, for what must not wait: no matplotlib, little read."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import xarray as xr

from chunkmed.coords import SPACE
from chunkmed.graph.costs import task_ns
from chunkmed.graph.evaluate import needs, walk
from chunkmed.graph.flipped import Flipped
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Crop, Node, Pointwise, Source, Stencil
from chunkmed.padding import padding_range
from chunkmed.slices.choice import gray_window
from chunkmed.slices.cuts import Cut, box_of, cost_of, read_cuts
from chunkmed.slices.levels import coarsest
from chunkmed.slices.page import extent_of, grid_if_known, slice_of
from chunkmed.slices.planes import plane_across

__all__ = ["Thumbnail", "png", "thumbnail_of"]

#: Voxels that may be decoded and computed for it.
_CHEAP_VOXELS = 1 << 23
#: Time that it may take by plan, on one core.
_CHEAP_NS = 0.3e9
#: Longest side, in pixels and as it is shown.
_MOST_PIXELS, _LONGEST = 256, 160
#: What is computed voxel by voxel, or from near ones.
_CHEAP = (Source, Crop, Flipped, Pointwise, Stencil)


@dataclass(frozen=True)
class Thumbnail:
    """A picture in bytes, and the size it has on the page to be to scale."""

    png: bytes
    width: int
    height: int

    @property
    def html(self) -> str:
        """An ``img`` element that holds the picture itself."""
        data = base64.b64encode(self.png).decode("ascii")
        return f'<img alt="" width="{self.width}" height="{self.height}" src="data:image/png;base64,{data}">'


def thumbnail_of(image: xr.DataArray) -> Thumbnail | None:
    """Return a picture of the middle slice at the first time point, None where that would cost much.

    Of a stored image the coarsest level is read; of a lazy one the slice is computed where that takes few
    voxels, and nothing is counted of the whole image.
    """
    if sum(axis in image.dims for axis in SPACE) < 2 or 0 in image.shape or image.dtype.kind not in "biuf":
        return None
    normal = next((axis for axis in SPACE if axis not in image.dims), "z")
    part = coarsest(image)
    cut = Cut(plane_across(normal, grid_if_known(part)), part.sizes.get(normal, 1) // 2)
    if part.chunks is not None and not _is_cheap(part, lift(part).node, cut):
        return None
    shown = slice_of(part, cut, read_cuts(part, [cut])[cut])
    seen = shown.as_seen()
    step = -(-max(seen.shape[:2]) // _MOST_PIXELS)
    left, right, first, last = extent_of(image, cut.plane)
    scale = _LONGEST / max(abs(right - left), abs(last - first))
    width, height = (max(1, round(abs(length) * scale)) for length in (right - left, last - first))
    return Thumbnail(png(_eight_bits(seen[::step, ::step], image)), width, height)


def _is_cheap(image: xr.DataArray, node: Node, cut: Cut) -> bool:
    box = box_of(image, node, cut)
    order = walk([node])
    needed = needs([(node, box)], order, reach=True)
    known = all(isinstance(item, _CHEAP) for item in order if item.token in needed)
    return known and cost_of(node, [box]) <= _CHEAP_VOXELS and task_ns([node], box) <= _CHEAP_NS


def _eight_bits(values: Array, image: xr.DataArray) -> Array:
    if values.ndim == 3:
        top = (
            255
            if values.dtype == np.uint8
            else np.iinfo(values.dtype).max
            if values.dtype.kind in "iu"
            else 1
        )
        values = values[..., :3] if values.shape[-1] in (3, 4) else values[..., [0, 0, 0]]
        return np.clip(values.astype(np.float64) * (255 / top), 0, 255).astype(np.uint8)
    low, high = gray_window([values], padding_range(image.attrs))
    gray = np.clip(np.nan_to_num((values.astype(np.float64) - low) / (high - low)), 0, 1)
    if image.attrs.get("photometric_interpretation") == "MONOCHROME1":
        gray = 1 - gray
    return np.round(gray * 255).astype(np.uint8)


def png(pixels: Array) -> bytes:
    r"""Return a PNG file of bytes (rows, columns) in gray, or (rows, columns, 3) in colours.

    Source: Portable Network Graphics Specification, third edition (W3C 2025): signature, IHDR, IDAT, IEND.

    Examples
    --------
    >>> png(np.zeros((2, 3), np.uint8))[:8]
    b'\x89PNG\r\n\x1a\n'
    """
    rows, columns = pixels.shape[:2]
    kind = 2 if pixels.ndim == 3 else 0
    lines = pixels.reshape(rows, -1)
    # Every line begins with the number of its filter: none.
    data = np.hstack([np.zeros((rows, 1), np.uint8), lines]).tobytes()
    header = struct.pack(">IIBBBBB", columns, rows, 8, kind, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in parts)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
