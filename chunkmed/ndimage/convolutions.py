"""Correlation and convolution with any weights: scipy.ndimage's, lazy, per time point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.graph.costs import KERNEL_NS
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.nodes import Call, Stencil
from chunkmed.kernels import weights as kernels
from chunkmed.kernels.steps import Step
from chunkmed.ndimage.arguments import per_axis
from chunkmed.ndimage.lines import along_lines
from chunkmed.ndimage.probe import domain_of, named_axis, tried, warn_of_range
from chunkmed.ndimage.reach import reach_of, whole_window

__all__ = ["convolve", "convolve1d", "correlate", "correlate1d"]


def correlate(
    input: Any,  # noqa: A002 - scipy's name
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Correlate with weights, as :func:`scipy.ndimage.correlate`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    weights : array_like
        One axis per axis that is filtered along.
    output, mode, cval, origin
        As in scipy. ``output`` is a dtype.
    axes : tuple of int or str, optional
        Axes to filter along, numbers or names of dims.

    Returns
    -------
    same type as input
        Same shape and coordinates, equal to scipy to the last bit. Of integers it is rounded towards
        zero, and wraps around where it leaves the range of the dtype: there is a warning where the
        weights allow that.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> image = da.from_array(np.array([2, 8, 0, 4, 1, 9, 9, 0]), chunks=3)
    >>> ndi.correlate(image, [1, 3]).compute().tolist()
    [8, 26, 8, 12, 7, 28, 36, 9]
    """
    settings = {"output": output, "mode": mode, "cval": cval, "origin": origin, "axes": axes}
    if not is_lazy(input):
        return scipy.ndimage.correlate(input, weights, **settings)
    return _dense(scipy.ndimage.correlate, input, weights, settings)


def convolve(
    input: Any,  # noqa: A002
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Convolve with weights, as :func:`scipy.ndimage.convolve`.

    Arguments and result are those of :func:`correlate`; the weights are mirrored.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([0, 0, 4, 0, 0], np.int16), chunks=2)
    >>> ndi.convolve(line, [1, 2, 3]).compute().tolist()
    [0, 4, 8, 12, 0]
    """
    settings = {"output": output, "mode": mode, "cval": cval, "origin": origin, "axes": axes}
    if not is_lazy(input):
        return scipy.ndimage.convolve(input, weights, **settings)
    return _dense(scipy.ndimage.convolve, input, weights, settings)


def _dense(reference: Callable[..., Any], input: Any, weights: Any, settings: dict[str, Any]) -> Any:  # noqa: A002
    image, given = lift(input), np.asarray(weights)
    along = image.axes(settings["axes"])
    seen = domain_of(image, along)
    own = tuple(seen.index(axis) for axis in along)
    dtype = tried(reference, image.node.dtype, len(seen), given, **{**settings, "axes": own})
    origins = [int(value) for value in per_axis(settings["origin"], len(along), "origin")]
    window, shifts = whole_window(given, origins, along, seen, len(image.node.shape))
    if reference is scipy.ndimage.convolve:
        window, shifts = _mirrored(window, shifts)
    _warn(reference.__name__, image, window, settings["output"])
    call = Call(
        kernels.correlate,
        {
            "weights": window,
            "mode": settings["mode"],
            "cval": settings["cval"],
            "origin": shifts,
            "output": dtype,
        },
    )
    depth = reach_of(window.shape, shifts)
    wrap = along if settings["mode"] in ("wrap", "grid-wrap") else ()
    cost = KERNEL_NS["axis"] + KERNEL_NS["weight"] * int(np.count_nonzero(window))
    node = Stencil(call, [image.node], depth, dtype, wrap=wrap, workspace=2.0, cost_ns=cost)
    node.title = reference.__name__
    return image.lower(node)


def _mirrored(window: Any, shifts: Sequence[int]) -> tuple[Any, list[int]]:
    """Return the weights and origins of the correlation that is a convolution with these."""
    turned = np.ascontiguousarray(window[(slice(None, None, -1),) * window.ndim])
    pairs = zip(shifts, window.shape, strict=True)
    # scipy's correlation conjugates complex weights.
    return np.conj(turned), [-shift - (0 if n % 2 else 1) for shift, n in pairs]


def _warn(name: str, image: Lifted, window: Any, output: Any) -> None:
    if window.dtype.kind != "c":
        low, high = float(window[window < 0].sum()), float(window[window > 0].sum())
        warn_of_range(name, image.node.dtype, low, high, output)


def correlate1d(
    input: Any,  # noqa: A002
    weights: Any,
    axis: Any = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Any:
    """Correlate along one axis, as :func:`scipy.ndimage.correlate1d`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily.
    weights : sequence of float
        At least one.
    axis : int or str
        Number or name of the axis: the only way to filter along t is to name it.
    output, mode, cval, origin
        As in scipy. ``output`` is a dtype.

    Returns
    -------
    same type as input
        As :func:`correlate`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([0, 0, 4, 0, 0], np.int16), chunks=2)
    >>> ndi.correlate1d(line, [1, 2, 3]).compute().tolist()
    [0, 12, 8, 4, 0]
    """
    settings = {"output": output, "mode": mode, "cval": cval, "origin": origin}
    if not is_lazy(input):
        return scipy.ndimage.correlate1d(input, weights, axis, **settings)
    return _line(scipy.ndimage.correlate1d, input, weights, axis, settings)


def convolve1d(
    input: Any,  # noqa: A002
    weights: Any,
    axis: Any = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Any:
    """Convolve along one axis, as :func:`scipy.ndimage.convolve1d`.

    Arguments and result are those of :func:`correlate1d`; the weights are mirrored.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([0, 0, 4, 0, 0], np.int16), chunks=2)
    >>> ndi.convolve1d(line, [1, 2, 3]).compute().tolist()
    [0, 4, 8, 12, 0]
    """
    settings = {"output": output, "mode": mode, "cval": cval, "origin": origin}
    if not is_lazy(input):
        return scipy.ndimage.convolve1d(input, weights, axis, **settings)
    return _line(scipy.ndimage.convolve1d, input, weights, axis, settings)


def _line(
    reference: Callable[..., Any],
    input: Any,  # noqa: A002
    weights: Any,
    axis: Any,
    settings: dict[str, Any],
) -> Any:
    image, window = lift(input), np.asarray(weights)
    at = named_axis(image, axis)
    seen = domain_of(image, [at])
    dtype = tried(reference, image.node.dtype, len(seen), window, seen.index(at), **settings)
    shifts = [int(settings["origin"])]
    if reference is scipy.ndimage.convolve1d:
        window, shifts = _mirrored(window, shifts)
    _warn(reference.__name__, image, window, settings["output"])
    step = Step(at, tuple(window.tolist()), settings["mode"], shifts[0])
    return along_lines(reference.__name__, image, [step], dtype, settings["cval"])
