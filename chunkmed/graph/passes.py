"""Which passes a sink takes.

A chain is fused into one pass as long as what is computed twice in halos costs less than writing
and reading what lies between. Checkpoints are kept because the user says so; numbers that a chain uses
(``image - image.mean()``) are counted before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

from chunkmed.errors import PlanError
from chunkmed.graph.box import box_size
from chunkmed.graph.budget import Budget
from chunkmed.graph.checkpoint import Checkpoint
from chunkmed.graph.costs import PASS_NS, TASK_NS, WRITE_NS_PER_BYTE, encoding_bytes, task_ns
from chunkmed.graph.evaluate import is_lasting, needs, walk
from chunkmed.graph.nodes import Node, Source, Stencil
from chunkmed.graph.pencils import Apart
from chunkmed.graph.plan import Plan, central_box, make_plan
from chunkmed.graph.program import Early, Program
from chunkmed.graph.spill import Spill
from chunkmed.graph.standins import Imagined, substitute
from chunkmed.graph.totals import Counting, Total, counting_bytes
from chunkmed.graph.warp import Warp
from chunkmed.provenance import content_hash
from chunkmed.store import layout_of

__all__ = ["make_program"]

#: A spill must save this much: costs are estimates, and a pass more is a wait more.
_GAIN = 0.85
#: No more places than these are tried, those first where most is computed twice.
_PLACES = 6
#: Dearer than any pass that fits.
_DOES_NOT_FIT = 1e30

Nodes = tuple[Node, ...]
Planner = Callable[[Nodes], Plan]


def make_program(
    nodes: Sequence[Node],
    *,
    unit: Sequence[int] | None = None,
    wishes: Sequence[Sequence[int]] = (),
    sink_bytes: float = 0.0,
    sink_fixed_bytes: int = 0,
    budget: Budget | None = None,
) -> Program:
    """Choose the passes of a sink, and the block of each.

    Parameters
    ----------
    nodes, unit, wishes, sink_bytes, sink_fixed_bytes, budget
        As in :func:`chunkmed.graph.plan.make_plan`.

    Raises
    ------
    PlanError
        If nothing fits, not even with everything kept on disk that can be.
    """

    @cache
    def planned(wanted: Nodes) -> Plan:
        return make_plan(
            wanted,
            unit=unit,
            wishes=wishes,
            sink_bytes=sink_bytes,
            sink_fixed_bytes=sink_fixed_bytes,
            budget=budget,
        )

    passes = _Passes(budget)
    current = passes.cut(passes.prepared(nodes), planned)
    return Program(current, tuple(passes.found), planned(current), is_lasting(nodes))


class _Passes:
    """The passes that come first, as they are found."""

    def __init__(self, budget: Budget | None) -> None:
        self.budget = budget
        self.found: list[Early] = []
        self._stand_ins: dict[str, Node] = {}

    def prepared(self, nodes: Sequence[Node]) -> Nodes:
        """Return the nodes with stand-ins for checkpoints and numbers, whose passes are added."""
        order = walk(nodes)
        for node in order:
            if node.token in self._stand_ins:
                continue
            if isinstance(node, Checkpoint) and not node.is_kept:
                (made_of,) = self.prepared(node.inputs)
                self.keep(_Spilling(node, made_of, self.budget), "checkpoint")
            elif isinstance(node, Total):
                alike = [item for item in order if isinstance(item, Total) and item.group == node.group]
                self._count(tuple(alike))
            elif isinstance(node, Apart):
                # Only dask needs it made apart: here the plan says what is kept.
                (self._stand_ins[node.token],) = self.prepared([node.parent])
        return substitute(nodes, self._stand_ins)

    def keep(self, spilling: _Spilling, why: str) -> None:
        """Add the pass of a spill, and what that needs before."""
        (made_of,) = self.cut((spilling.made_of,), spilling.planned)
        plan = spilling.planned((made_of,))
        self.found.append(Spill(spilling.node, made_of, spilling.stand_in, plan, why))
        self._stand_ins[spilling.node.token] = spilling.stand_in

    def _count(self, totals: tuple[Total, ...]) -> None:
        first = totals[0]
        copied, rows = counting_bytes(first.parent, first.axes)

        @cache
        def planned(wanted: Nodes) -> Plan:
            return make_plan(wanted, sink_bytes=copied, sink_fixed_bytes=rows, budget=self.budget)

        (made_of,) = self.cut(self.prepared([first.parent]), planned)
        stand_ins = tuple(_imagined(total, "read") for total in totals)
        self.found.append(Counting(totals, made_of, stand_ins, planned((made_of,))))
        self._stand_ins |= {total.token: item for total, item in zip(totals, stand_ins, strict=True)}

    def cut(self, nodes: Nodes, planned: Planner) -> Nodes:
        """Add spills as long as they save; return the nodes with stand-ins."""
        while (better := _better(nodes, planned, self.budget)) is not None:
            spilling, why = better
            self.keep(spilling, why)
            nodes = substitute(nodes, {spilling.node.token: spilling.stand_in})
        return nodes


def _imagined(node: Node, what: str) -> Source:
    token, label = content_hash("imagined", node.token), f"{what} {node.label.split(' (')[0]}"
    return Source(Imagined(node.shape, node.dtype, token, label))


class _Spilling:
    """A spill that is being thought about."""

    def __init__(self, node: Node, made_of: Node, budget: Budget | None) -> None:
        self.node, self.made_of, self.budget = node, made_of, budget
        self.stand_in = _imagined(node, "read what was kept after")

    def planned(self, nodes: Nodes) -> Plan:
        """Return the plan of the pass that makes it."""
        shard = layout_of(self.node.shape).shard
        encoded = encoding_bytes(shard, self.node.dtype.itemsize)
        return make_plan(nodes, unit=shard, sink_fixed_bytes=encoded, budget=self.budget)

    def cost_ns(self) -> float:
        """Return what making, writing and committing it costs."""
        size = math.prod(self.node.shape) * self.node.dtype.itemsize
        return _pass_ns([self.made_of], self.planned((self.made_of,))) + size * WRITE_NS_PER_BYTE


def _better(nodes: Nodes, planned: Planner, budget: Budget | None) -> tuple[_Spilling, str] | None:
    """Return the spill that saves most; None where fusing everything is best."""
    plan = _or_none(planned, nodes)
    cost, why = (_DOES_NOT_FIT, "memory") if plan is None else (_pass_ns(nodes, plan) * _GAIN, "halo")
    best = None
    for node in _places(nodes, plan):
        spilling = _Spilling(node, node, budget)
        if (total := _total_ns(spilling, nodes, planned)) < cost:
            best, cost = (spilling, why), total
    return best


def _total_ns(spilling: _Spilling, nodes: Nodes, planned: Planner) -> float:
    """Return the time of both passes."""
    rest = substitute(nodes, {spilling.node.token: spilling.stand_in})
    try:
        first = spilling.cost_ns()
    except PlanError:
        return math.inf
    plan = _or_none(planned, rest)
    # What is left may be cut again: the more the first pass takes off it, the better.
    return _DOES_NOT_FIT * 0.5 / (1 + first) if plan is None else first + _pass_ns(rest, plan)


def _or_none(planned: Planner, nodes: Nodes) -> Plan | None:
    try:
        return planned(nodes)
    except PlanError:
        return None


def _places(nodes: Nodes, plan: Plan | None) -> list[Node]:
    """Return nodes that may be worth keeping, those first where most is computed twice.

    What a stencil reads is computed again in its halo; a stored array is only read again.
    """
    order = walk(nodes)
    read = {item.token: item for node in order if isinstance(node, Stencil | Warp) for item in node.inputs}
    found = [item for item in read.values() if _worth_keeping(item)]
    if plan is None:
        return found[:_PLACES]
    box = central_box(plan.shape, plan.block)
    need = needs([(node, box) for node in nodes], order, reach=True)
    made = {item.token: plan.tasks * sum(map(box_size, need.get(item.token, ()))) for item in found}
    again = {item.token: made[item.token] / math.prod(item.shape) for item in found}
    found = [item for item in found if again[item.token] > 1.05]
    return sorted(found, key=lambda item: -again[item.token])[:_PLACES]


def _worth_keeping(node: Node) -> bool:
    storable = node.dtype_known and node.dtype.kind in "biuf" and node.dtype.itemsize <= 8
    return storable and 0 not in node.shape and any(isinstance(item, Stencil) for item in walk([node]))


def _pass_ns(nodes: Sequence[Node], plan: Plan) -> float:
    return PASS_NS + plan.tasks * (TASK_NS + task_ns(nodes, central_box(plan.shape, plan.block)))
