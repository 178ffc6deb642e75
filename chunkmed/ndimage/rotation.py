"""Rotation in a plane, as scipy.ndimage's, lazy, plane by plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.ndimage
from scipy.special import cosdg, sindg

from chunkmed.errors import InputError
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.mapping import Linear
from chunkmed.ndimage.coefficients import interpolation, result_dtype
from chunkmed.ndimage.interpolation import warped
from chunkmed.ndimage.placing import placed

__all__ = ["rotate"]


def rotate(
    input: Any,  # noqa: A002 - scipy's name
    angle: float,
    axes: Any = None,
    reshape: bool = True,
    output: Any = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
    prefilter: bool = True,
) -> Any:
    """Rotate an image in a plane, as :func:`scipy.ndimage.rotate`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are rotated at once, others lazily.
    angle : float
        Degrees, in voxels: of planes whose voxels are no squares angles in mm are other ones.
    axes : tuple of two int or str, optional
        The plane, numbers of axes or names of dims; by default scipy's (1, 0), of a DataArray its first
        two of z, y, x.
    reshape : bool
        Whether the result is as large as the rotated image.
    output, order, mode, cval, prefilter
        As in scipy. ``output`` is a dtype.

    Returns
    -------
    same type as input
        Without coordinates in the plane.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> image = da.from_array(np.array([[1, 2, 3], [4, 5, 6]]), chunks=2)
    >>> ndi.rotate(image, 90, order=1).compute().tolist()
    [[3, 6], [2, 5], [1, 4]]
    """
    if not is_lazy(input):
        plane = (1, 0) if axes is None else axes
        return scipy.ndimage.rotate(input, angle, plane, reshape, output, order, mode, cval, prefilter)
    image = lift(input).one_channel()
    first, second = _plane(image, axes)
    sizes = np.array([image.node.shape[first], image.node.shape[second]])
    c, s = float(cosdg(angle)), float(sindg(angle))
    turn = np.array([[c, s], [-s, c]])
    shape = sizes
    if reshape:
        corners = turn @ np.array([[0, 0, sizes[0], sizes[0]], [0, sizes[1], 0, sizes[1]]])
        shape = (np.ptp(corners, axis=1) + 0.5).astype(int)
    # Centre upon centre.
    offset = (sizes - 1) / 2 - turn @ ((shape - 1) / 2)
    asked = interpolation(order, mode, cval, prefilter, image.node.dtype)
    mapping = Linear(turn, offset, shape.tolist())
    node = warped(image.node, (first, second), mapping, asked, result_dtype(output, image.node.dtype))
    moved = [image.dims[axis] for axis in (first, second)] if image.dims else ()
    return placed(image, node, image.dims, moved=moved)


def _plane(image: Lifted, axes: Any) -> Sequence[int]:
    if len(image.space_axes) < 2:
        raise InputError("input array should be at least 2D", kind="bad-axis")
    if axes is None:
        return image.space_axes[:2]
    if isinstance(axes, str) or len(axes) != 2:
        raise InputError("axes should contain exactly two values", kind="bad-axis", why=f"axes = {axes!r}")
    if not all(isinstance(axis, str) or float(axis).is_integer() for axis in axes):
        raise InputError("axes should contain only integer values", kind="bad-axis", why=f"axes = {axes!r}")
    found = image.axes([axis if isinstance(axis, str) else int(axis) for axis in axes])
    if found[0] == found[1]:
        raise InputError("invalid rotation plane specified", kind="bad-axis", why=f"axes = {axes!r}")
    # From the first axis to the second one, whatever order they are given in: so does scipy.
    return sorted(found)
