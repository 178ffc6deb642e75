"""A pass that keeps an array on disk for those that come after."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from chunkmed.graph.checkpoint import Checkpoint
from chunkmed.graph.nodes import Node, Source
from chunkmed.graph.plan import Plan
from chunkmed.graph.run import Work, run
from chunkmed.graph.scratch import Scratch, write_block
from chunkmed.graph.standins import substitute
from chunkmed.provenance import content_hash

__all__ = ["Spill"]


@dataclass(frozen=True)
class Spill:
    """An array that is kept on disk, in a pass of its own."""

    node: Node
    """What is kept."""
    made_of: Node
    """What makes the values, with stand-ins for what earlier passes make."""
    stand_in: Source
    """What later passes read, before there is anything to read."""
    plan: Plan
    why: str
    """``checkpoint``, or ``halo`` or ``memory`` where the plan put it in."""

    @property
    def written_bytes(self) -> int:
        """What the pass writes, before compression."""
        return math.prod(self.node.shape) * self.node.dtype.itemsize

    def make(self, before: Mapping[str, Node], lasting: bool) -> tuple[dict[str, Node], Scratch]:
        """Run the pass; return the array by the token of its stand-in, and the folder it lies in.

        Parameters
        ----------
        before : mapping
            What earlier passes made, by the tokens of their stand-ins.
        lasting : bool
            Whether what an interrupted call finished may be taken up.
        """
        token = content_hash("spill", self.node.token) if lasting else None
        scratch = Scratch(self.node.shape, self.node.dtype, token)
        work = Work(substitute((self.made_of,), before), partial(write_block, scratch.writer))
        tasks = run(work, self.plan, name="keeping", skip=scratch.skip, done=lambda _, o: scratch.record(o))
        for _ in tasks:
            pass
        source = scratch.source()
        if isinstance(self.node, Checkpoint):
            self.node.keep(source, scratch)
        return {self.stand_in.token: source}, scratch
