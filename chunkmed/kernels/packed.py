"""Binary morphology on packed voxels, 64 to a word: all iterations on words, exact for any structure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.packed_arguments import Step
from chunkmed.kernels.packed_layout import Layout, layouts, merged
from chunkmed.kernels.packed_words import gather, spread, step
from chunkmed.reused import empty, filled

__all__ = ["transform"]

#: Voxels that are packed and unpacked at a time, a multiple of 8.
_PIECE = 1 << 17
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


def transform(
    block: Array,
    steps: Sequence[Step],
    border: bool,
    mask: Array | None = None,
    *,
    overwrite: bool = False,
) -> Array | None:
    """Return what steps make of the voxels that are not zero; None where packing does not pay.

    Parameters
    ----------
    block : ndarray
        Integers, floats or bool, at least one voxel.
    steps : sequence of Step
        One after the other.
    border : bool
        Value of all voxels outside of the block, at every step.
    mask : ndarray of bool or bytes, shape of block, optional
        Voxels that may change.
    overwrite : bool, default False
        Whether the result may be in the memory of the block, where that is bool and in one piece.

    Returns
    -------
    ndarray of bool, shape of block
        While it is made, 0.6 bytes per voxel are needed, 0.9 with a mask: less than
        it needs itself; rows shorter than a word need more.
    """
    shape, offsets = merged(block.shape, [one.offsets for one in steps])
    parts = layouts(shape, offsets) if len(shape) <= 4 else []
    if not parts or parts[0][0].is_wasteful:
        return None
    repeated = list(zip(offsets, steps, strict=True))
    voxels, may_change = _packed(block), None if mask is None else _packed(mask)
    out = _nothing(block.size)
    for layout, first in parts:
        keep = layout.inside()
        if may_change is not None:
            keep = layout.stream(False)
            spread(may_change, first, keep, *layout.place)
        stream = layout.stream(border)
        spread(voxels, first, stream, *layout.place)
        gather(_repeated(stream, keep, layout, repeated, border), out, first, *layout.place)
    del voxels, may_change, keep, stream
    usable = overwrite and block.dtype == np.bool_ and block.flags.c_contiguous and block.flags.writeable
    target = block.reshape(-1) if usable else empty(block.size, np.bool_)
    _unpack(out.view(np.uint8), target)
    return target.reshape(block.shape)


def _repeated(
    stream: Array, keep: Array, layout: Layout, steps: Sequence[tuple[Array, Step]], border: bool
) -> Array:
    """Return what steps make of a stream, which is overwritten."""
    other = layout.stream(border)
    for offsets, one in steps:
        program, flip = layout.program(offsets), _ALL * np.uint64(one.grow)
        for _ in range(one.times):
            step(stream, other, keep, program, flip, *layout.place, layout.rows, layout.margin)
            stream, other = other, stream
    return stream


def _packed(values: Array) -> Array:
    """Return one bit per voxel, in the order of the voxels."""
    small = values if values.dtype.itemsize == 1 else values != 0
    out = _nothing(values.size)
    line, bits = small.reshape(-1).view(np.uint8), out.view(np.uint8)
    for start in range(0, line.size, _PIECE):
        part = np.packbits(line[start : start + _PIECE], bitorder="little")
        bits[start // 8 : start // 8 + part.size] = part
    return out


def _unpack(bits: Array, target: Array) -> None:
    """Fill in truth values, a piece at a time."""
    size = target.size
    for start in range(0, size, _PIECE):
        stop = min(start + _PIECE, size)
        part = bits[start // 8 : -(-stop // 8)]
        target[start:stop] = np.unpackbits(part, count=stop - start, bitorder="little").view(np.bool_)


def _nothing(size: int) -> Array:
    # One word more than needed: shifting reads, and adds zeros to, the next word.
    return filled((size >> 6) + 2, 0, np.uint64)
