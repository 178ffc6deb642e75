"""The passes of a sink: what is kept on disk or counted first, then what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from chunkmed.graph.box import Box
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.plan import Plan
from chunkmed.graph.run import Work, run
from chunkmed.graph.scratch import Scratch
from chunkmed.graph.spill import Spill
from chunkmed.graph.standins import substitute
from chunkmed.graph.totals import Counting

__all__ = ["Early", "PlannedOnly", "Program", "planning"]


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


#: A pass before the last one.
Early = Spill | Counting


@dataclass(frozen=True)
class Program:
    """All passes of a sink.

    Parameters
    ----------
    nodes : tuple of Node
        What tasks of the last pass evaluate, with stand-ins for what is kept.
    early : tuple of Spill and Counting
        Passes before, in order.
    plan : Plan
        Of the last pass.
    lasting : bool
        Whether what is kept may be taken up by another call. Of all that was asked for: behind a
        stand-in a part that dask made is no longer to be seen.
    """

    nodes: tuple[Node, ...]
    early: tuple[Early, ...]
    plan: Plan
    lasting: bool
    _kept: list[Scratch] = field(default_factory=list, repr=False)

    @property
    def peak_bytes(self) -> int:
        """Predicted peak memory of all passes."""
        return max(plan.peak_bytes for plan in self.plans)

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plan of each pass, in order."""
        return (*(each.plan for each in self.early), self.plan)

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
        for each in self.early:
            found, scratch = each.make(made, self.lasting)
            made |= found
            if scratch is not None:
                self._kept.append(scratch)
        work = Work(substitute(self.nodes, made), function)
        yield from run(work, self.plan, name=name, skip=skip, done=done)
        for scratch in self._kept:
            scratch.succeeded()
