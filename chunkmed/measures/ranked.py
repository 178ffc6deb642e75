"""Percentiles of values of any dtype, of each label: exact, in one to three more passes.

Values of at most 16 bits are counted on the way, in the pass of everything else. Others are looked for by
their ranks (:mod:`chunkmed.graph.selection`); what is found stands for the counts of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from chunkmed.graph.groups import Groups
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.selection import Selected, ranks_around, select
from chunkmed.kernels.distinct import distinct
from chunkmed.measures.about import About
from chunkmed.measures.parts import COUNTS, Counts, Found, Part
from chunkmed.measures.records import Measure

__all__ = ["are_counted", "collected_of", "with_ranked"]


def are_counted(dtype: np.dtype[np.generic]) -> bool:
    """Whether all values of a dtype can be counted in a pass."""
    return dtype.kind in "iub" and dtype.itemsize <= 2


def collected_of(parts: Sequence[Part], values: Node | None) -> tuple[Part, ...]:
    """Return what is collected in the first pass."""
    counted = values is None or are_counted(values.dtype)
    return tuple(part for part in parts if counted or part != COUNTS)


def with_ranked(
    found: Sequence[Found], records: Sequence[Measure], labels: Node, values: Node | None, about: About
) -> list[Found]:
    """Return what was found with the values that percentiles need, where these were not counted.

    Parameters
    ----------
    found : sequence of Found
        One per time point.
    records : sequence of Measure
        What is measured.
    labels, values : Node
        Images of one shape.
    about : About
        Their axes.
    """
    percents = [record.percent for record in records if record.percent is not None]
    if values is None or are_counted(values.dtype) or not percents:
        return list(found)
    names = distinct(np.concatenate([each.moments.label for each in found]))
    groups = Groups(labels.shape, about.axes.time, masked=True, names=names)
    ranks = _Ranks(np.array(percents) / 100)
    chosen = select([values, labels], groups, ranks, name="percentiles")
    frames = _counts(chosen, ranks, names, groups.times)
    return [
        replace(each, tables={**each.tables, COUNTS.key: frame})
        for each, frame in zip(found, frames, strict=True)
    ]


class _Ranks:
    """Which ranks are wanted: two for each percentile, of every group that has numbers only."""

    def __init__(self, shares: Array) -> None:
        self.shares = shares
        self.owners = np.zeros(0, np.int64)
        self.rows = np.zeros((0, 2 * len(shares)), np.int64)

    def __call__(self, counts: Array, nans: Array) -> tuple[Array, Array]:
        self.owners = np.flatnonzero((counts > 0) & (nans == 0))
        ranks = ranks_around(counts[self.owners], self.shares)
        self.rows = np.sort(ranks.reshape(len(ranks), 2 * len(self.shares)), axis=1)
        return np.repeat(self.owners, self.rows.shape[1]), self.rows.reshape(-1)


def _counts(chosen: Selected, ranks: _Ranks, names: Array, times: int) -> list[Counts]:
    """Return for each time point what counts of all values would say at the ranks that are wanted."""
    width = ranks.rows.shape[1]
    value = np.full((times * len(names), width), np.nan, np.result_type(chosen.values, np.float32))
    value[ranks.owners] = chosen.values.reshape(-1, width)
    # Each stands for those from the last one's rank on; where there are NaN all are.
    total = (chosen.counts + chosen.nans).astype(np.int64)
    up_to = np.repeat(total[:, None], width, axis=1)
    up_to[ranks.owners, :-1] = ranks.rows[:, :-1] + 1
    count = np.diff(up_to, axis=1, prepend=0)
    frames = zip(value.reshape(times, -1, width), count.reshape(times, -1, width), strict=True)
    return [_there(names, *frame) for frame in frames]


def _there(names: Array, value: Array, count: Array) -> Counts:
    """Return the rows of labels that a time point has."""
    has = count.any(axis=1)
    return Counts(np.repeat(names[has], value.shape[1]), value[has].reshape(-1), count[has].reshape(-1))
