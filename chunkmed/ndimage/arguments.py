"""What users give as sigma, size, mode, output: checked, in voxels, one value per axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import spacing_of
from chunkmed.errors import InputError, refusal
from chunkmed.graph.lift import Lifted
from chunkmed.units import to_voxels

__all__ = ["MODES", "mm_to_voxels", "output_dtype", "per_axis", "refuse_text", "wrapped_axes"]

MODES = ("reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "wrap", "grid-wrap")


def per_axis(value: Any, count: int, name: str) -> list[Any]:
    """Return one value per axis from one value or a sequence of ``count``."""
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) or np.ndim(value) == 0:
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise refusal(
            RuntimeError,
            f"{name} has {len(values)} values for {count} axes",
            kind="sequence-length",
            why="sequence argument must have length equal to input rank",
        )
    return values


def mm_to_voxels(values: Sequence[Any], lifted: Lifted, axes: Sequence[int], name: str) -> list[float]:
    """Return lengths in voxels; text such as "1.5 mm" is read with the spacing of its axis."""
    if not any(isinstance(value, str) for value in values):
        return [float(value) for value in values]
    if not isinstance(lifted.image, xr.DataArray):
        raise InputError(
            f"{name} in mm needs an image with coordinates",
            kind="no-spacing",
            fix="give voxels, or an xarray.DataArray from cm.open",
        )
    spacing = spacing_of(lifted.image, uniform=True)
    names = [str(lifted.image.dims[axis]) for axis in axes]
    if not all(axis in spacing for axis in names):
        raise InputError(f"{name} in mm along an axis that is not z, y or x", kind="bad-axis")
    return [to_voxels(value, spacing[axis]) for value, axis in zip(values, names, strict=True)]


def check_modes(mode: Any, count: int) -> list[str]:
    """Return one border mode per axis."""
    modes = per_axis(mode, count, "mode")
    for item in modes:
        if item not in MODES:
            what = f"border mode {item!r} is not supported"
            raise refusal(RuntimeError, what, kind="bad-mode", fix=", ".join(MODES))
    return [str(item) for item in modes]


def check_origins(origins: Sequence[int], sizes: Sequence[int]) -> None:
    """Refuse a window that is moved off its voxel."""
    for origin, size in zip(origins, sizes, strict=True):
        if not -(size // 2) <= origin <= (size - 1) // 2:
            raise InputError("invalid origin", kind="bad-origin", why=f"origin {origin} for size {size}")


def wrapped_axes(modes: Sequence[str], axes: Sequence[int]) -> tuple[int, ...]:
    """Return the axes that continue on the other side."""
    return tuple(axis for axis, mode in zip(axes, modes, strict=True) if mode in ("wrap", "grid-wrap"))


def output_dtype(output: Any, default: Any) -> np.dtype[Any]:
    """Return the dtype of the result from scipy's ``output`` argument."""
    if output is None:
        output = default
    if isinstance(output, np.ndarray):
        raise InputError(
            "output cannot be an array here",
            kind="output-array",
            why="results of chunked images are lazy",
            fix='give a dtype, like output="float32"',
        )
    try:
        dtype: np.dtype[Any] = np.dtype(output)
    except TypeError as error:
        raise refusal(TypeError, f"output = {output!r} is not a dtype", kind="bad-dtype") from error
    return dtype


def refuse_text(**lengths: Any) -> None:
    """Refuse lengths in mm for arrays that have no spacing."""
    for name, value in lengths.items():
        items = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
        if any(isinstance(item, str) for item in items):
            raise InputError(
                f"{name} in mm needs an image with coordinates", kind="no-spacing", fix="give voxels"
            )
