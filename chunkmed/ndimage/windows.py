"""Windows of rank and extreme filters: what the arguments of scipy mean, and the node of a filtered image.

scipy pairs what is given for several axes with the axes as they are named, or in the order of the image:
sizes and modes of boxes by name, footprints and structures by image; origins by name, but by image where
all axes are named. Here all of it is brought into the order of the image.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from chunkmed.errors import refusal
from chunkmed.graph.lift import Lifted
from chunkmed.graph.nodes import Call, Node, Stencil
from chunkmed.kernels.windows import MOST_AT_ONCE, Window
from chunkmed.ndimage.arguments import check_modes, check_origins, per_axis, wrapped_axes
from chunkmed.ndimage.reach import reach_of
from chunkmed.ndimage.stencils import window_of

__all__ = [
    "box_window",
    "check_values",
    "footprint_window",
    "origins_in_order",
    "origins_of",
    "stencil",
    "warn_of_size",
]


def origins_in_order(origins: Sequence[int], along: Sequence[int], ndim: int) -> tuple[int, ...]:
    """Return origins in the order of the image's axes, paired as scipy pairs them with footprints."""
    if len(along) == ndim:
        return tuple(origins)
    return tuple(shift for _, shift in sorted(zip(along, origins, strict=True)))


def box_window(
    image: Lifted, along: Sequence[int], size: Any, mode: Any, cval: Any, origins: Sequence[int]
) -> Window:
    """Return a box: every axis has its size, mode and origin by name."""
    sizes, _ = window_of(image, along, size, None)
    modes = check_modes(mode, len(along))
    check_origins(origins, sizes)
    rows = sorted(zip(along, sizes, origins, modes, strict=True))
    axes, shape, shifts, borders = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Window(axes, shape, None, shifts, borders, _constant(cval))


def footprint_window(
    image: Lifted, along: Sequence[int], footprint: Any, mode: Any, cval: Any, origins: Sequence[int]
) -> Window:
    """Return a window of any shape; one mode holds for all axes."""
    if not isinstance(mode, str):
        raise refusal(
            RuntimeError,
            "A sequence of modes is not supported for non-separable footprints and ranks",
            kind="bad-mode",
            fix="give one mode",
        )
    sizes, window = window_of(image, along, None, footprint)
    shifts = origins_in_order(origins, along, len(image.node.shape))
    check_origins(shifts, sizes)
    modes = check_modes(mode, len(along))
    flat = None if window.all() else window
    return Window(tuple(sorted(along)), tuple(sizes), flat, shifts, tuple(modes), _constant(cval))


def origins_of(origin: Any, along: Sequence[int]) -> list[int]:
    """Return one origin per axis, as named."""
    return [int(value) for value in per_axis(origin, len(along), "origin")]


def warn_of_size(size: Any, footprint: Any) -> None:
    """Say that a size is not used where there is a footprint, as scipy does."""
    if size is not None and footprint is not None:
        warnings.warn("ignoring size because footprint is set", UserWarning, stacklevel=4)


def check_values(image: Lifted) -> None:
    """Refuse values that have no order, or that scipy does not take."""
    dtype = image.node.dtype
    if dtype.kind == "c":
        raise refusal(TypeError, "Complex type not supported", kind="bad-dtype")
    if dtype.kind not in "biuf" or dtype.itemsize > 8 or dtype == np.float16:
        raise refusal(RuntimeError, f"array type {dtype} not supported", kind="bad-dtype")


#: Bytes per byte of a block beside it and the result: what is compared as another dtype is there twice. Of
#: floats that hold NaN there are masks, or a result of scipy for all of the block.
_COPIES = {"bool": 0.1, "uint8": 0.1, "int16": 0.1, "int8": 4.0, "int32": 4.0, "uint32": 4.0}
_FLOATS, _OTHERS = 1.0, 2.0


def stencil(node: Node, call: Call, window: Window, dtype: Any, cost_ns: float) -> Stencil:
    """Return the node of an image after a kernel that keeps what it is asked for."""
    workspace = _COPIES.get(node.dtype.name, _FLOATS if node.dtype.kind == "f" else _OTHERS)
    if np.dtype(dtype) != node.dtype:
        workspace = max(workspace, _FLOATS)
    pairs = zip(window.axes, window.shape, strict=True)
    if any(n > MOST_AT_ONCE for axis, n in pairs if axis < len(node.shape) - 2):
        # One axis after the other: there is an image between two of them.
        workspace += 2.0
    depth = [0] * len(node.shape)
    for axis, reach in zip(window.axes, reach_of(window.shape, window.origins), strict=True):
        depth[axis] = reach
    wrap = wrapped_axes(window.modes, window.axes)
    call = Call(call.function, {**call.settings, "output": np.dtype(dtype)})
    return Stencil(call, [node], depth, dtype, wrap=wrap, workspace=workspace, crops=True, cost_ns=cost_ns)


def _constant(cval: Any) -> float:
    if np.iscomplexobj(cval):
        raise refusal(TypeError, "cval must be a real number", kind="bad-cval")
    return float(cval)
