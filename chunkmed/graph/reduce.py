"""From blocks to numbers: one table of statistics per time point, all labels in one pass."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np

from chunkmed.errors import InputError
from chunkmed.graph.box import Box, sides
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.passes import make_program
from chunkmed.kernels.groups import groups_of
from chunkmed.kernels.joined import merge_moments
from chunkmed.kernels.moments import Moments, block_moments

__all__ = ["Axes", "Grouping", "Merged", "check_dtype", "check_held", "copied_bytes", "label_statistics"]
__all__ += ["positions"]

#: So many rows are held whatever remains of them.
_FEW_ROWS = 1 << 17

#: ``each``: a row per label; ``positive``: all labels above zero in one row; ``all``: every voxel.
Grouping = Literal["each", "positive", "all"]


@dataclass(frozen=True)
class Axes:
    """Which axes of an array are time and space; space is padded to three axes in front.

    Of more than three the last ones are z, y, x; the others are gone through one by one.
    """

    shape: tuple[int, ...]
    time: int | None
    space: tuple[int, ...]
    many: bool = False
    """Whether more than three axes of space are taken."""

    def __post_init__(self) -> None:
        if len(self.space) > 3 and not self.many:
            raise InputError(
                f"{len(self.space)} axes to measure along",
                kind="too-many-axes",
                why="this is computed over at most three axes, and per time point",
                fix='give an xarray.DataArray with dims ("t", "z", "y", "x")',
            )

    @property
    def times(self) -> int:
        """Number of time points."""
        return 1 if self.time is None else self.shape[self.time]

    @property
    def volume(self) -> tuple[int, int, int]:
        """Sizes of z, y, x."""
        sizes = self.whole[-3:]
        return sizes[0], sizes[1], sizes[2]

    @property
    def whole(self) -> tuple[int, ...]:
        """Sizes of all axes of space, three at least."""
        sizes = tuple(self.shape[axis] for axis in self.space)
        return (*(1,) * (3 - len(sizes)), *sizes)

    @property
    def outer(self) -> tuple[int, ...]:
        """Axes of space before z, y, x."""
        return self.space[:-3]

    def frames(self, array: Array) -> Array:
        """Return an array of this box as (frame, z, y, x), in the order of :meth:`places`."""
        order = [*([] if self.time is None else [self.time]), *self.space]
        moved = array.transpose(order)
        rest = moved.shape[len(order) - len(self.space[-3:]) :]
        lead = math.prod(moved.shape[: len(order) - len(rest)])
        return moved.reshape((lead, *((1,) * (3 - len(rest))), *rest))

    def places(self, box: Box) -> list[tuple[int, tuple[int, ...]]]:
        """Return the time point of each frame of a box, and its index along the outer axes."""
        times = range(1) if self.time is None else range(*box[self.time])
        outer = itertools.product(*(range(*box[axis]) for axis in self.outer))
        return list(itertools.product(times, outer))

    def span(self, box: Box) -> tuple[int, tuple[int, int, int]]:
        """Return the first time point of a box and its corner z, y, x."""
        return 0 if self.time is None else box[self.time][0], self.corner(box)

    def corner(self, box: Box) -> tuple[int, int, int]:
        """Return the first z, y, x of a box."""
        corner = (0, 0, 0, *(box[axis][0] for axis in self.space))[-3:]
        return corner[0], corner[1], corner[2]


@dataclass(frozen=True)
class _BlockStatistics:
    """Task: the statistics of one block, a part per time point."""

    axes: Axes
    grouping: Grouping
    slices: Array
    with_labels: bool
    with_values: bool

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, Moments]]:
        rest = iter(arrays)
        labels = next(rest) if self.with_labels else np.int32(1)
        values = self.axes.frames(next(rest)) if self.with_values else None
        labels = np.broadcast_to(_whole_numbers(np.asarray(labels)), sides(box))
        check_held(labels, values)
        if self.grouping == "positive":
            labels = labels > 0
        corner = self.axes.corner(box)
        place = corner, self.axes.volume, self.slices[corner[0] :]
        out = []
        for i, (ids, (t, outer)) in enumerate(
            zip(self.axes.frames(labels), self.axes.places(box), strict=True)
        ):
            table = block_moments(groups_of(ids), None if values is None else values[i], *place)
            out.append((t, _placed(table, outer, self.axes)))
        return out


def _placed(table: Moments, outer: tuple[int, ...], axes: Axes) -> Moments:
    """Return the statistics of a frame with its indices along the outer axes."""
    if not outer:
        return table
    frame = 0
    for index, size in zip(outer, axes.whole, strict=False):
        frame = frame * size + index
    return table.within(outer, frame * math.prod(axes.volume))


def check_held(labels: Array | None, values: Array | None) -> None:
    """Refuse labels and values of a block that int64 does not hold: they would wrap."""
    for array, what, kind in ((labels, "labels", "bad-labels"), (values, "values", "bad-dtype")):
        if array is None or array.dtype.kind != "u" or array.dtype.itemsize < 8 or not array.size:
            continue
        if int(array.max()) > np.iinfo(np.int64).max:
            fix = "give them other numbers" if labels is array else 'give floats: image.astype("float64")'
            raise InputError(f"{what} beyond 2**63 - 1", kind=kind, fix=fix)


def check_dtype(dtype: np.dtype[Any]) -> None:
    """Refuse values that are no numbers of one part and 64 bits."""
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise InputError(
            f"values of dtype {dtype} are not measured",
            kind="bad-dtype",
            fix="give integers, a mask, or floats of at most 64 bits; of complex ones .real or abs()",
        )


def _whole_numbers(labels: Array) -> Array:
    """Return labels; refuse fractions and NaN, which would be cut to the number of another object."""
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.floor(labels)):
        raise InputError("labels are no whole numbers", kind="bad-labels", fix="labels.astype(int)")
    return labels


def label_statistics(
    labels: Node | None,
    values: Node | None,
    axes: Axes,
    *,
    grouping: Grouping = "each",
    slices: Array | None = None,
    name: str = "measuring",
) -> list[Moments]:
    """Return the statistics of every label at every time point, in one read of both images.

    Parameters
    ----------
    labels, values : Node or None
        Images of one shape; None counts every voxel as label 1, or as the value 1.
    axes : Axes
        Which axes are time and space.
    grouping : {"each", "positive", "all"}
        What makes a row.
    slices : ndarray of float64, shape (z, 2), optional
        What a voxel of each slice adds to ``depth`` and ``height``; 1 and its index by default.
    """
    if slices is None:
        slices = np.stack([np.ones(axes.volume[0]), np.arange(axes.volume[0])], axis=1)
    if values is not None:
        check_dtype(values.dtype)
    nodes = tuple(node for node in (labels, values) if node is not None)
    task = _BlockStatistics(
        axes, grouping, np.asarray(slices, np.float64), labels is not None, values is not None
    )
    tables = [Merged(merge_moments) for _ in range(axes.times)]
    # Where labels are not given, a one is made for every voxel.
    copied = sum(copied_bytes(node.dtype) for node in nodes) + 4 * (labels is None)
    program = make_program(nodes, sink_bytes=copied)
    for _, result in program.run(task, name=name):
        for t, part in result:
            tables[t].add(part)
    if 0 in axes.whole:
        # No block has told how many axes a position has.
        for each in tables:
            each.add(_placed(Moments.empty(), (0,) * len(axes.outer), axes))
    return [table.result for table in tables]


class _Table(Protocol):
    def __len__(self) -> int: ...


T = TypeVar("T", bound=_Table)


class Merged(Generic[T]):
    """Tables of blocks, merged as they come in: no more rows are held than three times those that remain.

    Parameters
    ----------
    merge : function
        Makes one table of several.
    """

    def __init__(self, merge: Callable[[list[T]], T]) -> None:
        self._merge = merge
        self._parts: list[T] = []
        self._rows, self._merged = 0, 0

    def add(self, part: T) -> None:
        """Take the table of the next block."""
        self._parts.append(part)
        self._rows += len(part)
        if self._rows > max(_FEW_ROWS, 3 * self._merged):
            self._parts = [self._merge(self._parts)]
            self._rows = self._merged = len(self._parts[0])

    @property
    def result(self) -> T:
        """The table of all blocks."""
        return self._merge(self._parts)


def copied_bytes(dtype: np.dtype[Any]) -> int:
    """Return what the kernel's copy of a voxel takes, where it takes one."""
    if dtype in (np.int32, np.float32, np.float64):
        return 0
    # A mask of what is positive comes on top.
    return 1 + (4 if dtype.itemsize < 4 or dtype.kind == "b" else 8)


def positions(at: Any, volume: tuple[int, ...], ndim: int) -> Array:
    """Return (n, ndim) voxel indices of C-order indices in a volume, whose last ``ndim`` axes count."""
    return np.stack(np.unravel_index(at, volume), axis=-1)[..., len(volume) - ndim :]
