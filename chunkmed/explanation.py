"""What computing an image will cost, before it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from chunkmed.graph.evaluate import walk
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Crop, Node, Opaque, Stencil
from chunkmed.graph.plan import Plan, make_plan
from chunkmed.units import format_bytes

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True)
class Explanation:
    """Steps and cost of computing an image block by block; ``print`` it."""

    steps: tuple[str, ...]
    """One line per node, inputs first."""
    plan: Plan
    halo: tuple[int, ...]
    """Voxels that a block is grown by on each side, per axis."""
    written_bytes: int
    opaque: tuple[str, ...]
    """Parts that dask evaluates on its own blocks: right, but slower and not bounded."""

    def __str__(self) -> str:
        plan = self.plan
        lines = [f"{i + 1:>3}. {step}" for i, step in enumerate(self.steps)]
        lines += [
            f"blocks     {plan.tasks} of {' x '.join(map(str, plan.block))}, one task each, 1 pass",
            f"halo       {' x '.join(map(str, self.halo))} voxels on each side",
            f"reads      {format_bytes(plan.read_bytes)}, the sources hold {format_bytes(plan.source_bytes)}",
            f"writes     {format_bytes(self.written_bytes)} when saved, before compression",
            f"memory     {format_bytes(plan.task_bytes)} a task, peak {format_bytes(plan.peak_bytes)}"
            f" of a budget of {plan.budget}",
            "bounded    by save, measure, label and numbers; .compute() holds the whole result",
        ]
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
        Steps, blocks, halo, bytes read and written, peak memory.

    Examples
    --------
    >>> import dask.array as da, chunkmed as cm, chunkmed.ndimage as ndi
    >>> smooth = ndi.gaussian_filter(da.zeros((64, 64), chunks=16), sigma=1)
    >>> cm.explain(smooth > 1).halo
    (4, 4)
    """
    node = lift(image).node
    plan = make_plan([node])
    order = walk([node])
    return Explanation(
        steps=tuple(item.label for item in order),
        plan=plan,
        halo=_halo(node),
        written_bytes=math.prod(node.shape) * node.dtype.itemsize,
        opaque=tuple(item.label for item in order if isinstance(item, Opaque)),
    )


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
