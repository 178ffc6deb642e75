"""Where each value of a label image is, as scipy.ndimage.value_indices."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.errors import InputError, PlanError
from chunkmed.graph.box import Box
from chunkmed.graph.budget import base_of, current_budget
from chunkmed.graph.groups import Groups
from chunkmed.graph.lift import is_lazy, lift
from chunkmed.graph.nodes import Array
from chunkmed.graph.passes import make_program
from chunkmed.units import format_bytes

__all__ = ["value_indices"]

Indices = dict[Any, tuple[Array, ...]]
#: Bytes of a voxel while they are put in order: value, position, order.
_ORDERING = 3 * 8
#: Part of the memory beside the libraries that the result may take, and bytes that it always may.
_SHARE = 0.9
_LEAST_ROOM = 8 << 20


def value_indices(arr: Any, *, ignore_value: int | None = None) -> Any:
    """Find the indices of each distinct value, as :func:`scipy.ndimage.value_indices`.

    The result holds an index for every voxel that is not ignored: of large images, ignore the background.

    Parameters
    ----------
    arr : image of integers
        Any number of axes.
    ignore_value : int, optional
        Value whose voxels are left out.

    Returns
    -------
    dict of tuple of ndarray, or list of such dicts
        Indices of each value along each axis, in C order; a dict per time point for images with a time
        dimension.

    Raises
    ------
    InputError
        If values are not integers.
    PlanError
        ``result-too-large`` if the indices do not fit the memory.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> found = ndi.value_indices(da.from_array(np.array([0, 3, 3]), chunks=2), ignore_value=0)
    >>> {int(value): places[0].tolist() for value, places in found.items()}
    {3: [1, 2]}
    """
    if not is_lazy(arr):
        return scipy.ndimage.value_indices(arr, ignore_value=ignore_value)
    image = lift(arr).one_channel()
    if image.node.dtype.kind not in "iu":
        raise InputError("Parameter 'arr' must be an integer array", kind="not-labels")
    ignored = None if ignore_value is None else image.node.dtype.type(ignore_value)
    groups = Groups(image.node.shape, image.time_axis)
    program = make_program([image.node], sink_bytes=groups.bytes_per_voxel + _ORDERING)
    held = _Held(len(groups.space))
    parts: list[list[tuple[Array, Array]]] = [[] for _ in range(groups.times)]
    for _, result in program.run(_Find(groups, ignored), name="finding values"):
        for t, values, places in result:
            held.add(len(values))
            parts[t].append((values, places))
    found = [_indices(each, groups.volume, image.node.dtype) for each in parts]
    return found if groups.time is not None else found[0]


class _Held:
    """What the result takes so far; refuses to go on where it does not fit."""

    def __init__(self, axes: int) -> None:
        budget = current_budget()
        self.room = max(_LEAST_ROOM, int((budget.memory - base_of(budget)) * _SHARE))
        self.voxels, self.each = 0, 8 * axes + _ORDERING

    def add(self, voxels: int) -> None:
        self.voxels += voxels
        if self.voxels * self.each > self.room:
            raise PlanError(
                "the indices of all voxels do not fit the memory",
                kind="result-too-large",
                why=f"{self.voxels} voxels or more at {self.each} bytes, room for {format_bytes(self.room)}",
                fix="give ignore_value=0, or take find_objects and look into the boxes",
            )


@dataclass(frozen=True)
class _Find:
    """Task: values and positions of one block, a part per time point."""

    groups: Groups
    ignored: Any

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, Array, Array]]:
        out = []
        for frame in self.groups.frames(box, arrays):
            if self.ignored is None:
                places = np.arange(frame.values.size)
            else:
                places = np.flatnonzero(frame.values != self.ignored)
            out.append((frame.time, frame.values[places], self.groups.positions(box, places)))
        return out


def _indices(parts: list[tuple[Array, Array]], volume: tuple[int, ...], dtype: np.dtype[Any]) -> Indices:
    if not parts:
        return {}
    values, places = (np.concatenate(column) for column in zip(*parts, strict=True))
    parts.clear()
    order = np.lexsort((places, values))
    values, places = values[order], places[order]
    new = np.ones(len(values), bool)
    new[1:] = values[1:] != values[:-1]
    starts = np.flatnonzero(new).tolist()
    return {
        dtype.type(values[first]): tuple(np.unravel_index(places[first:last], volume))
        for first, last in itertools.pairwise([*starts, len(values)])
    }
