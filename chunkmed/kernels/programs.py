"""From a network of values to a program on rows of a workspace: what to make, when, and where.

A program makes one row of the result after the other. A node that is needed at several y is made as
early as the first one needs it, and kept in a ring of rows until the last one has had it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.networks import Network, Value, extreme_of, rank_of

__all__ = ["BOTH", "HIGH", "LOAD", "LOW", "STORE", "Program", "program_of"]

#: What an operation does.
LOAD, LOW, HIGH, BOTH, STORE = range(5)


@dataclass(frozen=True)
class Program:
    """Operations on rows."""

    operations: Array
    """int64 (phases, n, 7): what, two rows that are read, two that are written, columns beside those of
    the result, rows of the result that are still to come. Rows are in units of a row; of those that are
    read a column is given too, as ``row * COLUMNS + column``."""
    rows: int
    """Rows of the workspace."""
    columns: int
    """Most columns beside those of the result."""
    lead: int
    """Most rows ahead of the result."""


#: More columns than a window has.
COLUMNS = 1 << 20


@lru_cache(maxsize=64)
def program_of(footprint: bytes, shape: tuple[int, int, int], rank: int) -> Program:
    """Return the program of a window.

    Parameters
    ----------
    footprint : bytes
        Voxels of the window, bool, in C order.
    shape : tuple of int
        Planes, rows and columns of the window.
    rank : int
        0 is the lowest.
    """
    window = np.frombuffer(footprint, np.bool_).reshape(shape)
    network, last = Network(), int(np.count_nonzero(window)) - 1
    if rank in (0, last):
        value = extreme_of(network, window, highest=rank > 0)
    else:
        value = rank_of(network, window, rank)
    return _Compiler(network, value).program()


class _Compiler:
    """Orders the nodes that a value needs, and gives them rows."""

    def __init__(self, network: Network, value: Value) -> None:
        self.network, self.value = network, value
        self.order = _ordered(network, value)
        self.place = {node: i for i, node in enumerate(self.order)}
        count = len(self.order)
        self.lead, self.first = [0] * count, [0] * count
        self.columns = [0] * count
        self.until = [0] * count
        self.used = [[False, False] for _ in range(count)]
        self._follow()

    def _follow(self) -> None:
        """Find how early, how wide and until when every node is needed, users before what they use."""
        leads: list[list[int]] = [[] for _ in self.order]
        self._use(self.value, 0, 0, len(self.order), leads)
        for i in reversed(range(len(self.order))):
            self.lead[i], self.first[i] = max(leads[i]), min(leads[i])
            for value in self.network.nodes[self.order[i]].values or ():
                self._use(value, self.lead[i], self.columns[i], i, leads)

    def _use(self, value: Value, lead: int, columns: int, at: int, leads: list[list[int]]) -> None:
        i = self.place[value.node]
        leads[i].append(lead + value.dy)
        self.columns[i] = max(self.columns[i], columns + value.dx)
        self.until[i] = max(self.until[i], at)
        self.used[i][value.high] = True

    def program(self) -> Program:
        """Return the operations, for each phase of the rings."""
        spans = [lead - first + 1 for lead, first in zip(self.lead, self.first, strict=True)]
        ring = max(spans)
        rows, count = self._rows(spans, ring)
        tables = [[self._operation(i, rows, phase, ring) for i in range(len(rows))] for phase in range(ring)]
        for phase, table in enumerate(tables):
            table.append((STORE, self._read(self.value, 0, rows, phase, ring), 0, 0, 0, 0, 0))
        return Program(np.array(tables, np.int64), count, max(self.columns), max(self.lead))

    def _rows(self, spans: Sequence[int], ring: int) -> tuple[list[list[list[int]]], int]:
        """Return the rows of both values of every node: as many as the ring, or one."""
        out: list[list[list[int]]] = []
        free: list[int] = []
        ends: dict[int, list[int]] = {}
        count = 0
        for i, span in enumerate(spans):
            both: list[list[int]] = [[], []]
            for which in (which for which in (0, 1) if self.used[i][which]):
                # Rows of a ring are nobody else's: what comes earlier in a program comes again.
                wanted = ring if span > 1 else 1
                taken = [free.pop()] if span == 1 and free else list(range(count, count + wanted))
                count = max(count, taken[-1] + 1)
                both[which] = taken
            if span == 1:
                ends.setdefault(self.until[i], []).extend(both[0] + both[1])
            out.append(both)
            # Rows of what was read last by this node: free from the next one on, never written by this one.
            free.extend(ends.pop(i, ()))
        return out, count

    def _row(self, i: int, high: int, at: int, rows: list[list[list[int]]]) -> int:
        own = rows[i][high]
        return own[at % len(own)]

    def _read(self, value: Value, lead: int, rows: list[list[list[int]]], phase: int, ring: int) -> int:
        row = self._row(self.place[value.node], value.high, phase + lead + value.dy, rows)
        return row * COLUMNS + value.dx

    def _operation(self, i: int, rows: list[list[list[int]]], phase: int, ring: int) -> tuple[int, ...]:
        node, lead = self.network.nodes[self.order[i]], self.lead[i]
        low, high = (
            self._row(i, which, phase + lead, rows) if self.used[i][which] else 0 for which in (0, 1)
        )
        if node.values is None:
            return LOAD, node.plane, 0, low, 0, self.columns[i], lead
        a, b = (self._read(value, lead, rows, phase, ring) for value in node.values)
        kind = {(True, True): BOTH, (True, False): LOW, (False, True): HIGH}[tuple(self.used[i])]  # type: ignore[index]
        return kind, a, b, low, high, self.columns[i], lead


def _ordered(network: Network, value: Value) -> list[int]:
    """Return the nodes that a value needs, what is used before what uses it."""
    out: dict[int, None] = {}
    stack = [(value.node, False)]
    while stack:
        node, ready = stack.pop()
        if node in out:
            continue
        if ready:
            out[node] = None
            continue
        stack.append((node, True))
        stack.extend((item.node, False) for item in reversed(network.nodes[node].values or ()))
    return list(out)
