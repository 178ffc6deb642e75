"""Windows of a block: where they lie, and the value of a rank among their voxels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.outside import CONSTANT, standing_for
from chunkmed.reused import empty

__all__ = ["LARGEST_RANKED", "MOST_AT_ONCE", "Window", "compared_bytes", "is_value_of", "selected"]

#: Larger windows need programs that take too long to make: these are left to scipy.
LARGEST_RANKED = 1000
_MOST_ROWS = 1000
_LONGEST = 300
#: Planes that are compared one after the other; more are rows of another image, and compared by halves.
MOST_AT_ONCE = 8
_SIGN = np.uint16(0x8000)


@dataclass(frozen=True)
class Window:
    """A window, and what it sees beyond the border."""

    axes: tuple[int, ...]
    """Axes that it lies along, ascending."""
    shape: tuple[int, ...]
    """Voxels along each of them."""
    footprint: Array | None
    """bool, its voxels; None for all."""
    origins: tuple[int, ...]
    """How far it is moved back, along each axis."""
    modes: tuple[str, ...]
    """A border mode of scipy.ndimage for each axis."""
    cval: float
    """The constant of constant modes."""

    @property
    def count(self) -> int:
        """Number of its voxels."""
        return math.prod(self.shape) if self.footprint is None else int(np.count_nonzero(self.footprint))

    def part(self, axes: Sequence[int]) -> Window:
        """Return the box along some of its axes."""
        chosen = [i for i, axis in enumerate(self.axes) if axis in axes]
        along, shape, origins = (
            tuple(values[i] for i in chosen) for values in (self.axes, self.shape, self.origins)
        )
        return Window(along, shape, None, origins, tuple(self.modes[i] for i in chosen), self.cval)

    @property
    def has_constant(self) -> bool:
        """Whether it may see the constant."""
        return any(mode in CONSTANT for mode in self.modes)


def selected(block: Array, window: Window, rank: int, keep: tuple[slice, ...]) -> Array | None:
    """Return the value of a rank in the window of each voxel; None for what is left to scipy.

    Parameters
    ----------
    block : ndarray
        bool, integers, float32 or float64 without NaN.
    window : Window
        Its constant is one of the dtype.
    rank : int
        0 is the lowest.
    keep : tuple of slice
        The part of the block that is wanted.

    Returns
    -------
    ndarray
        Of the dtype of the block. Integers of 32 and 64 bits go by way of float64, as in scipy.
    """
    # Here, for numba takes a second to import.
    from chunkmed.kernels.programs import program_of
    from chunkmed.kernels.rows import filtered

    if block.ndim == 1:
        alone = replace(window, axes=tuple(axis + 1 for axis in window.axes))
        out = selected(block[np.newaxis], alone, rank, (slice(0, 1), *keep))
        return None if out is None else out[0]
    footprint = _embedded(window, block.ndim)
    if not _is_worth_it(footprint, rank):
        return None
    box = rank in (0, window.count - 1) and window.footprint is None
    if box and max(footprint.shape[:-2], default=1) > MOST_AT_ONCE:
        return _in_turn(block, window, rank > 0, keep)
    tables = _tables(block.shape, window, keep)
    folded = footprint.reshape(-1, *footprint.shape[-2:])
    source = _comparable(block)
    out = empty([len(table) for table in tables], source.dtype)
    filtered(
        program_of(folded.tobytes(), folded.shape, rank),
        source.reshape(-1, *source.shape[-2:]),
        _planes(tables[:-2], block.shape[:-2]),
        _joined(tables[-2]),
        _joined(tables[-1]),
        _comparable(np.array([window.cval if window.has_constant else 0]).astype(block.dtype))[0],
        out.reshape(-1, *out.shape[-2:]),
    )
    return _restored(out, block.dtype)


def _in_turn(block: Array, window: Window, highest: bool, keep: tuple[slice, ...]) -> Array | None:
    """Return the extremes in a box, one leading axis after the other: planes are rows of another image."""
    out, parts, last = block, list(keep), block.ndim - 2
    for axis in (axis for axis in window.axes if axis < last):
        line = replace(window.part([axis]), axes=(1,))
        before, after = out.shape[:axis], out.shape[axis + 1 :]
        folded = out.reshape(math.prod(before), -1, math.prod(after))
        wanted = slice(None), keep[axis], slice(None)
        found = selected(folded, line, (line.count - 1) * highest, wanted)
        if found is None:
            return None
        out, parts[axis] = found.reshape(*before, -1, *after), slice(None)
    rest = window.part([last, last + 1])
    return selected(out, rest, (rest.count - 1) * highest, tuple(parts))


def is_value_of(number: float, dtype: np.dtype[np.generic]) -> bool:
    """Return whether a dtype holds a number as it is."""
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.array([number]).astype(dtype)[0]) == number


def _embedded(window: Window, ndim: int) -> Array:
    """Return the footprint over all axes of a block."""
    footprint = np.ones(window.shape, bool) if window.footprint is None else window.footprint
    sizes = dict(zip(window.axes, window.shape, strict=True))
    return footprint.reshape([sizes.get(axis, 1) for axis in range(ndim)])


def _is_worth_it(footprint: Array, rank: int) -> bool:
    count = int(np.count_nonzero(footprint))
    if rank not in (0, count - 1):
        return count <= LARGEST_RANKED
    if footprint.all():
        return max(footprint.shape[:-1], default=1) <= _LONGEST
    return int(np.count_nonzero(footprint.any(axis=-1))) <= _MOST_ROWS


def _tables(shape: Sequence[int], window: Window, keep: Sequence[slice]) -> list[Array]:
    """Return, for each axis, which voxels the window of each wanted voxel sees: (wanted, seen)."""
    own = {axis: i for i, axis in enumerate(window.axes)}
    out = []
    for axis, (n, part) in enumerate(zip(shape, keep, strict=True)):
        start, stop, _ = part.indices(n)
        at = np.arange(start, stop)[:, np.newaxis]
        if axis in own:
            i = own[axis]
            size = window.shape[i]
            seen = at + np.arange(size) - (size // 2 + window.origins[i])
            at = standing_for(seen, n, window.modes[i])
        out.append(at)
    return out


def _planes(tables: Sequence[Array], shape: Sequence[int]) -> Array:
    """Return which planes of a block the window of each wanted plane sees; -1 for the constant."""
    planes, outside = np.zeros((1, 1), np.int64), np.zeros((1, 1), bool)
    for table, n in zip(tables, shape, strict=True):
        sides = len(planes) * len(table), planes.shape[1] * table.shape[1]
        each = table[np.newaxis, :, np.newaxis, :]
        planes = (planes[:, np.newaxis, :, np.newaxis] * n + each).reshape(sides)
        outside = (outside[:, np.newaxis, :, np.newaxis] | (each < 0)).reshape(sides)
    return np.where(outside, -1, planes)


def _joined(table: Array) -> Array:
    """Return what all windows along a line see: each sees one more than the one before."""
    return np.ascontiguousarray(np.concatenate((table[:, 0], table[-1, 1:]))).astype(np.int64)


def _comparable(array: Array) -> Array:
    """Return values as one of four dtypes, in the same order."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype == np.uint16:
        return (array ^ _SIGN).view(np.int16)
    plain = np.ascontiguousarray(array)
    if array.dtype.kind == "b":
        return plain.view(np.uint8)
    if array.dtype.char in "Bhfd":
        return plain
    return plain.astype(np.int16 if array.dtype == np.int8 else np.float64)


def compared_bytes(dtype: np.dtype[np.generic]) -> int:
    """Return the bytes of the dtype that values of a dtype are compared as."""
    return {"b": 1, "B": 1, "?": 1, "h": 2, "H": 2, "f": 4}.get(dtype.char, 8) + (dtype.char == "b")


def _restored(array: Array, dtype: np.dtype[np.generic]) -> Array:
    if dtype == np.uint16:
        return array.view(np.uint16) ^ _SIGN
    return array.view(bool) if dtype.kind == "b" else array.astype(dtype, copy=False)
