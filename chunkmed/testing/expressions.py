"""Images that are made twice: lazily, and in memory by NumPy and scipy.ndimage.

Each function makes a further image of both. It keeps account of what a part of the lazy one may
read, and of whether the two must agree in every bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import scipy.ndimage
import xarray as xr

import chunkmed.ndimage as ndi
from chunkmed.graph.lift import lift

__all__ = ["Expression", "Region", "choose", "cut", "elementwise", "filled", "filtered", "reduced", "source"]

#: Indices along each axis: a box that may continue on the other side.
Region = tuple[frozenset[int], ...]


@dataclass(frozen=True, eq=False, repr=False)
class Expression:
    """An image that is made twice."""

    text: str
    """How it was made."""
    lazy: Any
    eager: Any
    """The same in memory."""
    reads: Callable[[Region], Mapping[str, Region]]
    """What a region of it may read of each source, by token."""
    exact: bool = True
    """Whether every bit is the same."""
    scale: float = 64.0
    """How large the values are that errors stem from."""
    traits: frozenset[str] = frozenset()
    """``wrap``, ``slice`` and ``reduce`` where such a step is part of it."""

    def __repr__(self) -> str:
        return self.text

    @property
    def values(self) -> Any:
        """What it must hold."""
        return np.asarray(self.eager)

    @property
    def kind(self) -> str:
        """Kind of the dtype."""
        return str(self.values.dtype.kind)


def source(name: str, lazy: Any, eager: Any) -> Expression:
    """Return an image to begin with."""
    token = lift(lazy).node.token
    return Expression(f"{name}:{eager.dtype}", lazy, eager, lambda region: {token: region})


def elementwise(
    text: str, function: Any, *parts: Expression, scale: float = 0.0, exact: bool = True
) -> Expression:
    """Return a function of images, voxel by voxel; ``scale`` is given where values grow."""

    def reads(region: Region) -> Mapping[str, Region]:
        return _union([p.reads(region[len(region) - p.values.ndim :]) for p in parts])

    return Expression(
        text,
        function(*(part.lazy for part in parts)),
        function(*(part.eager for part in parts)),
        reads,
        exact and all(part.exact for part in parts),
        scale or max(part.scale for part in parts),
        frozenset[str]().union(*(part.traits for part in parts)),
    )


def _union(found: Sequence[Mapping[str, Region]]) -> Mapping[str, Region]:
    out: dict[str, Region] = {}
    for mapping in found:
        for token, region in mapping.items():
            known = out.get(token, region)
            out[token] = tuple(a | b for a, b in zip(known, region, strict=True))
    return out


def cut(text: str, first: Expression, axis: int, item: Any, shift: int) -> Expression:
    """Return a part along an axis: a slice that begins at ``shift``, or one index."""

    def taken(image: Any) -> Any:
        return image[(slice(None),) * axis + (item,)]

    def reads(region: Region) -> Mapping[str, Region]:
        moved = [*region] if isinstance(item, slice) else [*region[:axis], frozenset({item}), *region[axis:]]
        moved[axis] = frozenset(i + shift for i in moved[axis])
        return first.reads(tuple(moved))

    traits = first.traits | {"slice"}
    return Expression(text, taken(first.lazy), taken(first.eager), reads, first.exact, first.scale, traits)


def reduced(name: str, first: Expression) -> Expression:
    """Return a reduction over the first axis, NaN left out where images do so."""
    lazy = getattr(first.lazy, name)(axis=0)
    # In double precision: the sum of float32 in NumPy's order is off by more than chunkmed's.
    eager = getattr(first.eager.astype("float64"), name)(axis=0).astype(lazy.dtype)
    frames = frozenset(range(first.values.shape[0]))
    exact = first.exact and (name in ("min", "max") or (name != "std" and first.kind != "f"))
    scale = first.scale * (len(frames) if name == "sum" else 1)
    text, traits = f"{name}({first})", first.traits | {"reduce"}
    return Expression(text, lazy, eager, lambda r: first.reads((frames, *r)), exact, scale, traits)


def filtered(name: str, first: Expression, depth: int, **settings: Any) -> Expression:
    """Return a filter along z, y, x that sees ``depth`` voxels on each side."""
    lead = first.values.ndim - 3
    axes, depths = tuple(range(lead, lead + 3)), (0,) * lead + (depth,) * 3
    named, wraps = isinstance(first.lazy, xr.DataArray), settings.get("mode") == "wrap"
    lazy = getattr(ndi, name)(first.lazy, **settings, axes=None if named else axes)
    shape = first.values.shape
    volumes = first.values.reshape(-1, *shape[-3:])
    values = np.stack([getattr(scipy.ndimage, name)(volume, **settings) for volume in volumes]).reshape(shape)
    eager = first.eager.copy(data=values) if named else values

    def reads(region: Region) -> Mapping[str, Region]:
        spans = zip(region, shape, depths, strict=True)
        return first.reads(tuple(_spread(indices, n, d, wraps) for indices, n, d in spans))

    traits = first.traits | ({"wrap"} if wraps else set())
    text = f"{name}({first}, {', '.join(f'{k}={v}' for k, v in settings.items() if k != 'structure')})"
    return Expression(text, lazy, eager, reads, first.exact, first.scale, traits)


def _spread(indices: frozenset[int], n: int, depth: int, wraps: bool) -> frozenset[int]:
    near = (j for i in indices for j in range(i - depth, i + depth + 1))
    return frozenset(j % n if wraps else min(max(j, 0), n - 1) for j in near)


def choose(mask: Any, first: Any, second: Any) -> Any:
    """Return ``where`` of images, whatever they are."""
    if isinstance(mask, xr.DataArray):
        return xr.where(mask, first, second)
    return (da.where if isinstance(mask, da.Array) else np.where)(mask, first, second)


def filled(image: Any) -> Any:
    """Return an image with 1 for NaN."""
    return image.fillna(1) if isinstance(image, xr.DataArray) else choose(np.isnan(image), 1, image)
