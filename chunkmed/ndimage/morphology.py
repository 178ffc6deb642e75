"""Binary morphology: scipy.ndimage's, lazy, all iterations in one stencil, per time point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.ndimage
import xarray as xr

from chunkmed.coords import check_grid
from chunkmed.graph.costs import KERNEL_NS
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.nodes import Call, Node, Stencil
from chunkmed.kernels import morphology as kernels
from chunkmed.ndimage.arguments import check_origins, output_dtype, per_axis
from chunkmed.ndimage.stable import Neighbours, until_stable
from chunkmed.ndimage.windows import origins_in_order

__all__ = ["binary_closing", "binary_dilation", "binary_erosion", "binary_opening", "checked_structure"]

#: Bytes per voxel beside input and output: two buffers of bits, rows filled up to whole words.
_WORKSPACE = 1.0
#: Dilations (True) and erosions of each kernel.
_GROWS = {
    kernels.erosion: (False,),
    kernels.dilation: (True,),
    kernels.opening: (False, True),
    kernels.closing: (True, False),
}
#: Voxels to bits and back, per voxel.
_PACKING_NS = 0.5


def binary_erosion(
    input: Any,  # noqa: A002
    structure: Any = None,
    iterations: int = 1,
    mask: Any = None,
    output: Any = None,
    border_value: int = 0,
    origin: Any = 0,
    brute_force: bool = False,
    *,
    axes: Any = None,
) -> Any:
    """Binary erosion, as :func:`scipy.ndimage.binary_erosion`.

    A DataArray is eroded along z, y, x at every time point. With ``iterations`` below 1 until nothing
    changes: that takes a pass over the image at once, and the result is lazy as always.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> mask = da.from_array(np.array([1, 1, 1, 0, 1, 1]) > 0, chunks=2)
    >>> ndi.binary_erosion(mask, border_value=1).compute().astype(int).tolist()
    [1, 1, 0, 0, 0, 1]
    """
    given = (structure, iterations, mask, output, border_value, origin, brute_force, axes)
    return _morphology(scipy.ndimage.binary_erosion, kernels.erosion, 1, input, *given)


def binary_dilation(
    input: Any,  # noqa: A002
    structure: Any = None,
    iterations: int = 1,
    mask: Any = None,
    output: Any = None,
    border_value: int = 0,
    origin: Any = 0,
    brute_force: bool = False,
    *,
    axes: Any = None,
) -> Any:
    """Binary dilation, as :func:`scipy.ndimage.binary_dilation`.

    A DataArray is dilated along z, y, x at every time point; with ``iterations`` below 1 until nothing
    changes, which takes a pass over the image at once.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> mask = da.from_array(np.array([0, 0, 1, 0, 0, 0]) > 0, chunks=2)
    >>> ndi.binary_dilation(mask, iterations=2).compute().astype(int).tolist()
    [1, 1, 1, 1, 1, 0]
    """
    given = (structure, iterations, mask, output, border_value, origin, brute_force, axes)
    return _morphology(scipy.ndimage.binary_dilation, kernels.dilation, 1, input, *given)


def binary_opening(
    input: Any,  # noqa: A002
    structure: Any = None,
    iterations: int = 1,
    output: Any = None,
    origin: Any = 0,
    mask: Any = None,
    border_value: int = 0,
    brute_force: bool = False,
    *,
    axes: Any = None,
) -> Any:
    """Binary opening, as :func:`scipy.ndimage.binary_opening`.

    A DataArray is opened along z, y, x at every time point; with ``iterations`` below 1 until nothing
    changes, which takes a pass over the image at once.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> mask = da.from_array(np.array([0, 1, 0, 1, 1, 1, 0]) > 0, chunks=2)
    >>> ndi.binary_opening(mask).compute().astype(int).tolist()
    [0, 0, 0, 1, 1, 1, 0]
    """
    given = (structure, iterations, mask, output, border_value, origin, brute_force, axes)
    return _morphology(scipy.ndimage.binary_opening, kernels.opening, 2, input, *given)


def binary_closing(
    input: Any,  # noqa: A002
    structure: Any = None,
    iterations: int = 1,
    output: Any = None,
    origin: Any = 0,
    mask: Any = None,
    border_value: int = 0,
    brute_force: bool = False,
    *,
    axes: Any = None,
) -> Any:
    """Binary closing, as :func:`scipy.ndimage.binary_closing`.

    A DataArray is closed along z, y, x at every time point; with ``iterations`` below 1 until nothing
    changes, which takes a pass over the image at once.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> mask = da.from_array(np.array([0, 1, 0, 1, 0]) > 0, chunks=2)
    >>> ndi.binary_closing(mask).compute().astype(int).tolist()
    [0, 1, 1, 1, 0]
    """
    given = (structure, iterations, mask, output, border_value, origin, brute_force, axes)
    return _morphology(scipy.ndimage.binary_closing, kernels.closing, 2, input, *given)


def _morphology(
    reference: Callable[..., Any],
    kernel: Callable[..., Any],
    passes: int,
    input: Any,  # noqa: A002
    structure: Any,
    iterations: int,
    mask: Any,
    output: Any,
    border_value: int,
    origin: Any,
    brute_force: bool,
    axes: Any,
) -> Any:
    settings: dict[str, Any] = {
        "iterations": iterations,
        "border_value": border_value,
        "brute_force": brute_force,
    }
    if not is_lazy(input):
        more = {"structure": structure, "mask": mask, "output": output, "origin": origin, "axes": axes}
        return reference(input, **settings, **more)
    image = lift(input)
    along = image.axes(axes)
    shape = checked_structure(structure, len(along))
    origins = [int(value) for value in per_axis(origin, len(along), "origin")]
    # A structure lies along the axes in the order of the image, in whatever order they are named.
    order = origins_in_order(origins, along, len(image.node.shape))
    along, origins = tuple(sorted(along)), list(order)
    check_origins(origins, shape.shape)
    steps = _checked_iterations(iterations)
    if steps < 1:
        where = None if mask is None else _mask_node(mask, image)
        chosen = Neighbours(shape, origins, along), bool(border_value)
        return image.lower(until_stable(image.node, _GROWS[kernel], *chosen, where, output))
    depth = [0] * len(image.node.shape)
    for axis, n, shift in zip(along, shape.shape, origins, strict=True):
        depth[axis] = passes * steps * (n // 2 + abs(shift))
    dtype = output_dtype(output, bool)
    if dtype.kind == "c":
        raise TypeError("Complex output type not supported")
    settings |= {"structure": shape, "origin": origins, "output": dtype, "axes": along}
    inputs = [image.node, *([] if mask is None else [_mask_node(mask, image)])]
    cost = KERNEL_NS["iteration"] * passes * steps + _PACKING_NS
    return image.lower(
        Stencil(
            Call(kernel, settings),
            inputs,
            depth,
            dtype,
            workspace=_WORKSPACE,
            overwrites=_WORKSPACE if dtype.kind == "b" else None,
            cost_ns=cost,
        )
    )


def checked_structure(structure: Any, ndim: int) -> Any:
    """Return a structure as bool, faces where none is given; refuse one of other axes."""
    if structure is None:
        return scipy.ndimage.generate_binary_structure(ndim, 1)
    shape = np.asarray(structure, dtype=bool)
    if shape.ndim != ndim:
        raise RuntimeError("structure and input must have same dimensionality")
    if shape.size < 1:
        raise RuntimeError("structure must not be empty")
    return shape


def _checked_iterations(iterations: Any) -> int:
    if isinstance(iterations, float) and not iterations.is_integer():
        raise TypeError("iterations must be an integer")
    return int(iterations)


def _mask_node(mask: Any, image: Lifted) -> Node:
    if isinstance(mask, xr.DataArray) and isinstance(image.image, xr.DataArray):
        check_grid(image.image, mask, "the mask")
        mask = mask.broadcast_like(image.image).transpose(*image.image.dims)
    node = lift(mask).node
    if node.shape != image.node.shape:
        raise RuntimeError("mask and input must have equal sizes")
    return node
