"""Regions around a point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from chunkmed.coords import SPACE, spacing_of
from chunkmed.errors import InputError
from chunkmed.graph.box import Box
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array, Source
from chunkmed.provenance import content_hash
from chunkmed.reused import empty
from chunkmed.tracking import voxel_at
from chunkmed.units import to_voxels

__all__ = ["region"]


def region(image: xr.DataArray, at: Mapping[str, Any], radius: Any) -> xr.DataArray:
    """Return the ellipsoid around a point, at every time point.

    Parameters
    ----------
    image : xarray.DataArray
        Where the region lies.
    at : mapping
        Centre: ``z, y, x`` in mm, ``voxel`` or ``lps``.
    radius : float, str or sequence of three
        Semi-axes along z, y, x in voxels, or in mm as text ("40 mm").

    Returns
    -------
    xarray.DataArray
        bool, lazy.

    Examples
    --------
    >>> import numpy as np, chunkmed as cm
    >>> image = cm.open(np.zeros((1, 1, 3, 5), np.int16), spacing_mm=(5.0, 1.0, 1.0))
    >>> region(image, at={"voxel": (0, 1, 2)}, radius=1.5).values[0, 0].astype(int).tolist()
    [[0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0]]
    """
    axes = [axis for axis in SPACE if axis in image.dims]
    center = voxel_at(image, {key: value for key, value in at.items() if key != "t"})
    given = [radius] * len(axes) if isinstance(radius, str | int | float) else list(radius)
    if len(given) != len(axes):
        raise InputError(f"radius has {len(given)} values for {len(axes)} axes", kind="sequence-length")
    mm = any(isinstance(value, str) for value in given)
    spacing = spacing_of(image) if mm else dict.fromkeys(axes, 1.0)
    parts: dict[str, Array] = {}
    for axis, value in zip(axes, given, strict=True):
        reach = to_voxels(value, spacing[axis])
        if reach <= 0:
            raise InputError(f"radius = {radius}", kind="bad-radius", fix="give a positive length")
        parts[axis] = (_steps_from(image, axis, center[axis], mm, spacing[axis]) / reach) ** 2
    lifted = lift(image)
    reader = _Ellipsoid([parts.get(str(dim), np.zeros(image.sizes[dim])) for dim in image.dims])
    out: xr.DataArray = lifted.lower(Source(reader), name="region")
    out.attrs = {}
    return out


class _Ellipsoid:
    """A mask that is computed from one vector per axis: voxels whose sum is at most 1."""

    fresh = reuses = True

    def __init__(self, parts: Sequence[Array]) -> None:
        self.parts = list(parts)
        self.shape = self.chunks = tuple(len(part) for part in parts)
        self.dtype = np.dtype(bool)
        self.token = content_hash("ellipsoid", [part.tolist() for part in parts])

    def read(self, box: Box) -> Array:
        """Return the mask of a box."""
        cuts = [part[start:stop] for part, (start, stop) in zip(self.parts, box, strict=True)]
        out = empty([len(cut) for cut in cuts], bool)
        *leading, last = cuts
        # Row by row: the sums are eight times the size of the mask.
        for index in np.ndindex(*out.shape[:-1]):
            rest = sum(cut[i] for cut, i in zip(leading, index, strict=True))
            out[index] = last + rest <= 1
        return out


def _steps_from(image: xr.DataArray, axis: str, index: int, mm: bool, spacing_mm: float) -> Array:
    """Return the distance of each plane to one of them, in mean steps."""
    if mm:
        # True positions, so that uneven slices count with their real distance.
        positions = image.coords[axis].values
        return np.asarray(positions - positions[index]) / spacing_mm
    return np.arange(image.sizes[axis]) - index
