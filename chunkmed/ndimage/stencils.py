"""What filters have in common: windows, depths, and the node of a filtered image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chunkmed.errors import InputError, refusal
from chunkmed.graph.lift import Lifted
from chunkmed.graph.nodes import Call, Stencil
from chunkmed.ndimage.arguments import mm_to_voxels, output_dtype, per_axis, wrapped_axes

__all__ = ["filtered", "window_of"]


def filtered(
    image: Lifted,
    call: Call,
    along: Sequence[int],
    depths: Sequence[int],
    output: Any,
    modes: Sequence[str],
    *,
    crops: bool = False,
    cost_ns: float,
) -> Any:
    """Return the image after a kernel that needs ``depths`` voxels to each side along axes ``along``."""
    dtype = output_dtype(output, image.node.dtype)
    call = Call(call.function, {**call.settings, "output": dtype})
    depth = [0] * len(image.node.shape)
    for axis, d in zip(along, depths, strict=True):
        depth[axis] = d
    wrap = wrapped_axes(modes, along)
    return image.lower(Stencil(call, [image.node], depth, dtype, wrap=wrap, crops=crops, cost_ns=cost_ns))


def window_of(image: Lifted, along: Sequence[int], size: Any, footprint: Any) -> tuple[list[int], Any]:
    """Return the sizes of the window and the footprint, where there is one."""
    if footprint is not None:
        window = np.asarray(footprint, dtype=bool)
        if window.ndim != len(along):
            what = f"footprint.ndim ({window.ndim}) must match len(axes) ({len(along)})"
            raise refusal(RuntimeError, what, kind="sequence-length")
        if not window.any():
            raise refusal(RuntimeError, "all footprint elements are zero", kind="empty-footprint")
        return list(window.shape), window
    if size is None:
        what = "no footprint or filter size provided"
        raise refusal(RuntimeError, what, kind="no-size", fix="give size=3")
    given = per_axis(size, len(along), "size")
    voxels = mm_to_voxels(given, image, along, "size")
    if min(voxels) <= 0:
        raise InputError(f"size = {size}", kind="bad-size", fix="give a positive length")
    pairs = zip(given, voxels, strict=True)
    sizes = [_odd(value) if isinstance(text, str) else int(value) for text, value in pairs]
    if min(sizes) < 1:
        raise InputError(f"size = {size}", kind="bad-size", fix="give at least 1")
    return sizes, None


def _odd(voxels: float) -> int:
    """Return the nearest odd number of voxels, at least 1."""
    return 2 * max(0, round((voxels - 1) / 2)) + 1
