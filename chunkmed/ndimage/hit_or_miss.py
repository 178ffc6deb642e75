"""Where a pattern of object and background lies: scipy.ndimage's hit-or-miss transform, lazy."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.errors import refusal
from chunkmed.graph.costs import KERNEL_NS
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.nodes import Call, Node, Pointwise, Stencil
from chunkmed.kernels import morphology as kernels
from chunkmed.ndimage.arguments import check_origins, output_dtype
from chunkmed.ndimage.windows import origins_in_order, origins_of

__all__ = ["binary_hit_or_miss"]


def binary_hit_or_miss(
    input: Any,  # noqa: A002
    structure1: Any = None,
    structure2: Any = None,
    output: Any = None,
    origin1: Any = 0,
    origin2: Any = None,
    *,
    axes: Any = None,
) -> Any:
    """Find a pattern in a mask, as :func:`scipy.ndimage.binary_hit_or_miss`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        Voxels that are not zero are object. A DataArray is searched along z, y, x at every time point.
    structure1 : array_like, optional
        What must be object: a voxel and its faces by default. What is outside of the image is not.
    structure2 : array_like, optional
        What must be background: all that is not in ``structure1`` by default. What is outside is.
    output : dtype, optional
        bool by default; scipy gives bool whatever dtype is asked for.
    origin1, origin2 : int or sequence of int
        Where the voxel lies in the structures; the same in both by default.
    axes : tuple of int or str, optional
        Axes to search along, numbers or names of dims.

    Returns
    -------
    same type as input
        True where the pattern is.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> mask = da.from_array(np.array([0, 1, 1, 1, 0, 1]) > 0, chunks=2)
    >>> ndi.binary_hit_or_miss(mask, [0, 1, 1], [1, 0, 0]).compute().astype(int).tolist()
    [0, 1, 0, 0, 0, 0]
    """
    if not is_lazy(input):
        given = (structure1, structure2, output, origin1, origin2)
        return scipy.ndimage.binary_hit_or_miss(input, *given, axes=axes)
    image = lift(input)
    along = image.axes(axes)
    if structure1 is None:
        structure1 = scipy.ndimage.generate_binary_structure(len(along), 1)
    object_ = np.asarray(structure1, dtype=bool)
    rest = ~object_ if structure2 is None else np.asarray(structure2, dtype=bool)
    first = origins_of(origin1, along)
    second = first if origin2 is None else origins_of(origin2, along)
    background = Pointwise(Call(np.equal), [image.node, 0], image.node.shape, bool)
    hit = _eroded(image, image.node, object_, first, along, 0)
    miss = _eroded(image, background, rest, second, along, 1)
    dtype = output_dtype(output, bool)
    return image.lower(Pointwise(Call(np.logical_and), [hit, miss], image.node.shape, dtype))


def _eroded(
    image: Lifted, node: Node, structure: Any, origins: list[int], along: tuple[int, ...], border: int
) -> Node:
    """Return where all of a structure is in a mask."""
    if structure.ndim != len(along):
        what = "structure and input must have same dimensionality"
        raise refusal(RuntimeError, what, kind="sequence-length")
    if structure.size < 1:
        raise refusal(RuntimeError, "structure must not be empty", kind="bad-size")
    shifts = origins_in_order(origins, along, len(image.node.shape))
    check_origins(shifts, structure.shape)
    order, depth = sorted(along), [0] * len(image.node.shape)
    for axis, n, shift in zip(order, structure.shape, shifts, strict=True):
        depth[axis] = n // 2 + abs(shift)
    settings = {"structure": structure, "origin": list(shifts), "axes": tuple(order), "border_value": border}
    cost = KERNEL_NS["iteration"] * 2
    return Stencil(Call(kernels.erosion, settings), [node], depth, bool, cost_ns=cost)
