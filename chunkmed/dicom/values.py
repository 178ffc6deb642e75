"""Stored values -> output values: bits, signs, slope and intercept, padding, dtype."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chunkmed.dicom.headers import Frame, Layout
from chunkmed.errors import SourceError
from chunkmed.private import file_identifier

__all__ = [
    "bad_rescale",
    "check_fit",
    "clean_bits",
    "output_dtype",
    "padding_limit_of",
    "padding_of",
    "rescaled",
    "stored_dtype",
    "wider",
]

Array = npt.NDArray[Any]
_LARGEST = 2**31
_TAGS = "(0028,1053), (0028,1052)"


def stored_dtype(layout: Layout) -> np.dtype[Any]:
    """Return the dtype of the stored values, in native byte order."""
    if layout.floating:
        return np.dtype(np.float64 if layout.bits_allocated == 64 else np.float32)
    # Other sizes are listed with a problem and never read.
    size = layout.bits_allocated // 8 if layout.bits_allocated in (8, 16, 32) else 1
    return np.dtype(f"{'i' if layout.signed else 'u'}{size}")


def clean_bits(stored: Array, layout: Layout, out: Array | None = None) -> Array:
    """Drop what lies outside BitsStored and extend the sign; any shape, same dtype."""
    if layout.bits_stored == layout.bits_allocated or layout.floating:
        return stored
    left = layout.bits_allocated - 1 - layout.high_bit
    right = layout.bits_allocated - layout.bits_stored
    # Shifting right is arithmetic for signed dtypes: it extends the sign.
    return np.right_shift(np.left_shift(stored, left, out=out), right, out=out)


def _is_integer(value: float) -> bool:
    return math.isfinite(value) and value == int(value) and abs(value) < _LARGEST


def bad_rescale(frames: Iterable[Frame]) -> SourceError | None:
    """Return why the rescale of a frame cannot be applied, or None."""
    for frame in frames:
        if not math.isfinite(frame.slope) or not math.isfinite(frame.intercept) or frame.slope == 0:
            return SourceError(
                "the rescale cannot be applied",
                kind="bad-rescale",
                file=file_identifier(frame.file.path),
                tag=_TAGS,
                why=f"slope {frame.slope:g}, intercept {frame.intercept:g}",
                fix="correct the tags or leave the file out",
            )
    return None


def output_dtype(frames: Sequence[Frame]) -> np.dtype[Any]:
    """Return the dtype of the rescaled values of a stack.

    The stored dtype (that of a Modality LUT's entries) without a rescale, an integer that is checked
    while reading where slope and intercept are integers and the same everywhere, else float32; of
    floating-point pixels their own.
    """
    layouts = {frame.file.layout for frame in frames}
    if any(layout.floating for layout in layouts):
        return np.result_type(np.float32, *(stored_dtype(layout) for layout in layouts if layout.floating))
    rescales = {(frame.slope, frame.intercept) for frame in frames}
    if len(rescales) > 1 or not all(_is_integer(value) for value in next(iter(rescales))):
        return np.dtype(np.float32)
    if rescales == {(1.0, 0.0)}:
        return np.result_type(*(lut.dtype if (lut := each.lut) else stored_dtype(each) for each in layouts))
    bits = max(layout.bits_stored for layout in layouts)
    return np.dtype(np.int16 if bits <= 16 else np.int32)


def wider(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype for values that do not fit: int32, then int64; floats stay."""
    if dtype.kind == "f":
        return dtype
    return np.dtype(np.int32 if dtype.itemsize < 4 else np.int64)


def rescaled(stored: Array, slope: float, intercept: float, dtype: np.dtype[Any]) -> Array:
    """Return ``stored * slope + intercept`` in ``dtype``; any shape.

    Raises
    ------
    SourceError
        If a value does not fit an integer ``dtype`` (kind ``value-overflow``).
    """
    if dtype.kind == "f":
        out = stored.astype(np.float64)
        out *= slope
        out += intercept
        return out.astype(dtype)
    if (slope, intercept) == (1.0, 0.0) and np.can_cast(stored.dtype, dtype):
        return stored
    check_fit(stored, int(slope), int(intercept), dtype)
    # Integers wrap modulo 2^n: since the ends fit, everything in between is exact.
    factor, offset = np.array([int(slope), int(intercept)]).astype(dtype)
    return np.asarray(stored.astype(dtype, copy=False) * factor + offset)


def check_fit(stored: Array, slope: int, intercept: int, dtype: np.dtype[Any]) -> None:
    """Refuse values that an integer dtype does not hold after the rescale (``value-overflow``)."""
    if stored.size == 0:
        return
    ends = [int(end) * slope + intercept for end in (stored.min(), stored.max())]
    limits = np.iinfo(dtype)
    if min(ends) < limits.min or max(ends) > limits.max:
        raise SourceError(
            "rescaled values do not fit",
            kind="value-overflow",
            tag=_TAGS,
            why=f"slope {slope} and intercept {intercept} give {min(ends)} to {max(ends)}, "
            f"{dtype} holds {limits.min} to {limits.max}",
            fix="convert the series: cm.convert takes a wider type where it must (or read stack.widened())",
        )


def padding_of(frames: Sequence[Frame], dtype: np.dtype[Any]) -> tuple[int | float | None, str]:
    """Return PixelPaddingValue as an output value, and a warning where it cannot be one."""
    if all(_as_stored(frame.file.padding, frame.file.layout) is None for frame in frames):
        return None, ""
    if any(frame.file.layout.lut for frame in frames):
        return None, "PixelPaddingValue lies before a Modality LUT: padding is not marked"
    outputs = {_as_output(frame.file.padding, frame, dtype) for frame in frames}
    if len(outputs) == 1 and None not in outputs:
        return outputs.pop(), ""
    return None, "PixelPaddingValue differs from slice to slice: padding is not marked"


def padding_limit_of(frames: Sequence[Frame], dtype: np.dtype[Any]) -> int | float | None:
    """Return PixelPaddingRangeLimit as an output value; None where there is none, or not one."""
    raws = (frame.file.technical.get("padding_limit") for frame in frames)
    outputs = {_as_output(raw, frame, dtype) for raw, frame in zip(raws, frames, strict=True)}
    return outputs.pop() if len(outputs) == 1 else None


def _as_stored(raw: float | None, layout: Layout) -> float | None:
    if raw is not None and layout.floating:
        return raw if math.isfinite(raw) else None
    if raw is None or layout.bits_allocated not in (8, 16, 32):
        return None
    # The tag may read 63536 where the pixels hold -2000: its bits count, by PixelRepresentation.
    bits = np.array([int(raw) % 2**layout.bits_allocated], dtype=f"u{layout.bits_allocated // 8}")
    return int(clean_bits(bits.view(stored_dtype(layout)), layout)[0])


def _as_output(raw: float | None, frame: Frame, dtype: np.dtype[Any]) -> int | float | None:
    stored = _as_stored(raw, frame.file.layout)
    if stored is None:
        return None
    value = stored * frame.slope + frame.intercept
    return float(dtype.type(value)) if dtype.kind == "f" else int(value)
