"""How far a voxel lies from the rim of a mask, and on which side of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from chunkmed.graph.lift import lift
from chunkmed.ndimage.nearest import axes_of, euclidean, lowered

__all__ = ["signed_distance"]


def signed_distance(image: xr.DataArray, sampling: Any = None) -> xr.DataArray:
    """Return the distance to the nearest voxel on the other side of a mask's rim: negative inside.

    Outside it is the exact Euclidean distance to the nearest voxel of the mask, inside that to the nearest
    voxel of the background, with a minus: between voxel centres, so that no voxel has 0. Out of core, as
    :func:`chunkmed.ndimage.distance_transform_edt`.

    Parameters
    ----------
    image : xarray.DataArray
        A mask (0 is background), dims (t, z, y, x) or fewer; along z, y, x at every time point.
    sampling : float or sequence of float, optional
        Distance of neighbours along each axis. By default millimetres from the coordinates of the image,
        slices at uneven distances where they lie; voxels where the image has no coordinates.

    Returns
    -------
    xarray.DataArray
        float64, lazy. ``inf`` at time points without any mask, ``-inf`` without any background.

    Raises
    ------
    InputError
        ``sheared`` where the axes of the grid are not at right angles, ``bad-sampling``, ``bad-axis``.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> mask = xr.DataArray(np.array([0, 0, 1, 1, 1, 1, 0]) > 0, dims="x")
    >>> signed_distance(mask, sampling=0.5).values.tolist()
    [1.0, 0.5, -0.5, -1.0, -1.0, -0.5, 0.5]
    """
    mask = image.astype(bool)
    outside, inside = _distances(~mask, sampling), _distances(mask, sampling)
    # One of both is 0 everywhere.
    out: xr.DataArray = outside - inside
    return out


def _distances(mask: xr.DataArray, sampling: Any) -> xr.DataArray:
    """Return distances to the nearest background, inf where there is none."""
    lifted = lift(mask)
    axes = axes_of(lifted, sampling)
    out: xr.DataArray = lowered(lifted, euclidean(lifted, axes, np.inf), axes)
    return out
