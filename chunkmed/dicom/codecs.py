"""Which package decodes which transfer syntax: rows of data. Needs numpy only, no other chunkmed module.

A decoding child (``child.py``) runs this file by itself, so that it starts fast and stays small.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CODECS", "Codec", "Shape", "decode"]

Array = npt.NDArray[Any]
_JPEG = "1.2.840.10008.1.2.4."
#: A scan may take a byte and cost a look at every pixel.
_MOST_SCANS = 128


@dataclass(frozen=True, slots=True)
class Shape:
    """What the header says of one frame."""

    rows: int
    columns: int
    samples: int
    bits: int
    """BitsAllocated."""
    signed: bool
    ybr: bool
    """Whether the stored colours are luminance and two chrominances."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One transfer syntax and what decodes it."""

    syntax: str
    name: str
    module: str
    """Imported at the first frame, never before."""
    package: str
    """What pip calls it."""
    run: Callable[[Any, bytes, Shape], Array]
    rgb: bool = False
    """Whether the decoder itself turns YBR_FULL into RGB."""

    @property
    def available(self) -> bool:
        """Whether the module is installed; it is not imported."""
        return importlib.util.find_spec(self.module) is not None


def decode(codec: Codec, stream: bytes, shape: Shape) -> Array:
    """Return the values (y, x) or (y, x, c) of one frame, as the codec gives them.

    Raises
    ------
    BaseException
        Whatever the codec raises; a panic of a Rust codec is not an ``Exception``.
    """
    out = codec.run(importlib.import_module(codec.module), stream, shape)
    expected = (shape.rows, shape.columns, *((shape.samples,) if shape.samples > 1 else ()))
    if out.shape != expected:
        raise ValueError(f"decodes to {out.shape}, the header says {expected}")
    if out.itemsize * 8 > shape.bits and out.dtype.kind in "iu" and shape.bits == 8:
        raise ValueError("decodes to more bits than the header says")
    return out


def _rle(module: Any, stream: bytes, shape: Shape) -> Array:
    options = {"rows": shape.rows, "columns": shape.columns, "bits_allocated": shape.bits}
    planes = np.frombuffer(module.decode_pixel_data(stream, version=2, **options), f"<u{shape.bits // 8}")
    planes = planes.reshape(-1, shape.rows, shape.columns)
    if len(planes) != shape.samples:
        raise ValueError(f"decodes to {len(planes)} planes, the header says {shape.samples}")
    return planes[0] if shape.samples == 1 else np.moveaxis(planes, 0, -1)


def _jpeg(module: Any, stream: bytes, shape: Shape) -> Array:
    if stream.count(b"\xff\xda") > _MOST_SCANS:
        raise ValueError("more scans than an image has")
    # Without it the decoder guesses the colours from the component numbers.
    if shape.samples == 1:
        return np.asarray(module.jpeg8_decode(stream))
    space = "YCBCR" if shape.ybr else "RGB"
    return np.asarray(module.jpeg8_decode(stream, colorspace=space, outcolorspace="RGB"))


def _jpeg_ls(module: Any, stream: bytes, shape: Shape) -> Array:  # noqa: ARG001
    data, about = module.decode_pixel_data(stream)
    flat = np.frombuffer(data, "u1" if about["bits_per_sample"] <= 8 else "<u2")
    size, count = (about["height"], about["width"]), about["components"]
    if count == 1:
        return flat.reshape(size)
    if about["interleave_mode"] == 0:  # plane by plane
        return np.moveaxis(flat.reshape(count, *size), 0, -1)
    return flat.reshape(*size, count)


def _jpeg_2000(module: Any, stream: bytes, shape: Shape) -> Array:
    out = np.asarray(module.decode(stream))
    about = module.get_parameters(stream)
    if bool(about["is_signed"]) == shape.signed:
        return out
    # The header and the stream disagree on the sign: the bits are right, the header decides.
    spare = out.itemsize * 8 - about["precision"]
    bits = out.view(f"{'i' if shape.signed else 'u'}{out.itemsize}")
    return np.asarray(np.right_shift(np.left_shift(bits, spare), spare))


_ROWS = (
    Codec("1.2.840.10008.1.2.5", "RLE Lossless", "rle", "pylibjpeg-rle", _rle),
    Codec(_JPEG + "50", "JPEG Baseline", "imagecodecs", "imagecodecs", _jpeg, rgb=True),
    Codec(_JPEG + "51", "JPEG Extended", "imagecodecs", "imagecodecs", _jpeg, rgb=True),
    Codec(_JPEG + "57", "JPEG Lossless", "imagecodecs", "imagecodecs", _jpeg, rgb=True),
    Codec(_JPEG + "70", "JPEG Lossless SV1", "imagecodecs", "imagecodecs", _jpeg, rgb=True),
    Codec(_JPEG + "80", "JPEG-LS Lossless", "jpeg_ls", "pyjpegls", _jpeg_ls),
    Codec(_JPEG + "81", "JPEG-LS Near-lossless", "jpeg_ls", "pyjpegls", _jpeg_ls),
    Codec(_JPEG + "90", "JPEG 2000 Lossless", "openjpeg", "pylibjpeg-openjpeg", _jpeg_2000),
    Codec(_JPEG + "91", "JPEG 2000", "openjpeg", "pylibjpeg-openjpeg", _jpeg_2000),
    Codec(_JPEG + "201", "HTJ2K Lossless", "openjpeg", "pylibjpeg-openjpeg", _jpeg_2000),
    Codec(_JPEG + "202", "HTJ2K Lossless RPCL", "openjpeg", "pylibjpeg-openjpeg", _jpeg_2000),
    Codec(_JPEG + "203", "HTJ2K", "openjpeg", "pylibjpeg-openjpeg", _jpeg_2000),
)
#: Transfer syntax UID -> its row.
CODECS = {row.syntax: row for row in _ROWS}
