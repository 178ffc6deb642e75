"""The passes of a sink: arrays that are kept on disk first, then what was asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from chunkmed.graph.box import Box
from chunkmed.graph.checkpoint import Checkpoint
from chunkmed.graph.evaluate import walk
from chunkmed.graph.nodes import Array, Node, Source
from chunkmed.graph.plan import Plan
from chunkmed.graph.run import Work, run
from chunkmed.graph.scratch import Scratch, write_block
from chunkmed.provenance import content_hash

__all__ = ["PlannedOnly", "Program", "Spill", "planning", "substitute"]


class PlannedOnly(Exception):  # noqa: N818 - it says where planning came to, nothing went wrong
    """Raised in place of running, inside :func:`planning`."""

    def __init__(self, program: Program, name: str) -> None:
        super().__init__(name)
        self.program, self.name = program, name


_planning: ContextVar[bool] = ContextVar("planning", default=False)


@contextmanager
def planning() -> Iterator[None]:
    """Let no program run inside the block: the first that would raises :class:`PlannedOnly`."""
    token = _planning.set(True)
    try:
        yield
    finally:
        _planning.reset(token)


@dataclass(frozen=True)
class Spill:
    """An array that is kept on disk, in a pass of its own."""

    node: Node
    """What is kept."""
    made_of: Node
    """What makes the values, with earlier spills as stand-ins."""
    stand_in: Source
    """What later passes read, before there is anything to read."""
    plan: Plan
    why: str
    """``checkpoint``, or ``halo`` or ``memory`` where the plan put it in."""


@dataclass(frozen=True)
class Program:
    """All passes of a sink.

    Parameters
    ----------
    nodes : tuple of Node
        What tasks of the last pass evaluate, with stand-ins for what is kept.
    spills : tuple of Spill
        Passes before, in order.
    plan : Plan
        Of the last pass.
    lasting : bool
        Whether what is kept may be taken up by another call. Of all that was asked for: behind a
        stand-in a part that dask made is no longer to be seen.
    """

    nodes: tuple[Node, ...]
    spills: tuple[Spill, ...]
    plan: Plan
    lasting: bool
    _kept: dict[str, Scratch] = field(default_factory=dict, repr=False)

    @property
    def peak_bytes(self) -> int:
        """Predicted peak memory of all passes."""
        return max(plan.peak_bytes for plan in self.plans)

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plan of each pass, in order."""
        return (*(spill.plan for spill in self.spills), self.plan)

    def run(
        self,
        function: Callable[[Box, Sequence[Array]], Any],
        *,
        name: str,
        skip: Callable[[Box], bool] | None = None,
        done: Callable[[Box, Any], None] | None = None,
    ) -> Iterator[tuple[Box, Any]]:
        """Run all passes; yield (box, result) of every task of the last one, in C order.

        Parameters
        ----------
        function : callable
            Takes a box and the arrays of the nodes.
        name : str
            What the progress bar says.
        skip, done
            As in :func:`chunkmed.graph.run.run`.
        """
        if _planning.get():
            raise PlannedOnly(self, name)
        made: dict[str, Node] = {}
        for spill in self.spills:
            made[spill.stand_in.token] = self._keep(spill, made)
        work = Work(substitute(self.nodes, made), function)
        yield from run(work, self.plan, name=name, skip=skip, done=done)
        for scratch in self._kept.values():
            scratch.succeeded()

    def _keep(self, spill: Spill, made: Mapping[str, Node]) -> Node:
        node = spill.node
        token = content_hash("spill", node.token) if self.lasting else None
        scratch = Scratch(node.shape, node.dtype, token)
        work = Work(substitute((spill.made_of,), made), partial(write_block, scratch.writer))
        for _ in run(
            work, spill.plan, name="keeping", skip=scratch.skip, done=lambda _, o: scratch.record(o)
        ):
            pass
        self._kept[node.token] = scratch
        source = scratch.source()
        if isinstance(node, Checkpoint):
            node.keep(source, scratch)
        return source


def substitute(nodes: Sequence[Node], made: Mapping[str, Node]) -> tuple[Node, ...]:
    """Return the nodes with others in place of some below them; tokens stay, for values do."""
    if not made:
        return tuple(nodes)
    new: dict[str, Node] = {}
    for node in walk(nodes):
        inputs = tuple(new[item.token] for item in node.inputs)
        if node.token in made:
            new[node.token] = made[node.token]
        elif all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
            new[node.token] = node
        else:
            new[node.token] = copy.copy(node)
            new[node.token].inputs = inputs
    return tuple(new[node.token] for node in nodes)
