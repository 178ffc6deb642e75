"""Values on another scale: clipped, rescaled, normalised. Images stay lazy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from chunkmed.errors import InputError
from chunkmed.graph.box import Box
from chunkmed.graph.curves import Steps
from chunkmed.graph.groups import Groups
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Array
from chunkmed.graph.passes import make_program
from chunkmed.graph.tally import key_table
from chunkmed.intensity.chosen import Chosen, choose, like_input, named
from chunkmed.intensity.quantiles import quantiles_of

if TYPE_CHECKING:
    from chunkmed.kernels.exact import Sums

__all__ = ["clip", "described", "mapped", "normalize", "rescale"]

#: Dtypes of at most so many bytes are mapped by a table of all values.
_TABLE_BYTES = 2
_METHODS = ("zscore", "minmax", "percentile")
#: What says which values are padding: gone where values on both sides of them become one.
_PADDING = ("padding_value", "padding_limit")


def clip(image: Any, low: float | None = None, high: float | None = None) -> Any:
    """Return the image with values below ``low`` and above ``high`` set to them; its dtype stays.

    Parameters
    ----------
    image : xarray.DataArray, dask.array.Array or array_like
        Any dims and dtype.
    low, high : number, optional
        Ends of the range; for integers the next ones inside of it.

    Returns
    -------
    same type as image
        Lazy where the image is. Padding is no longer marked: it has become ``low`` or ``high``.

    Raises
    ------
    InputError
        ``bad-range`` if there is none, or nothing between its ends.

    Examples
    --------
    >>> clip(np.array([-5, 3, 99], np.int16), 0, 50).tolist()
    [0, 3, 50]
    """
    if low is None and high is None:
        raise InputError("clip needs an end of the range", kind="bad-range", fix="give low= or high=")
    if low is not None and high is not None and not low <= high:
        raise InputError(f"low = {low} lies above high = {high}", kind="bad-range")
    source = named(image)
    if source.dtype.kind in "iu":
        about = np.iinfo(source.dtype)
        low = None if low is None else min(max(math.ceil(max(low, about.min)), about.min), about.max)
        high = None if high is None else max(min(math.floor(min(high, about.max)), about.max), about.min)
    out: xr.DataArray = source.clip(low, high).astype(source.dtype)
    out.attrs = {key: value for key, value in source.attrs.items() if key not in _PADDING}
    return like_input(out.rename(source.name), image)


def rescale(
    image: Any,
    out_range: tuple[float, float] = (0.0, 1.0),
    in_range: tuple[float, float] | None = None,
    *,
    mask: Any = None,
    padding: str = "exclude",
    per: str = "image",
    dtype: Any = "float32",
) -> Any:
    """Return the image with one range of values put on another; values outside become its ends.

    Parameters
    ----------
    image : xarray.DataArray, dask.array.Array or array_like
        Any dims.
    out_range : pair of numbers, optional
        Of the result.
    in_range : pair of numbers, optional
        Of the image; by default from the lowest to the highest value, found in a pass.
    mask : image, optional
        Voxels whose lowest and highest value count.
    padding : {"exclude", "include"}, optional
        Whether voxels outside the scanner's field of view (``image.cm.valid``) count.
    per : {"image", "time"}, optional
        Whether the range is that of all time points together, or of each apart.
    dtype : dtype, optional
        Of the result. It is computed in float64; integers are rounded to the nearest.

    Returns
    -------
    same type as image
        Lazy where the image is. Padding is no longer marked.

    Examples
    --------
    >>> rescale(np.array([0, 5, 10])).tolist()
    [0.0, 0.5, 1.0]
    """
    source = named(image)
    if in_range is None:
        chosen = choose(source, mask, padding, per)
        low, high = _range(chosen)
        return _stretched(image, chosen.labelled(low), chosen.labelled(high), out_range, dtype)
    if not in_range[0] <= in_range[1]:
        raise InputError(f"in_range = {in_range}", kind="bad-range", fix="give the lower end first")
    return _stretched(image, *in_range, out_range, dtype)


def _range(chosen: Chosen) -> tuple[Array, Array]:
    if chosen.is_small:
        ends = quantiles_of(chosen, np.array([0.0, 1.0])).astype(np.float64)
        low, high = ends[:, 0], ends[:, 1]
    else:
        low, high = (each.astype(np.float64) for each in chosen.ends("range of values"))
    if chosen.groups.time is None and np.isnan(low[0]):
        raise InputError("there are no values", kind="no-values", why="nothing is left to look at")
    return low, high


def _stretched(image: Any, low: Any, high: Any, out_range: tuple[float, float], dtype: Any) -> Any:
    first, last = (float(end) for end in out_range)
    gap = high - low
    # Of one value all are the lowest.
    factor = (last - first) / xr.where(gap > 0, gap, np.inf)
    ends = min(first, last), max(first, last)
    return mapped(lambda v: ((v - low) * factor + first).clip(*ends), named(image), dtype, image)


def mapped(function: Callable[[Any], Any], source: xr.DataArray, dtype: Any, given: Any) -> Any:
    """Return an elementwise function of an image, computed in float64, as the type that came in.

    Parameters
    ----------
    function : callable
        Takes and gives float64; may use numbers per time point as DataArrays.
    source : xarray.DataArray
        The image.
    dtype : dtype
        Of the result; integers are rounded to the nearest.
    given : image
        What came in.
    """
    dtype = np.dtype(dtype)

    def cast(values: xr.DataArray) -> xr.DataArray:
        out: xr.DataArray = (values.round() if dtype.kind in "iu" else values).astype(dtype)
        return out

    if _pays(source):
        result = _by_table(lambda values: cast(function(values)), source)
    else:
        result = cast(function(source.astype(np.float64))).transpose(*source.dims).rename(source.name)
    return described(result, source, given)


def _pays(source: xr.DataArray) -> bool:
    """Whether a table of all values is smaller than the image."""
    size = source.dtype.itemsize
    return source.dtype.kind in "biuf" and size <= _TABLE_BYTES and source.size > 1 << 8 * size


def described(result: xr.DataArray, source: xr.DataArray, given: Any) -> Any:
    """Return a result without unit with the attributes of the image, as the type that came in."""
    result.attrs = {key: value for key, value in source.attrs.items() if key not in _PADDING} | {"units": "1"}
    return like_input(result, given)


def _by_table(function: Callable[[Any], xr.DataArray], source: xr.DataArray) -> xr.DataArray:
    """Return a function of an image whose values are few: of each value once."""
    lifted = lift(source)
    every = xr.DataArray(key_table(source.dtype).every_value().astype(np.float64), dims="value")
    with np.errstate(invalid="ignore", over="ignore"):
        table = function(every)
    timed = [str(dim) for dim in table.dims if dim != "value"]
    rows = list(table.transpose(*timed, "value").values) if timed else [table.values]
    out: xr.DataArray = lifted.lower(Steps(lifted.node, rows, lifted.time_axis if timed else None))
    return out


def normalize(
    image: Any,
    method: str = "zscore",
    *,
    percentiles: tuple[float, float] = (1.0, 99.0),
    mask: Any = None,
    padding: str = "exclude",
    per: str = "image",
    dtype: Any = "float32",
) -> Any:
    """Return the image on a scale that follows from its own values.

    Parameters
    ----------
    image : xarray.DataArray, dask.array.Array or array_like
        Any dims.
    method : {"zscore", "minmax", "percentile"}, optional
        Less the mean and over the standard deviation; from the lowest to the highest value onto 0 to 1;
        the same between two percentiles, values outside clipped.
    percentiles : pair of numbers, optional
        For ``"percentile"``.
    mask : image, optional
        Voxels whose values count; all voxels are normalised.
    padding : {"exclude", "include"}, optional
        Whether voxels outside the scanner's field of view (``image.cm.valid``) count.
    per : {"image", "time"}, optional
        Whether the scale is that of all time points together, or of each apart.
    dtype : dtype, optional
        Of the result; it is computed in float64.

    Returns
    -------
    same type as image
        Lazy where the image is. 0 where all values are the same.

    Raises
    ------
    InputError
        ``bad-method``, or ``no-values`` where nothing is left to look at.

    Examples
    --------
    >>> normalize(np.array([0, 10])).tolist()
    [-1.0, 1.0]
    """
    if method not in _METHODS:
        raise InputError(f"method = {method!r}", kind="bad-method", fix=f"choose of {', '.join(_METHODS)}")
    if method == "minmax":
        return rescale(image, mask=mask, padding=padding, per=per, dtype=dtype)
    source = named(image)
    chosen = choose(source, mask, padding, per)
    if method == "percentile":
        ends = quantiles_of(chosen, np.asarray(percentiles, np.float64) / 100).astype(np.float64)
        if per == "image" and np.isnan(ends).any():
            raise InputError("there are no values", kind="no-values", why="nothing is left to look at")
        low, high = chosen.labelled(ends[:, 0]), chosen.labelled(ends[:, 1])
        return _stretched(image, low, high, (0.0, 1.0), dtype)
    mean, spread = _mean_and_deviation(chosen)
    center, width = chosen.labelled(mean), chosen.labelled(np.where(spread > 0, spread, np.inf))
    return mapped(lambda values: (values - center) / width, source, dtype, image)


def _mean_and_deviation(chosen: Chosen) -> tuple[Array, Array]:
    """Return mean and standard deviation of each time point, rounded once from the exact sums."""
    from chunkmed.kernels.exact import ROW_BYTES, Sums, number

    times = chosen.groups.times
    sums = Sums.of_nothing(times)
    each = chosen.groups.bytes_per_voxel + 8
    program = make_program(chosen.nodes, sink_bytes=each, sink_fixed_bytes=times * ROW_BYTES)
    for _, result in program.run(_Add(chosen.groups), name="mean and deviation"):
        for t, part in result:
            sums.merge(part, slice(t, t + 1))
    if chosen.groups.time is None and not sums.counts[0, [0, 2, 3]].any():
        raise InputError("there are no values", kind="no-values", why="nothing is left to look at")
    mean = np.array([number(sums, t, "mean", True) for t in range(times)], np.float64)
    variance = np.array([number(sums, t, "variance", True) for t in range(times)], np.float64)
    return mean, np.sqrt(variance)


@dataclass(frozen=True)
class _Add:
    """Task: exact sums of the values of one block, a part per time point."""

    groups: Groups

    def __call__(self, box: Box, arrays: Sequence[Array]) -> list[tuple[int, Sums]]:
        from chunkmed.kernels.exact import Sums

        out = []
        for frame in self.groups.frames(box, arrays):
            values = frame.values if frame.groups is None else frame.values[frame.groups == 0]
            part = Sums.of_nothing(1)
            # The kernel has no float16.
            wide = values.astype(np.float32) if values.dtype == np.float16 else values
            part.add(wide.reshape(1, -1), True)
            out.append((frame.time, part))
        return out
