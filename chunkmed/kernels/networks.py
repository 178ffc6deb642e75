"""Networks of minima and maxima that select a rank of a window, built once for all its places.

A value is a row of the image, or what was made of rows, moved by (dy, dx). What is made of moved values
is made once and moved: columns that are sorted, and pairs of them that are merged, serve all windows
that hold them. Lists are merged by Batcher's odd-even merge (Knuth, The Art of Computer Programming 3,
5.3.4, for any two lengths); of two sorted lists the k-th value is a minimum of maxima. What the wanted
rank does not need is never made: ``programs.py`` only follows what leads to the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import NamedTuple

import numpy as np

from chunkmed.kernels import Array

__all__ = ["Network", "Pair", "Value", "extreme_of", "rank_of"]


class Value(NamedTuple):
    """A row of a node, moved: what is at (y, x) is the node's value at (y + dy, x + dx)."""

    node: int
    high: bool
    """Which of a pair: the higher or the lower one."""
    dy: int
    dx: int

    def moved(self, dy: int, dx: int) -> Value:
        """Return the value moved further."""
        return Value(self.node, self.high, self.dy + dy, self.dx + dx)


class Pair(NamedTuple):
    """A node: lower and higher one of two values; of a plane of the image where there are none."""

    values: tuple[Value, Value] | None
    plane: int


@dataclass
class Network:
    """All nodes, each once whatever its place."""

    nodes: list[Pair] = field(default_factory=list)
    _known: dict[Pair, int] = field(default_factory=dict)

    def load(self, plane: int, dy: int = 0, dx: int = 0) -> Value:
        """Return rows of a plane of the image."""
        return Value(self._node(Pair(None, plane)), False, dy, dx)

    def pair(self, a: Value, b: Value) -> tuple[Value, Value]:
        """Return the lower and the higher one of two values."""
        if a == b:
            return a, b
        dy, dx = min(a.dy, b.dy), min(a.dx, b.dx)
        first, second = sorted((a.moved(-dy, -dx), b.moved(-dy, -dx)))
        node = self._node(Pair((first, second), 0))
        return Value(node, False, dy, dx), Value(node, True, dy, dx)

    def low(self, a: Value, b: Value) -> Value:
        """Return the lower one of two values."""
        return self.pair(a, b)[0]

    def high(self, a: Value, b: Value) -> Value:
        """Return the higher one of two values."""
        return self.pair(a, b)[1]

    def _node(self, pair: Pair) -> int:
        if pair not in self._known:
            self._known[pair] = len(self.nodes)
            self.nodes.append(pair)
        return self._known[pair]


class _Sorted(NamedTuple):
    """A sorted list, and how many were left out of it that are below and above the wanted one."""

    values: list[Value]
    below: int = 0
    above: int = 0


def rank_of(network: Network, footprint: Array, rank: int) -> Value:
    """Return the value of a rank among the voxels of a window.

    Parameters
    ----------
    network : Network
        Gets the nodes that are needed.
    footprint : ndarray of bool, shape (planes, rows, columns)
        Voxels of the window.
    rank : int
        0 is the lowest.
    """
    total = int(np.count_nonzero(footprint))
    select = _Selection(network, total, rank)
    columns = []
    for dx in range(footprint.shape[2]):
        rows = []
        for dy in range(footprint.shape[1]):
            planes = np.flatnonzero(footprint[:, dy, dx]).tolist()
            rows.append(select.merged([_Sorted([network.load(j, dy, dx)]) for j in planes]))
        columns.append(select.merged(rows))
    return select.last([column for column in columns if column.values])


@dataclass(frozen=True)
class _Selection:
    """Merges lists and leaves out what cannot be of the wanted rank."""

    network: Network
    total: int
    rank: int

    def merged(self, lists: Sequence[_Sorted]) -> _Sorted:
        """Return all values of lists, sorted. Halves are powers of two: neighbours share them."""
        lists = [each for each in lists if each.values]
        if not lists:
            return _Sorted([])
        if len(lists) == 1:
            return lists[0]
        left, right = _halves(lists)
        return self._both(self.merged(left), self.merged(right))

    def last(self, lists: Sequence[_Sorted]) -> Value:
        """Return the value of the wanted rank."""
        if len(lists) == 1:
            return lists[0].values[self.rank - lists[0].below]
        left, right = _halves(lists)
        a, b = self.merged(left), self.merged(right)
        return _kth(self.network, a.values, b.values, self.rank - a.below - b.below)

    def _both(self, a: _Sorted, b: _Sorted) -> _Sorted:
        values = _merge(self.network, a.values, b.values)
        below, above = a.below + b.below, a.above + b.above
        most = self.rank - below
        fewest = len(values) - (self.total - self.rank - above)
        first, stop = max(0, fewest), min(len(values), most + 1)
        return _Sorted(values[first:stop], below + first, above + len(values) - stop)


def _halves(lists: Sequence[_Sorted]) -> tuple[Sequence[_Sorted], Sequence[_Sorted]]:
    half = 1 << (len(lists) - 1).bit_length() - 1
    return lists[:half], lists[half:]


def _merge(network: Network, a: Sequence[Value], b: Sequence[Value]) -> list[Value]:
    """Return two sorted lists as one."""
    if not a or not b:
        return [*a, *b]
    if len(a) == len(b) == 1:
        return list(network.pair(a[0], b[0]))
    even, odd = _merge(network, a[0::2], b[0::2]), _merge(network, a[1::2], b[1::2])
    out = [even[0]]
    for low, high in zip(odd, even[1:], strict=False):
        out += network.pair(low, high)
    shared = min(len(odd), len(even) - 1)
    return [*out, *odd[shared:], *even[shared + 1 :]]


def _kth(network: Network, a: Sequence[Value], b: Sequence[Value], k: int) -> Value:
    """Return the k-th of two sorted lists: the i lowest of one and k + 1 - i of the other, for the best i."""
    terms = []
    for i in range(max(0, k + 1 - len(b)), min(len(a), k + 1) + 1):
        of_a, of_b = a[i - 1 : i] if i else [], b[k - i : k - i + 1] if i <= k else []
        terms.append(reduce(network.high, [*of_a, *of_b]))
    return _folded(network.low, terms)


def _folded(function: Callable[[Value, Value], Value], values: Sequence[Value]) -> Value:
    """Return values taken together, halves being powers of two."""
    if len(values) == 1:
        return values[0]
    half = 1 << (len(values) - 1).bit_length() - 1
    return function(_folded(function, values[:half]), _folded(function, values[half:]))


def extreme_of(network: Network, footprint: Array, *, highest: bool) -> Value:
    """Return the lowest or highest value of a window.

    A run of n voxels is two runs of a power of two (van Herk 1992 needs three operations a voxel for any
    n, but one after the other): the runs are those of other windows too.

    Parameters
    ----------
    network, footprint
        As of :func:`rank_of`.
    highest : bool
        Whether the highest one is wanted.
    """
    function = network.high if highest else network.low
    if footprint.all():
        planes, rows, columns = footprint.shape
        value = _folded(function, [network.load(plane) for plane in range(planes)])
        return _run(function, _run(function, value, rows, 1, 0), columns, 0, 1)
    terms = []
    for plane, dy in np.argwhere(footprint.any(axis=2)).tolist():
        for start, length in _runs(footprint[plane, dy]):
            terms.append(_run(function, network.load(plane, dy, start), length, 0, 1))
    return _folded(function, terms)


def _run(function: Callable[[Value, Value], Value], value: Value, length: int, dy: int, dx: int) -> Value:
    steps = int(math.log2(length))
    for i in range(steps):
        value = function(value, value.moved(dy << i, dx << i))
    rest = length - (1 << steps)
    return function(value, value.moved(dy * rest, dx * rest)) if rest else value


def _runs(row: Array) -> list[tuple[int, int]]:
    """Return starts and lengths of the runs of a row."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(np.int8), [0]))))
    return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
