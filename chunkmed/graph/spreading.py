"""Reach voxels from others through a mask, on images of any size, exactly.

Where neighbours are mutual and next to each other it is a question of connected components: one pass. A
structure that reaches further, or only one way, spreads from block to block, a pass for every time that
a block's neighbours had something new for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chunkmed.graph.box import Box, sides
from chunkmed.graph.checkpoint import Checkpoint
from chunkmed.graph.components import Rim, at_rim, find_components, rim_of
from chunkmed.graph.constant import Constant
from chunkmed.graph.costs import KERNEL_NS, encoding_bytes
from chunkmed.graph.nodes import Array, Call, Node, Pointwise, Source, Stencil
from chunkmed.graph.passes import make_program
from chunkmed.graph.scratch import Scratch
from chunkmed.kernels import spreading as kernels
from chunkmed.store import ArrayWriter

__all__ = ["reached"]

#: Bytes per voxel that the stack of the flood takes.
_WORKSPACE = 9.0


def reached(
    seeds: Node | None, within: Node | None, shape: tuple[int, ...], offsets: Array, border: bool
) -> Node:
    """Return what is reached (bool): seeds, and voxels that a way of neighbours leads from to one.

    Parameters
    ----------
    seeds : Node, optional
        Non-zero voxels are reached from the start, inside the mask or not.
    within : Node, optional
        Non-zero voxels may be reached; all where there is none.
    shape : tuple of int
        Sizes of the axes.
    offsets : ndarray of int, shape (n, ndim)
        A voxel is reached when its neighbour at one of these is.
    border : bool
        Whether all that lies outside of the image is reached.
    """
    if 0 in shape or not shape:
        # Nothing has neighbours.
        found: Node = Constant(shape, np.asarray(False))
    elif _is_mutual(offsets):
        found = _by_components(seeds, within, shape, offsets, rim_of(offsets, border))
    else:
        return _from_block_to_block(seeds, within, shape, offsets, rim_of(offsets, border))
    return found if seeds is None else Pointwise(Call(np.logical_or), [found, seeds], shape, bool)


def _is_mutual(offsets: Array) -> bool:
    """Whether neighbours lie next to each other, and each is a neighbour of its neighbours."""
    there = {tuple(row) for row in offsets.tolist()}
    return bool(np.all(np.abs(offsets) <= 1)) and there == {tuple(row) for row in (-offsets).tolist()}


def _by_components(
    seeds: Node | None, within: Node | None, shape: tuple[int, ...], offsets: Array, rim: Rim
) -> Node:
    structure = np.zeros((3,) * len(shape), bool)
    structure[tuple(offsets.T + 1)] = structure[(1,) * len(shape)] = True
    mask = Constant(shape, np.asarray(True)) if within is None else within
    # A seed outside of the mask reaches the components next to it.
    marks = None if seeds is None else _one_step(seeds, offsets)
    found = find_components(mask, structure, marks=marks, rim=rim, name="spreading")
    return found.look_up(found.marked, "reached")


def _depth(offsets: Array) -> list[int]:
    return [int(d) for d in np.abs(offsets).max(axis=0, initial=0)]


def _one_step(seeds: Node, offsets: Array) -> Node:
    call = Call(kernels.reach, {"offsets": offsets})
    return Stencil(call, [seeds], _depth(offsets), bool, cost_ns=KERNEL_NS["iteration"] + 0.5)


@dataclass(frozen=True)
class _Start:
    """Task: write the state of a block before anything spreads."""

    writer: ArrayWriter
    rim: Rim
    shape: tuple[int, ...]
    seeded: bool
    masked: bool

    def __call__(self, box: Box, arrays: Sequence[Array]) -> bool:
        rest = iter(arrays)
        seeds = next(rest) != 0 if self.seeded else np.zeros(sides(box), bool)
        within = next(rest) != 0 if self.masked else np.ones(sides(box), bool)
        start = np.array(np.broadcast_to(seeds, sides(box)))
        for part in at_rim(box, self.shape, self.rim):
            start[part] |= within[part]
        self.writer.write(box, start * kernels.REACHED | within * kernels.MAY_CHANGE)
        return bool(start.any())


@dataclass(frozen=True)
class _Spread:
    """Task: write the next state of a block; say whether it changed."""

    writer: ArrayWriter

    def __call__(self, box: Box, arrays: Sequence[Array]) -> bool:
        after, before = arrays
        self.writer.write(box, after)
        return not np.array_equal(after, before)


def _from_block_to_block(
    seeds: Node | None, within: Node | None, shape: tuple[int, ...], offsets: Array, rim: Rim
) -> Node:
    scratch = Scratch(shape, np.uint8)
    start = _Start(scratch.writer, rim, shape, seeds is not None, within is not None)
    nodes = [node for node in (seeds, within) if node is not None]
    changes = _pass(nodes or [Constant(shape, np.asarray(True))], scratch, start, shape)
    call = Call(kernels.spread, {"offsets": offsets})
    while changes:
        source, following = scratch.source(), Scratch(shape, np.uint8)
        after = Stencil(call, [source], _depth(offsets), np.uint8, workspace=_WORKSPACE)
        changes = _pass([after, source], following, _Spread(following.writer), shape)
        scratch = following
    return _state(scratch)


def _pass(nodes: Sequence[Node], scratch: Scratch, task: _Start | _Spread, shape: Sequence[int]) -> bool:
    shard = scratch.layout.shard
    program = make_program(
        nodes,
        unit=tuple(min(n, s) for n, s in zip(shape, shard, strict=True)),
        sink_bytes=4,
        sink_fixed_bytes=encoding_bytes(shard, 1),
    )
    # All of it, whatever the first block says.
    return bool(sum(changed for _, changed in program.run(task, name="spreading")))


def _state(scratch: Scratch) -> Node:
    """Return what is reached; the folder lives as long as the node."""
    source: Source = scratch.source()
    kept = Checkpoint(source)
    kept.keep(source, scratch)
    reached = Pointwise(Call(np.bitwise_and), [kept, kernels.REACHED], kept.shape, np.uint8)
    return Pointwise(Call(np.not_equal), [reached, np.uint8(0)], kept.shape, bool)
