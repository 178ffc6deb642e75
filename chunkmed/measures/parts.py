"""What is collected of a block and merged: one row per label, whatever the blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from chunkmed.graph.nodes import Array
from chunkmed.kernels.counted import merge_counts
from chunkmed.kernels.grouped import count_bins, count_values, sum_values
from chunkmed.kernels.groups import Groups
from chunkmed.kernels.joined import merge_moments
from chunkmed.kernels.moments import Moments, block_moments

__all__ = ["COUNTS", "MOMENTS", "SURFACE", "Bins", "Block", "Counts", "Found", "Part", "Sums"]


@dataclass(frozen=True)
class Block:
    """One block of one time point."""

    groups: Groups
    values: Array | None
    surface: Array | None
    """Part of the surface that each voxel stands for, mm2."""
    corner: tuple[int, int, int]
    volume: tuple[int, int, int]
    slices: Array


class Part(Protocol):
    """A way to collect: a table of a block, and one table of several."""

    @property
    def key(self) -> str:
        """Name and settings."""

    def table_of(self, block: Block) -> Any:
        """Return the table of a block."""

    def merge(self, tables: list[Any]) -> Any:
        """Return one table, labels ascending."""


@dataclass(frozen=True)
class _Moments:
    """Sums, squares, extremes and bounding boxes."""

    key: str = "moments"

    def table_of(self, block: Block) -> Moments:
        return block_moments(block.groups, block.values, block.corner, block.volume, block.slices)

    def merge(self, tables: list[Moments]) -> Moments:
        return merge_moments(tables)


@dataclass(frozen=True)
class Sums:
    """Something that adds up, shape (labels, ...)."""

    label: Array
    total: Array

    def __len__(self) -> int:
        return len(self.label)


def _added(tables: list[Sums]) -> Sums:
    names, row = np.unique(np.concatenate([table.label for table in tables]), return_inverse=True)
    parts = np.concatenate([table.total for table in tables])
    total = np.zeros((len(names), *parts.shape[1:]), parts.dtype)
    np.add.at(total, row, parts)
    return Sums(names, total)


@dataclass(frozen=True)
class _Surface:
    """Area of the surface, mm2."""

    key: str = "surface"

    def table_of(self, block: Block) -> Sums:
        if block.surface is None:
            raise AssertionError("the surface is evaluated where it is asked for")
        return Sums(block.groups.names, sum_values(block.groups, block.surface))

    def merge(self, tables: list[Sums]) -> Sums:
        return _added(tables)


@dataclass(frozen=True)
class Bins:
    """A histogram in bins of one width."""

    low: float
    high: float
    bins: int

    @property
    def key(self) -> str:
        """Name and settings."""
        return f"bins {self.low} {self.high} {self.bins}"

    @property
    def edges(self) -> Array:
        """Of the bins, (bins + 1,)."""
        return np.linspace(self.low, self.high, self.bins + 1)

    def table_of(self, block: Block) -> Sums:
        """Count the values of a block."""
        return Sums(block.groups.names, count_bins(block.groups, _values(block), self.edges))

    def merge(self, tables: list[Sums]) -> Sums:
        """Add up."""
        return _added(tables)


@dataclass(frozen=True)
class Counts:
    """How often each value occurs in each label: a row per label and value, both ascending."""

    label: Array
    value: Array
    count: Array

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True)
class _Counts:
    """Counts of values: integers of at most 16 bits."""

    key: str = "counts"

    def table_of(self, block: Block) -> Counts:
        row, value, count = count_values(block.groups, _values(block))
        return Counts(block.groups.names[row], value, count.astype(np.int64))

    def merge(self, tables: list[Counts]) -> Counts:
        return Counts(*merge_counts([(table.label, table.value, table.count) for table in tables]))


def _values(block: Block) -> Array:
    if block.values is None:
        raise AssertionError("measures of values are refused without an image")
    return block.values


MOMENTS, SURFACE, COUNTS = _Moments(), _Surface(), _Counts()


@dataclass(frozen=True)
class Found:
    """What was collected of one time point: all tables have the labels of ``moments``."""

    moments: Moments
    tables: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.moments)

    @classmethod
    def nothing(cls, parts: Sequence[Part]) -> Found:
        """Return tables without rows."""
        none = np.zeros(0, np.int64)
        empty: dict[str, Any] = {part.key: Sums(none, np.zeros((0, _width(part)))) for part in parts}
        return cls(Moments.empty(), empty | {"surface": Sums(none, none), "counts": Counts(none, none, none)})

    def rows(self, which: slice) -> Found:
        """Return some labels that follow one another."""
        moments = self.moments.rows(which)
        return Found(moments, {key: _between(table, moments.label) for key, table in self.tables.items()})

    @property
    def objects(self) -> Found:
        """The rows of labels above zero."""
        return self.rows(slice(int(np.searchsorted(self.moments.label, 0, side="right")), None))


def _between(table: Any, names: Array) -> Any:
    """Return the rows of a table from the first to the last of some labels."""
    first = np.searchsorted(table.label, names[0]) if len(names) else 0
    stop = np.searchsorted(table.label, names[-1], side="right") if len(names) else 0
    return type(table)(**{name: column[first:stop] for name, column in vars(table).items()})


def _width(part: Part) -> int:
    return part.bins if isinstance(part, Bins) else 1
