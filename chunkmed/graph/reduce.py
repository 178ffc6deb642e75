"""From blocks to numbers: one table of statistics per time point, all labels in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np

from chunkmed.errors import InputError
from chunkmed.graph.box import Box, sides
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.passes import make_program
from chunkmed.kernels.groups import groups_of
from chunkmed.kernels.moments import Moments, block_moments, merge_moments

__all__ = ["Axes", "Grouping", "Merged", "copied_bytes", "label_statistics", "positions"]

#: So many rows are held whatever remains of them.
_FEW_ROWS = 1 << 17

#: ``each``: a row per label; ``positive``: all labels above zero in one row; ``all``: every voxel.
Grouping = Literal["each", "positive", "all"]


@dataclass(frozen=True)
class Axes:
    """Which axes of an array are time and space; space is padded to three axes in front."""

    shape: tuple[int, ...]
    time: int | None
    space: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.space) > 3:
            raise InputError(
                f"{len(self.space)} axes to measure along",
                kind="too-many-axes",
                why="statistics are computed over at most three axes, and per time point",
                fix='give an xarray.DataArray with dims ("t", "z", "y", "x")',
            )

    @property
    def times(self) -> int:
        """Number of time points."""
        return 1 if self.time is None else self.shape[self.time]

    @property
    def volume(self) -> tuple[int, int, int]:
        """Sizes of z, y, x."""
        sizes = (1, 1, 1, *(self.shape[axis] for axis in self.space))[-3:]
        return sizes[0], sizes[1], sizes[2]

    def frames(self, array: Array) -> Array:
        """Return an array of this box as (t, z, y, x)."""
        order = [*([] if self.time is None else [self.time]), *self.space]
        moved = array.transpose(order)
        lead = moved.shape[:1] if self.time is not None else (1,)
        rest = moved.shape[len(order) - len(self.space) :]
        return moved.reshape((*lead, *((1,) * (3 - len(rest))), *rest))

    def span(self, box: Box) -> tuple[int, tuple[int, int, int]]:
        """Return the first time point of a box and its corner z, y, x."""
        corner = (0, 0, 0, *(box[axis][0] for axis in self.space))[-3:]
        return 0 if self.time is None else box[self.time][0], (corner[0], corner[1], corner[2])


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
        if self.grouping == "positive":
            labels = labels > 0
        start, corner = self.axes.span(box)
        place = corner, self.axes.volume, self.slices[corner[0] :]
        return [
            (start + t, block_moments(groups_of(ids), None if values is None else values[t], *place))
            for t, ids in enumerate(self.axes.frames(labels))
        ]


def _whole_numbers(labels: Array) -> Array:
    """Return labels; refuse fractions, which would be cut to the number of another object."""
    if labels.dtype.kind == "f" and bool(np.any(np.mod(labels, 1) > 0)):
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


def positions(at: Any, volume: tuple[int, int, int], ndim: int) -> Array:
    """Return (n, ndim) voxel indices of C-order indices in a volume."""
    return np.stack(np.unravel_index(at, volume), axis=-1)[..., 3 - ndim :]
