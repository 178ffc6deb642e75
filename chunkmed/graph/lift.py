"""Any image -> its node, and a node -> an image of the same type: type in, type out."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from chunkmed.coords import CHANNEL, SPACE, is_channel, time_dim_of
from chunkmed.errors import InputError
from chunkmed.graph.nodes import Node
from chunkmed.graph.trace import node_of
from chunkmed.graph.views import Chunks, view

__all__ = ["Lifted", "is_lazy", "lift"]


def is_lazy(image: Any) -> bool:
    """Whether an argument is an image for the engine; NumPy arrays and lists are scipy's."""
    return isinstance(image, xr.DataArray | da.Array)


@dataclass(frozen=True)
class Lifted:
    """An image as a node, with what is needed to give results the type of the image."""

    node: Node
    image: Any
    chunks: Chunks | None

    @property
    def in_memory(self) -> bool:
        """Whether the values are there already."""
        data = self.image.data if isinstance(self.image, xr.DataArray) else self.image
        return not isinstance(data, da.Array)

    @property
    def dims(self) -> tuple[str, ...] | None:
        """Names of the axes, None for a plain dask array."""
        return tuple(str(d) for d in self.image.dims) if isinstance(self.image, xr.DataArray) else None

    @property
    def time_axis(self) -> int | None:
        """The axis that functions do not act along unless asked to, None where there is none."""
        if self.dims is None:
            return None
        name = time_dim_of(self.image)
        return None if name is None else self.dims.index(name)

    @property
    def space_axes(self) -> tuple[int, ...]:
        """The axes that functions act along: z, y, x by name, all axes without names."""
        if self.dims is None:
            return tuple(range(len(self.node.shape)))
        return tuple(axis for axis, dim in enumerate(self.dims) if dim in SPACE)

    def one_channel(self) -> Lifted:
        """Return this image; refuse one of several channels, whose voxels are no single values."""
        if self.dims is not None and is_channel(self.image, self.dims[-1]):
            raise InputError(
                "a colour image has no objects and no single values",
                kind="colour-image",
                why=f"its last dim, {CHANNEL}, holds {self.node.shape[-1]} channels",
                fix=f"take one of them, image.isel({CHANNEL}=0), or a mean of them",
            )
        return self

    def axes(self, axes: Any) -> tuple[int, ...]:
        """Return axis numbers for what a user gave as ``axes``: None, numbers or names."""
        if axes is None:
            return self.space_axes
        found = tuple(self._axis(item) for item in (axes if np.ndim(axes) else (axes,)))
        if len(set(found)) < len(found):
            raise InputError("axes must be unique", kind="bad-axis", why=f"axes are {axes}")
        return found

    def _axis(self, item: Any) -> int:
        count = len(self.node.shape)
        if isinstance(item, str):
            if self.dims is None or item not in self.dims:
                raise InputError(f"there is no axis {item!r}", kind="bad-axis", why=f"dims are {self.dims}")
            return self.dims.index(item)
        axis = operator.index(item)
        if not -count <= axis < count:
            raise InputError(f"axis {item} is out of range for {count} dimensions", kind="bad-axis")
        return axis % count

    def lower(self, node: Node, *, name: str | None = None) -> Any:
        """Return a node of the same shape as an image of the type that came in."""
        array = view(node, self.chunks if node.shape == self.node.shape else None)
        if not isinstance(self.image, xr.DataArray):
            return array
        data = array if isinstance(self.image.data, da.Array) else array.compute(scheduler="synchronous")
        out = self.image.copy(data=data)
        out.name = name if name is not None else self.image.name
        return out


def lift(image: Any) -> Lifted:
    """Return an image as a node.

    Parameters
    ----------
    image : xarray.DataArray, dask.array.Array or array_like
        DataArrays know which axes are z, y, x; other arrays do not.
    """
    data = image.data if isinstance(image, xr.DataArray) else image
    if isinstance(image, xr.DataArray):
        _check_dims(image)
    if isinstance(data, da.Array):
        if any(np.isnan(n) for n in data.shape):
            raise InputError("an image of unknown shape", kind="unknown-shape", fix="compute_chunk_sizes()")
        return Lifted(node_of(data), image, data.chunks)
    array = np.asarray(data)
    return Lifted(node_of(array), image, tuple((n,) for n in array.shape))


def _check_dims(image: xr.DataArray) -> None:
    others = [dim for dim in image.dims if dim not in SPACE and not is_channel(image, dim)]
    if len(others) > 1:
        raise InputError(
            f"dims {image.dims} are not an image",
            kind="bad-dims",
            why="beside z, y, x and a last one, c, one more dimension is allowed",
            fix='rename them: image.rename(dim_0="z", ...)',
        )
