"""Which values a function looks at: those of a mask, without padding, of all or of each time point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import SPACE, check_grid
from chunkmed.errors import InputError
from chunkmed.graph.box import Box
from chunkmed.graph.groups import Groups
from chunkmed.graph.lift import is_lazy, lift
from chunkmed.graph.nodes import Array, Node
from chunkmed.graph.passes import make_program
from chunkmed.graph.tally import key_table, value_counts
from chunkmed.padding import counted

__all__ = ["Chosen", "choose", "like_input", "named"]

#: Dtypes of at most so many bytes are counted value by value.
_COUNTED_BYTES = 2


def named(image: Any) -> xr.DataArray:
    """Return any array as an image: the last axes of plain ones are z, y, x."""
    if isinstance(image, xr.DataArray):
        return image
    data = image if is_lazy(image) else np.asarray(image)
    if data.ndim > 4:
        raise InputError(f"{data.ndim} axes are not an image", kind="bad-dims", fix="give a DataArray")
    return xr.DataArray(data, dims=("t", *SPACE)[4 - data.ndim :])


def like_input(result: xr.DataArray, given: Any) -> Any:
    """Return an image as the type that came in."""
    return result if isinstance(given, xr.DataArray) else result.data


@dataclass(frozen=True)
class Chosen:
    """Values that are looked at, and whether those of each time point are looked at apart."""

    image: xr.DataArray
    nodes: tuple[Node, ...]
    groups: Groups

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return self.nodes[0].dtype

    @property
    def is_small(self) -> bool:
        """Whether every value is counted, in one pass."""
        return self.dtype.itemsize <= _COUNTED_BYTES

    def table(self, name: str) -> tuple[Array, Array]:
        """Return all values that occur, ascending, and how often each does, shape (times, values)."""
        values = key_table(self.dtype).every_value()
        counts = value_counts(self.nodes, self.groups, name=name)
        if values.dtype.kind == "b":
            # Masks may hold other bytes than 0 and 1.
            counts = np.stack([counts[:, 0], counts[:, 1:].sum(axis=1)], axis=1)
            values = np.arange(2, dtype=np.uint8)
        there = np.flatnonzero(counts.any(axis=0) & ~np.isnan(values))
        there = there[np.argsort(values[there], kind="stable")]
        return values[there], counts[:, there]

    def ends(self, name: str) -> tuple[Array, Array]:
        """Return lowest and highest value at each time point, in a pass; NaN where there are none."""
        found: list[list[Any]] = [[] for _ in range(self.groups.times)]
        program = make_program(self.nodes, sink_bytes=self.groups.bytes_per_voxel + 1)
        for _, result in program.run(_Ends(self.groups), name=name):
            for t, *pair in result:
                found[t] += pair
        low = [min(each) if each else np.nan for each in found]
        high = [max(each) if each else np.nan for each in found]
        return np.array(low, object), np.array(high, object)

    def labelled(self, values: Array, *more: str) -> Any:
        """Return a number or array per time point, shape (times, ...), as what the caller sees."""
        if self.groups.time is None:
            return values[0]
        dim = self.image.dims[self.groups.time]
        coords = {dim: self.image.coords[dim].variable} if dim in self.image.coords else {}
        return xr.DataArray(values, dims=(dim, *more), coords=coords)


@dataclass(frozen=True)
class _Ends:
    """Task: lowest and highest value, a pair per time point that has values."""

    groups: Groups

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, Any, Any]]:
        out = []
        for frame in self.groups.frames(box, arrays):
            values = frame.values if frame.groups is None else frame.values[frame.groups == 0]
            if values.dtype.kind == "f":
                values = values[~np.isnan(values)]
            if values.size:
                out.append((frame.time, values.min().item(), values.max().item()))
        return out


def choose(image: xr.DataArray, mask: Any, padding: str, per: str) -> Chosen:
    """Return the values that a function looks at.

    Parameters
    ----------
    image : xarray.DataArray
        Any dims.
    mask : image, optional
        Voxels to look at; without time for all time points.
    padding : {"exclude", "include"}
        Whether voxels outside the scanner's field of view are looked at.
    per : {"image", "time"}
        Whether time points are looked at together or apart.

    Raises
    ------
    InputError
        ``bad-per``, ``bad-padding``, ``shape-mismatch``, ``other-grid``, ``bad-dtype``.
    """
    if per not in ("image", "time"):
        raise InputError(f"per = {per!r}", kind="bad-per", fix='give per="image" or per="time"')
    lifted = lift(image)
    key_table(lifted.node.dtype)
    where = None if mask is None else named(mask)
    if where is not None:
        check_grid(image, where, "the mask")
    chosen = counted(image, where, padding)
    nodes: tuple[Node, ...] = (lifted.node,)
    if chosen is not None:
        other = lift(chosen.astype(bool).broadcast_like(image).transpose(*image.dims)).node
        if other.shape != lifted.node.shape:
            raise InputError("image and mask differ in shape", kind="shape-mismatch")
        nodes = (lifted.node, other)
    time = lifted.time_axis if per == "time" else None
    if per == "time" and time is None:
        raise InputError(
            "this image has no time points", kind="no-time", why=f"dims are {image.dims}", fix='per="image"'
        )
    return Chosen(image, nodes, Groups(lifted.node.shape, time, chosen is not None))


def one_mask(where: Any, mask: Any) -> Any:
    """Return the mask that was given under either of its names."""
    if where is not None and mask is not None:
        raise InputError("where and mask are two names of one argument", kind="two-masks", fix="give mask=")
    return where if mask is None else mask
