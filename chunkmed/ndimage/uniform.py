"""Uniform filters: means of windows, scipy.ndimage's, lazy, per time point, windows in voxels or mm.

Each window is summed by itself. scipy adds what enters a running sum and takes off what leaves it: of
floats, every value then depends on where its line begins, and what follows a NaN is NaN. Results of
integers are scipy's; those of floats differ in the last bits, and NaN touches only its own windows.
"""

from __future__ import annotations

from typing import Any

import scipy.ndimage

from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.kernels.steps import Step
from chunkmed.ndimage.arguments import per_axis, refuse_text
from chunkmed.ndimage.lines import along_lines
from chunkmed.ndimage.probe import domain_of, named_axis, tried
from chunkmed.ndimage.stencils import window_of

__all__ = ["uniform_filter", "uniform_filter1d"]


def uniform_filter(
    input: Any,  # noqa: A002
    size: Any = 3,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Mean of a window, as :func:`scipy.ndimage.uniform_filter`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    size : int, str or sequence of them
        Width of the window in voxels, or in mm as text (rounded to the next odd number of voxels).
    output, mode, cval, origin
        As in scipy. ``output`` is a dtype.
    axes : tuple of int or str, optional
        Axes to filter along, numbers or names of dims.

    Returns
    -------
    same type as input
        Same shape and coordinates. Of integers equal to scipy; of floats to about the precision of
        the dtype, and NaN touches only windows that hold it.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> image = da.from_array(np.array([0, 0, 9, 0, 0, 3]), chunks=2)
    >>> ndi.uniform_filter(image, 3).compute().tolist()
    [0, 3, 3, 3, 1, 2]
    """
    if not is_lazy(input):
        refuse_text(size=size)
        return scipy.ndimage.uniform_filter(input, size, output, mode, cval, origin, axes=axes)
    image = lift(input)
    along = image.axes(axes)
    pairs = zip(along, per_axis(size, len(along), "size"), strict=True)
    sizes = [_width(image, axis, given) for axis, given in pairs]
    modes, origins = per_axis(mode, len(along), "mode"), per_axis(origin, len(along), "origin")
    settings = {"output": output, "mode": modes, "cval": cval, "origin": origins}
    dtype = tried(scipy.ndimage.uniform_filter, image.node.dtype, len(along), sizes, **settings)
    rows = zip(along, sizes, modes, origins, strict=True)
    # scipy leaves axes of a window of one voxel or less alone.
    steps = [_step(*row) for row in rows if row[1] > 1]
    return along_lines("uniform_filter", image, steps, dtype, cval)


def _width(image: Lifted, axis: int, given: Any) -> Any:
    return window_of(image, [axis], given, None)[0][0] if isinstance(given, str) else given


def _step(axis: int, size: Any, mode: str, origin: int) -> Step:
    return Step(axis, (1.0,) * int(size), mode, int(origin), mean=True)


def uniform_filter1d(
    input: Any,  # noqa: A002
    size: Any,
    axis: Any = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Any:
    """Mean of a window along one axis, as :func:`scipy.ndimage.uniform_filter1d`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily.
    size : int or str
        Width of the window in voxels, or in mm as text (rounded to the next odd number of voxels).
    axis : int or str
        Number or name of the axis: the only way to filter along t is to name it.
    output, mode, cval, origin
        As in scipy. ``output`` is a dtype.

    Returns
    -------
    same type as input
        As :func:`uniform_filter`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([0, 0, 9, 0, 0], np.int16), chunks=2)
    >>> ndi.uniform_filter1d(line, 3).compute().tolist()
    [0, 3, 3, 3, 0]
    """
    if not is_lazy(input):
        refuse_text(size=size)
        return scipy.ndimage.uniform_filter1d(input, size, axis, output, mode, cval, origin)
    image = lift(input)
    at = named_axis(image, axis)
    seen = domain_of(image, [at])
    width = _width(image, at, size)
    settings = {"output": output, "mode": mode, "cval": cval, "origin": origin}
    dtype = tried(
        scipy.ndimage.uniform_filter1d, image.node.dtype, len(seen), width, seen.index(at), **settings
    )
    return along_lines("uniform_filter1d", image, [_step(at, width, mode, origin)], dtype, cval)
