"""What computing an image will cost, before it runs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chunkmed.graph.evaluate import walk
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Crop, Node, Opaque, Stencil
from chunkmed.graph.passes import make_program
from chunkmed.graph.pencils import Apart
from chunkmed.graph.plan import Plan
from chunkmed.graph.program import Program
from chunkmed.graph.totals import Total
from chunkmed.units import format_bytes

__all__ = ["Explanation", "Pass", "explain", "passes_of"]

_WHY = {
    "checkpoint": "kept, as cm.checkpoint says",
    "halo": "kept, for its halos would cost more than writing and reading it",
    "numbers": "counted, for what follows needs numbers of all of it",
    "memory": "kept, for all at once does not fit the budget",
}


@dataclass(frozen=True)
class Pass:
    """One reading of the image: all blocks, one task each."""

    steps: tuple[str, ...]
    """One line per node, inputs first."""
    plan: Plan
    halo: tuple[int, ...]
    """Voxels that a block is grown by on each side, per axis."""
    written_bytes: int
    """Before compression; 0 where nothing is written."""
    why: str = ""
    """Why it is a pass of its own."""

    def __str__(self) -> str:
        plan = self.plan
        lines = [f"{i + 1:>3}. {step}" for i, step in enumerate(self.steps)]
        lines += [
            f"blocks     {plan.tasks} of {' x '.join(map(str, plan.block))}, one task each",
            f"halo       {' x '.join(map(str, self.halo))} voxels on each side",
            f"reads      {format_bytes(plan.read_bytes)}, the sources hold {format_bytes(plan.source_bytes)}",
            f"writes     {format_bytes(self.written_bytes)} before compression",
            f"memory     {format_bytes(plan.task_bytes)} a task, peak {format_bytes(plan.peak_bytes)}"
            f" of a budget of {plan.budget}",
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Explanation:
    """Passes and cost of computing an image block by block; ``print`` it."""

    passes: tuple[Pass, ...]
    """In order; the last makes the image, those before arrays that are kept on disk for it."""
    halo: tuple[int, ...]
    """How far a voxel depends on others, per axis, all passes together."""
    opaque: tuple[str, ...]
    """Parts that dask evaluates on its own blocks: right, but slower and not bounded."""

    @property
    def plan(self) -> Plan:
        """Plan of the last pass."""
        return self.passes[-1].plan

    @property
    def steps(self) -> tuple[str, ...]:
        """All steps, in order."""
        return tuple(step for each in self.passes for step in each.steps)

    @property
    def written_bytes(self) -> int:
        """Size of the image, before compression."""
        return self.passes[-1].written_bytes

    @property
    def peak_bytes(self) -> int:
        """Predicted peak memory of the process."""
        return max(each.plan.peak_bytes for each in self.passes)

    def __str__(self) -> str:
        lines = []
        for number, each in enumerate(self.passes, 1):
            if len(self.passes) > 1:
                lines.append(f"pass {number} of {len(self.passes)}" + (f": {each.why}" if each.why else ""))
            lines.append(str(each))
        lines.append(f"passes     {len(self.passes)}, peak memory {format_bytes(self.peak_bytes)}")
        lines.append("bounded    by save, measure, label and numbers; .compute() holds the whole result")
        lines += [f"note       {name} is evaluated by dask on its own blocks" for name in self.opaque]
        return "\n".join(lines)


def explain(image: Any) -> Explanation:
    """Say what computing an image will do and cost.

    Parameters
    ----------
    image : xarray.DataArray or dask.array.Array
        Any lazy image.

    Returns
    -------
    Explanation
        Passes; of each the steps, blocks, halo, bytes read and written, peak memory.

    Examples
    --------
    >>> import dask.array as da, chunkmed as cm, chunkmed.ndimage as ndi
    >>> smooth = ndi.gaussian_filter(da.zeros((64, 64), chunks=16), sigma=1)
    >>> cm.explain(smooth > 1).halo
    (4, 4)
    """
    node = lift(image).node
    opaque = tuple(dict.fromkeys(_opaque(node)))
    written = math.prod(node.shape) * node.dtype.itemsize
    return Explanation(tuple(passes_of(make_program([node]), written)), _halo(node), opaque)


def passes_of(program: Program, written_bytes: int) -> list[Pass]:
    """Return the passes of a program; the last writes so many bytes."""
    early = [_pass((each.made_of,), each.plan, each.written_bytes, _WHY[each.why]) for each in program.early]
    return [*early, _pass(program.nodes, program.plan, written_bytes)]


def _pass(nodes: tuple[Node, ...], plan: Plan, written_bytes: int, why: str = "") -> Pass:
    steps = tuple(item.label for item in walk(nodes))
    halos = [_halo(node) for node in nodes if len(node.shape) == len(plan.shape)]
    halo = tuple(max(axis) for axis in zip(*halos, strict=True))
    return Pass(steps, plan, halo, written_bytes, why)


def _opaque(node: Node) -> Iterator[str]:
    """Yield what dask evaluates, below numbers too."""
    for item in walk([node]):
        if isinstance(item, Total | Apart):
            yield from _opaque(item.parent)
        elif isinstance(item, Opaque):
            yield item.label


def _halo(node: Node) -> tuple[int, ...]:
    """Return the largest sum of depths on a way from the node to a source."""
    total: dict[str, tuple[int, ...]] = {}
    for item in walk([node]):
        own = item.depth if isinstance(item, Stencil) else (0,) * len(item.shape)
        below = [total[i.token] for i in item.inputs if len(total[i.token]) == len(own)]
        if isinstance(item, Crop):
            parent = total[item.inputs[0].token]
            below = [tuple(0 if axis is None else parent[axis] for axis in item.axes)]
        reach = tuple(max(axis) for axis in zip(*below, strict=True)) if below else (0,) * len(own)
        total[item.token] = tuple(a + b for a, b in zip(own, reach, strict=True))
    return total[node.token]
