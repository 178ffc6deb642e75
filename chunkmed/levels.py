"""In which passes an image and its coarser levels are written: planned before anything is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from chunkmed import provenance, store
from chunkmed.errors import PlanError
from chunkmed.graph.costs import encoding_bytes
from chunkmed.graph.nodes import Node, Source
from chunkmed.graph.passes import make_program
from chunkmed.graph.program import Program
from chunkmed.graph.shrunk import Shrink, Shrunk
from chunkmed.graph.standins import Imagined
from chunkmed.grid import Grid
from chunkmed.store import layout_of

__all__ = ["LevelPass", "LevelPlan", "plan_levels"]

#: Gives what reads a level, by its number.
Above = Callable[[int], Node]

#: How many times thinner than usual shards may be, where thicker ones do not fit the budget.
_THINNER = (1, 2, 4, 8, 16)
#: Coarser levels of a block, in bytes per byte of the block.
_COARSER_PER_BYTE = 0.4


@dataclass(frozen=True)
class LevelPass:
    """One reading of an image: the level it makes, and those that its blocks hold whole."""

    program: Program
    first: int
    """Number of the finest level it makes."""
    count: int
    """How many levels it makes."""


@dataclass(frozen=True)
class LevelPlan:
    """The levels of an image, and the passes that write them."""

    levels: tuple[store.Level, ...]
    passes: tuple[LevelPass, ...]

    def with_sources(self, above: Above, shrink: Shrink) -> Iterator[LevelPass]:
        """Yield the passes, those for coarser levels reading what the ones before wrote.

        Parameters
        ----------
        above : function
            Gives what reads a level, by its number.
        shrink : Shrink
            How voxels become one of a coarser level.
        """
        first = self.passes[0]
        yield first
        (node,) = first.program.nodes
        yield from _passes(node, self.levels, above, shrink, done=first.count)


def plan_levels(node: Node, grid: Grid, *, pyramid: bool = True) -> LevelPlan:
    """Return the passes that writing an image takes, with the thickest shards that fit the budget.

    Parameters
    ----------
    node : Node
        Shape (t, z, y, x) or (t, c, z, y, x).
    grid : Grid
        Where its voxels lie.
    pyramid : bool
        Whether coarser levels are written too.

    Raises
    ------
    PlanError
        If not even thin shards fit.
    """
    for thinner in _THINNER:
        levels = tuple(store.levels_of(grid, pyramid=pyramid, thinner=thinner))
        try:
            passes = _passes(node, levels, _imagined(node, levels), Shrink(False, None))
            return LevelPlan(levels, tuple(passes))
        except PlanError:
            if thinner == _THINNER[-1]:
                raise
    raise AssertionError("the last one raised")


def _shards(levels: Sequence[store.Level], shape: Sequence[int]) -> list[tuple[int, ...]]:
    shapes = ((*shape[:-3], *level.grid.shape[1:]) for level in levels)
    return [layout_of(each, level.parts).shard for each, level in zip(shapes, levels, strict=True)]


def _imagined(node: Node, levels: Sequence[store.Level]) -> Above:
    """Return what stands for reading a level, before it is written."""

    def above(level: int) -> Node:
        token = provenance.content_hash("level", node.token, level)
        shape = (*node.shape[:-3], *levels[level].grid.shape[1:])
        return Source(Imagined(shape, node.dtype, token, f"read level {level}"))

    return above


def _passes(
    node: Node, levels: Sequence[store.Level], above: Above, shrink: Shrink, done: int = 0
) -> Iterator[LevelPass]:
    """Yield as few passes as blocks allow: a level that one does not own is made from the last it does."""
    shards = _shards(levels, node.shape)
    while done < len(levels):
        if done:
            node = Shrunk(above(done - 1), levels[done].factors, shrink)
        program, count = _pass(node, levels[done:], shards[done:])
        yield LevelPass(program, done, count)
        done += count


def _pass(node: Node, levels: Sequence[store.Level], shards: Sequence[Sequence[int]]) -> tuple[Program, int]:
    units = [store.unit_of(levels, shards, count) for count in range(len(levels) - 1, -1, -1)]
    itemsize = node.dtype.itemsize
    program = make_program(
        [node],
        unit=units[-1],
        wishes=units[:-1],
        sink_bytes=_COARSER_PER_BYTE * itemsize if len(levels) > 1 else 0.0,
        sink_fixed_bytes=encoding_bytes(shards[0], itemsize),
    )
    return program, 1 + len(list(store.owned_levels(levels, shards, program.plan.block)))
