"""Filters by functions of the user's: scipy.ndimage's, lazy, per time point.

A function is called on parts of the image, in any order and perhaps in several processes: what it gives
must depend on its arguments only. Nothing that it makes is taken up by a later run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.ndimage
from scipy import LowLevelCallable

from chunkmed.errors import refusal
from chunkmed.graph.costs import KERNEL_NS
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.nodes import Call, Stencil
from chunkmed.kernels import functions as kernels
from chunkmed.ndimage.arguments import per_axis, refuse_text
from chunkmed.ndimage.probe import domain_of, named_axis, tried
from chunkmed.ndimage.reach import reach_of, whole_window
from chunkmed.ndimage.stencils import window_of

__all__ = ["checked_function", "generic_filter", "generic_filter1d", "spanning", "user_made", "widths_of"]


def generic_filter(
    input: Any,  # noqa: A002 - scipy's name
    function: Callable[..., Any],
    size: Any = None,
    footprint: Any = None,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: dict[str, Any] | None = None,
    *,
    axes: Any = None,
) -> Any:
    """Filter with a function of the values in a window, as :func:`scipy.ndimage.generic_filter`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    function : callable
        ``function(values, *extra_arguments, **extra_keywords)`` of a 1D array of float64. A function
        that remembers what it was called with before gives other results than in scipy.
    size : int, str or sequence of them
        Width of the window in voxels, or in mm as text (rounded to the next odd number of voxels).
    footprint, output, mode, cval, origin, extra_arguments, extra_keywords
        As in scipy. ``output`` is a dtype.
    axes : tuple of int or str, optional
        Axes to filter along, numbers or names of dims.

    Returns
    -------
    same type as input
        Same shape and coordinates, equal to scipy.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> image = da.from_array(np.array([2.0, 8, 0, 4, 1]), chunks=2)
    >>> ndi.generic_filter(image, np.ptp, size=3).compute().tolist()
    [6.0, 8.0, 8.0, 4.0, 3.0]
    """
    settings = {"output": output, "mode": mode, "cval": cval}
    more = {"extra_arguments": tuple(extra_arguments), "extra_keywords": dict(extra_keywords or {})}
    if not is_lazy(input):
        refuse_text(size=size)
        return scipy.ndimage.generic_filter(
            input, function, size, footprint, origin=origin, axes=axes, **settings, **more
        )
    image, call = lift(input), checked_function(function)
    along = image.axes(axes)
    seen = domain_of(image, along)
    widths = widths_of(image, along, size)
    own = tuple(seen.index(axis) for axis in along)
    dtype = tried(
        scipy.ndimage.generic_filter, image.node.dtype, len(seen), call, widths, footprint, origin=origin,
        axes=own, side=0, **settings,
    )  # fmt: skip
    given = np.ones(widths, bool) if footprint is None else np.asarray(footprint, bool)
    origins = [int(value) for value in per_axis(origin, len(along), "origin")]
    window, shifts = whole_window(given, origins, along, seen, len(image.node.shape))
    settings |= {"output": dtype, "function": call, "footprint": window, "origin": shifts, **more}
    wrap = along if mode in ("wrap", "grid-wrap") else ()
    return user_made(
        "generic_filter", image, Call(kernels.windows, settings), reach_of(window.shape, shifts), dtype, wrap
    )


def generic_filter1d(
    input: Any,  # noqa: A002
    function: Callable[..., Any],
    filter_size: int,
    axis: Any = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: dict[str, Any] | None = None,
) -> Any:
    """Filter whole lines with a function, as :func:`scipy.ndimage.generic_filter1d`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily: every block reads the whole lines that it is
        a part of.
    function : callable
        ``function(line, out, *extra_arguments, **extra_keywords)`` fills ``out`` from a line that is
        ``filter_size - 1`` longer, both 1D of float64.
    axis : int or str
        Number or name of the axis: the only way to filter along t is to name it.
    filter_size, output, mode, cval, origin, extra_arguments, extra_keywords
        As in scipy. ``output`` is a dtype.

    Returns
    -------
    same type as input
        Same shape and coordinates, equal to scipy; in blocks that span the axis.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> def sums(row, out):
    ...     out[:] = row[:-2] + row[1:-1] + row[2:]
    >>> line = da.from_array(np.array([1, 5, 2, 8, 3]), chunks=2)
    >>> ndi.generic_filter1d(line, sums, 3).compute().tolist()
    [7, 8, 15, 13, 14]
    """
    settings = {"output": output, "mode": mode, "cval": cval, "origin": origin}
    more = {"extra_arguments": tuple(extra_arguments), "extra_keywords": dict(extra_keywords or {})}
    if not is_lazy(input):
        return scipy.ndimage.generic_filter1d(input, function, filter_size, axis, **settings, **more)
    image, call = lift(input), checked_function(function)
    at = named_axis(image, axis)
    seen = domain_of(image, [at])
    reference = scipy.ndimage.generic_filter1d
    # On trial it is called by nothing: scipy's own call would run it on an image of no voxels.
    dtype = tried(reference, image.node.dtype, len(seen), _nothing, filter_size, seen.index(at), **settings)
    settings |= {"output": dtype, "function": call, "size": int(filter_size), "axis": at, **more}
    depth = [n if place == at else 0 for place, n in enumerate(image.node.shape)]
    return user_made(
        "generic_filter1d", spanning(image, [at]), Call(kernels.lines, settings), depth, dtype, ()
    )


def _nothing(line: Any, out: Any) -> None:
    """Leave the line as it is."""


def widths_of(image: Lifted, along: Sequence[int], size: Any) -> Any:
    """Return the widths of a window in voxels; what the user gave where none is a text."""
    values = size if isinstance(size, list | tuple) else [size]
    if not any(isinstance(item, str) for item in values):
        return size if size is None else per_axis(size, len(along), "size")
    pairs = zip(along, per_axis(size, len(along), "size"), strict=True)
    return [window_of(image, [axis], item, None)[0][0] for axis, item in pairs]


def checked_function(function: Any) -> Callable[..., Any]:
    """Return a function of the user's that can be sent to workers."""
    if isinstance(function, LowLevelCallable):
        what, fix = "a LowLevelCallable has no content to send to workers", "give a Python function"
        raise refusal(TypeError, what, kind="bad-function", fix=fix)
    if not callable(function):
        raise refusal(RuntimeError, f"`function` must be a callable, not {function!r}", kind="bad-function")
    found: Callable[..., Any] = function
    return found


def spanning(image: Lifted, axes: Sequence[int]) -> Lifted:
    """Return an image whose results come in blocks that span axes: what needs whole lines runs once."""
    if image.chunks is None:
        return image
    pairs = zip(image.chunks, image.node.shape, strict=True)
    return replace(image, chunks=tuple((n,) if i in axes else c for i, (c, n) in enumerate(pairs)))


def user_made(
    name: str,
    image: Lifted,
    call: Call,
    depth: Sequence[int],
    dtype: Any,
    wrap: Sequence[int],
    workspace: float = 1.0,
) -> Any:
    """Return an image of what a function of the user's makes."""
    cost = KERNEL_NS["python"]
    node = Stencil(call, [image.node], depth, dtype, wrap=wrap, workspace=workspace, cost_ns=cost)
    # A changed function may keep its name.
    node.lasting = False
    node.title = name
    return image.lower(node)
