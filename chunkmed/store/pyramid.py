"""Which coarser levels an image has: nearer to isotropic first, then smaller on all axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chunkmed.grid import Grid

__all__ = ["Level", "levels_of", "owned_levels", "unit_of"]

Factors = tuple[int, int, int]

#: An image whose axes are no longer than this needs no coarser level: a screen shows all of it.
_ENOUGH = 256
#: Halving an axis of fewer voxels would leave no step to tell its spacing from.
_LEAST = 4


@dataclass(frozen=True)
class Level:
    """One resolution of an image."""

    grid: Grid
    factors: Factors
    """Voxels of the level above that one voxel stands for, along z, y, x."""
    number: int = 0
    """0 is the full resolution."""
    thinner: int = 1
    """How many times thinner along z than usual its shards are: blocks are, where memory is small."""

    @property
    def parts(self) -> Factors:
        """How much smaller than usual its shards are.

        Those of every second level lie within one shard of the level above: a block of one shard
        makes both. Memory does not grow with the image then, and the finer level, which is most of
        the work, is not read again.
        """
        z, y, x = self.factors if self.number % 2 else (1, 1, 1)
        return z * self.thinner, y, x

    def factors_of(self, ndim: int) -> tuple[int, ...]:
        """Return the factors of all axes, 1 for those before z."""
        return (*(1,) * (ndim - 3), *self.factors)

    def shrink(self, box: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        """Return the box of this level for a box (..., z, y, x) of the level above."""
        pairs = zip(box, self.factors_of(len(box)), strict=True)
        return tuple((start // f, -(-stop // f)) for (start, stop), f in pairs)


def levels_of(grid: Grid, *, pyramid: bool = True, thinner: int = 1) -> list[Level]:
    """Return all levels of an image, the full resolution first, with shards so many times thinner.

    An axis is halved while its step is below sqrt(2) times the finest one: y and x of thick slices
    come first, until the voxels are nearly cubes. Slices at uneven distances are never averaged.

    Examples
    --------
    >>> ct = Grid(
    ...     z_mm=tuple(range(0, 300, 5)),
    ...     y_mm=tuple(i * 0.7 for i in range(512)),
    ...     x_mm=tuple(i * 0.7 for i in range(512)),
    ... )
    >>> [(level.factors, level.grid.shape) for level in levels_of(ct)]
    [((1, 1, 1), (1, 60, 512, 512)), ((1, 2, 2), (1, 60, 256, 256))]
    """
    levels = [Level(grid, (1, 1, 1), thinner=thinner)]
    while pyramid and (factors := _next_factors(levels[-1].grid)) is not None:
        levels.append(Level(levels[-1].grid.shrunk(factors), factors, len(levels), thinner))
    return levels


def _next_factors(grid: Grid) -> Factors | None:
    free = [n >= _LEAST for n in grid.shape[1:]]
    free[0] &= grid.uniform
    if not any(able and n > _ENOUGH for able, n in zip(free, grid.shape[1:], strict=True)):
        return None
    finest = min(step for step, able in zip(grid.spacing_mm, free, strict=True) if able)
    pairs = zip(grid.spacing_mm, free, strict=True)
    z, y, x = (2 if able and step < math.sqrt(2) * finest else 1 for step, able in pairs)
    # None is halved where steps are no lengths.
    return (z, y, x) if max(z, y, x) > 1 else None


def owned_levels(
    levels: Sequence[Level], shards: Sequence[Sequence[int]], block: Sequence[int]
) -> Iterator[int]:
    """Yield the levels below the first whose whole shards a block of the first one covers.

    Parameters
    ----------
    levels : sequence of Level
        The first is the one that blocks are made of.
    shards : sequence of tuple of int
        Shape of the shards of each level.
    block : sequence of int
        Shape of a block, in voxels of the first level; blocks start at its multiples.
    """
    sides = list(block)
    leading = sides[:-3]
    for number, level in enumerate(levels[1:], start=1):
        factors, above = level.factors_of(len(sides)), (*leading, *levels[number - 1].grid.shape[1:])
        # Axes before z are the same on all levels: a block owns its part of them.
        covers = [side >= n for side, n in zip(sides, above, strict=True)]
        even = [side % (s * f) == 0 for side, s, f in zip(sides, shards[number], factors, strict=True)]
        if not all(c or e for c, e in zip(covers, even, strict=True)):
            return
        sides = [-(-side // f) for side, f in zip(sides, factors, strict=True)]
        yield number


def unit_of(levels: Sequence[Level], shards: Sequence[Sequence[int]], count: int) -> tuple[int, ...]:
    """Return the smallest block of the first level that covers whole shards of ``count`` levels more."""
    unit = list(shards[0])
    scale = [1] * len(unit)
    for level, shard in zip(levels[1 : count + 1], shards[1 : count + 1], strict=True):
        scale = [s * f for s, f in zip(scale, level.factors_of(len(unit)), strict=True)]
        unit = [math.lcm(u, s * f) for u, s, f in zip(unit, shard, scale, strict=True)]
    sides = zip(levels[0].grid.shape[1:], unit[-3:], strict=True)
    return (*unit[:-3], *(min(n, u) for n, u in sides))
