"""Which block one task makes, and what that costs: before anything runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from chunkmed.errors import PlanError
from chunkmed.graph.box import Box, box_size, chunk_boxes, regular_chunks
from chunkmed.graph.budget import Budget, base_of, current_budget
from chunkmed.graph.costs import (
    MAX_BLOCK_BYTES,
    NEW_NS_PER_BYTE,
    SINK_NS,
    SMALLEST_BLOCK_VOXELS,
    TASK_NS,
    task_ns,
)
from chunkmed.graph.evaluate import needs, walk
from chunkmed.graph.memory import task_bytes
from chunkmed.graph.nodes import Node, Source, Stencil
from chunkmed.graph.views import natural_block
from chunkmed.units import format_bytes

__all__ = ["Plan", "central_box", "make_plan"]

#: A block that takes more memory must save more time than this.
_AS_GOOD = 1.03
#: Time of the processor that is worth time of the user.
_SPARING = 0.2
#: Units that are only wished for must be no larger: what they save is little.
_WISHED_BYTES = 16 << 20


@dataclass(frozen=True)
class Plan:
    """What running a set of nodes block by block costs."""

    shape: tuple[int, ...]
    block: tuple[int, ...]
    """Shape of the block that one task makes."""
    tasks: int
    """Number of tasks: one per block."""
    task_bytes: int
    """Predicted memory of one task."""
    peak_bytes: int
    """Predicted peak memory of the process, the libraries included."""
    read_bytes: int
    """Bytes read from all sources, halos included."""
    source_bytes: int
    """Bytes of the sources read once."""
    kept_bytes: int
    """Memory of one task that it may keep for arrays: all but what the sink takes."""
    budget: Budget

    @property
    def boxes(self) -> Iterator[Box]:
        """The box of every task, in C order."""
        return (box for _, box in chunk_boxes(regular_chunks(self.shape, self.block)))


def make_plan(
    nodes: Sequence[Node],
    *,
    unit: Sequence[int] | None = None,
    wishes: Sequence[Sequence[int]] = (),
    sink_bytes: float = 0.0,
    sink_fixed_bytes: int = 0,
    budget: Budget | None = None,
) -> Plan:
    """Choose the block of a computation.

    Parameters
    ----------
    nodes : sequence of Node
        What every task evaluates; the first gives the shape.
    unit : sequence of int, optional
        Blocks are multiples of this (the shard of the store written to). By default multiples of
        the chunks of the finest source, or parts of them where the budget is small.
    wishes : sequence of such units, optional
        Larger ones that serve better, the best first: taken where a block fits and leaves every
        worker something to do.
    sink_bytes : float
        What the function that takes the block needs beside it, bytes per voxel.
    sink_fixed_bytes : int
        What it needs whatever the size of the block.
    budget : Budget, optional
        By default the configured one.

    Raises
    ------
    PlanError
        If not even one unit fits; the message names the smallest budget that works.
    """
    budget = budget or current_budget()
    shape = nodes[0].shape
    base = base_of(budget)
    cost, block, workers = _choose(nodes, unit, wishes, (sink_bytes, sink_fixed_bytes), base, budget)
    budget = replace(budget, workers=workers)
    tasks = _tasks(shape, block)
    sources = [node for node in walk(nodes) if isinstance(node, Source)]
    return Plan(
        shape=shape,
        block=block,
        tasks=tasks,
        task_bytes=cost,
        peak_bytes=base + cost * min(budget.threads, tasks),
        read_bytes=_read_bytes(nodes, block),
        source_bytes=sum(math.prod(node.shape) * node.dtype.itemsize for node in sources),
        kept_bytes=max(0, cost - int(box_size(central_box(shape, block)) * sink_bytes) - sink_fixed_bytes),
        budget=budget,
    )


def _choose(
    nodes: Sequence[Node],
    unit: Sequence[int] | None,
    wishes: Sequence[Sequence[int]],
    sink: tuple[float, int],
    base: int,
    budget: Budget,
) -> tuple[int, tuple[int, ...], int]:
    """Return cost and shape of the block, and how many workers fit: fewer rather than none."""
    shape, smallest = nodes[0].shape, 0
    itemsize, axes = nodes[0].dtype.itemsize, _axes(nodes)
    units = [(tuple(size), True) for size in wishes if math.prod(size) * itemsize <= _WISHED_BYTES]
    units += [(size, False) for size in _units(nodes, unit)]
    # Where tasks run in other processes, how many do at a time is not ours to say.
    fewest = 1 if budget.processes == 1 and budget.base is None else budget.workers
    for workers in range(budget.workers, fewest - 1, -1):
        limit = (budget.memory - base) / -(-workers // budget.processes)
        for size, wished in units:
            blocks = _candidates(shape, size, itemsize, axes)
            options = [(task_bytes(nodes, central_box(shape, b), *sink), b) for b in blocks]
            fitting = [option for option in options if option[0] <= limit]
            best = _best(nodes, fitting, workers) if fitting else None
            if best is not None and (not wished or _tasks(shape, best[1]) >= 2 * workers):
                return *best, workers
            smallest = min(option[0] for option in options)
    raise _too_small(smallest, base, budget)


def _tasks(shape: Sequence[int], block: Sequence[int]) -> int:
    return math.prod(-(-n // b) for n, b in zip(shape, block, strict=True))


def _units(nodes: Sequence[Node], given: Sequence[int] | None) -> Iterator[tuple[int, ...]]:
    """Yield what blocks may be multiples of, the best first.

    A sink that writes must own whole shards; others read parts of a chunk where they must.
    """
    wanted = given or min((natural_block(node) for node in nodes), key=math.prod)
    unit = [max(1, min(n, u)) for n, u in zip(nodes[0].shape, wanted, strict=True)]
    yield tuple(unit)
    while given is None and math.prod(unit) > SMALLEST_BLOCK_VOXELS:
        longest = max(range(len(unit)), key=lambda axis: unit[axis])
        unit[longest] = -(-unit[longest] // 2)
        yield tuple(unit)


def _axes(nodes: Sequence[Node]) -> set[int]:
    """Return the axes along which larger blocks pay: space, and time where filters reach along it."""
    ndim = len(nodes[0].shape)
    stencils = [node for node in walk(nodes) if isinstance(node, Stencil) and len(node.shape) == ndim]
    return {*range(max(0, ndim - 3), ndim), *(a for s in stencils for a, d in enumerate(s.depth) if d)}


def _candidates(
    shape: Sequence[int], unit: Sequence[int], itemsize: int, axes: Collection[int]
) -> list[tuple[int, ...]]:
    """Return blocks that are multiples of the unit along some axes, the unit itself first."""
    pairs = enumerate(zip(shape, unit, strict=True))
    steps = [_multiples(n, u) if axis in axes else [u] for axis, (n, u) in pairs]
    blocks = [tuple(block) for block in itertools.product(*steps)]
    small = [block for block in blocks if math.prod(block) * itemsize <= MAX_BLOCK_BYTES]
    return small or blocks[:1]


def _multiples(n: int, unit: int) -> list[int]:
    out, size = [unit], unit * 2
    while out[-1] < n:
        out.append(min(size, -(-n // unit) * unit))
        size *= 2
    return out


def central_box(shape: Sequence[int], block: Sequence[int]) -> Box:
    """Return a block in the middle of the image, where the halo is whole."""
    spans = []
    for n, b in zip(shape, block, strict=True):
        start = (-(-n // b) // 2) * b
        start = start if start + b <= n else 0
        spans.append((start, min(n, start + b)))
    return tuple(spans)


def _best(
    nodes: Sequence[Node], options: Sequence[tuple[int, tuple[int, ...]]], workers: int
) -> tuple[int, tuple[int, ...]]:
    """Return the option that is done first; of those that are nearly as good the smallest."""
    shape = nodes[0].shape

    def time_ns(nbytes: int, block: tuple[int, ...]) -> float:
        box = central_box(shape, block)
        one = TASK_NS + box_size(box) * SINK_NS + task_ns(nodes, box)
        # Blocks at the far border are smaller: it is voxels that count.
        every = max(1.0, math.prod(shape) / max(1, box_size(box))) * one
        # In the last round some workers have nothing to do.
        tasks = max(1, _tasks(shape, block))
        idle = -(-tasks // workers) * workers / tasks
        # Memory is new once, then tasks use it again. Of two that are done at the same time, the one that
        # leaves more to others.
        return nbytes * NEW_NS_PER_BYTE + every * idle / workers + every * _SPARING

    times = [time_ns(*option) for option in options]
    good = [option for option, time in zip(options, times, strict=True) if time <= min(times) * _AS_GOOD]
    return min(good)


def _read_bytes(nodes: Sequence[Node], block: Sequence[int]) -> int:
    """Return the bytes that all tasks read, from the halo of a central block."""
    shape, order = nodes[0].shape, walk(nodes)
    box = central_box(shape, block)
    need = needs([(node, box) for node in nodes], order, reach=True)
    sources = [
        (node, part) for node in order if isinstance(node, Source) for part in need.get(node.token, ())
    ]
    return _tasks(shape, block) * sum(box_size(part) * node.dtype.itemsize for node, part in sources)


def _too_small(cost: int, base: int, budget: Budget) -> PlanError:
    smallest = base + cost
    return PlanError(
        f"the work does not fit {budget}",
        kind="budget-too-small",
        why=f"one block takes {format_bytes(cost)} beside {format_bytes(base)} of libraries",
        fix=f'give memory="{math.ceil(smallest * 1.05 / 1e6)} MB" with workers=1, or more',
    )
