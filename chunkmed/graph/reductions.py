"""Which of dask's reductions are known: mean, variance, sum, lowest and highest.

dask builds a reduction as a layer of chunks, layers that combine and one that aggregates. They are
recognised by the identity of dask's own functions, so that nothing else is taken for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from dask.array import chunk as dask_chunk
from dask.array import reductions
from dask.blockwise import Blockwise

from chunkmed.graph.along import AxisStatistics, Reduced
from chunkmed.graph.box import whole
from chunkmed.graph.nodes import Call, Crop, Node, Opaque
from chunkmed.graph.totals import Total

__all__ = ["Reduction", "axis_reduction", "is_countable", "known_reduction", "number_reduction"]


@dataclass(frozen=True)
class Reduction:
    """What a dask array reduces, and how."""

    source: str
    """Name of the dask array that is reduced."""
    kind: str
    """``mean``, ``variance``, ``total``, ``minimum`` or ``maximum``."""
    axes: tuple[int, ...]
    skipna: bool
    keepdims: bool
    ddof: float
    dtype: Any
    """What dask computes in, None where that is the input's own."""


@dataclass(frozen=True)
class _Known:
    kind: str
    chunk: Callable[..., Any]
    aggregate: Callable[..., Any]
    skipna: bool = False


def _rows() -> Iterator[_Known]:
    """Yield a row for every reduction that this version of dask has."""
    inner, plain = vars(reductions), vars(dask_chunk)
    rows = (
        ("mean", inner.get("mean_chunk"), inner.get("mean_agg"), False),
        ("variance", inner.get("moment_chunk"), inner.get("moment_agg"), False),
        ("minimum", inner.get("chunk_min"), plain.get("min"), False),
        ("maximum", inner.get("chunk_max"), plain.get("max"), False),
        ("minimum", inner.get("_nanmin_skip"), inner.get("_nanmin_skip"), True),
        ("maximum", inner.get("_nanmax_skip"), inner.get("_nanmax_skip"), True),
        ("total", plain.get("sum"), plain.get("sum"), False),
        ("total", plain.get("nansum"), plain.get("sum"), True),
    )
    for kind, chunk, aggregate, skipna in rows:
        if chunk is not None and aggregate is not None:
            yield _Known(kind, chunk, aggregate, skipna)


_TABLE = tuple(_rows())


def known_reduction(graph: Any, name: str) -> Reduction | None:
    """Return what the dask array ``name`` reduces, None where it is no known reduction."""
    final = _layer_call(graph, name)
    if final is None:
        return None
    below = name
    while not isinstance(graph.layers[below], Blockwise):
        # Layers that combine, down to the chunks.
        needed = graph.dependencies[below]
        if len(needed) != 1:
            return None
        (below,) = needed
        layer = graph.layers.get(below)
        if layer is None or not (isinstance(layer, Blockwise) or "-partial-" in below):
            return None
    return _match(graph.layers[below], *final)


def _layer_call(graph: Any, name: str) -> tuple[Any, dict[str, Any]] | None:
    """Return function and settings of a layer that aggregates; the same for all of its tasks."""
    layer = graph.layers.get(name)
    if layer is None or isinstance(layer, Blockwise) or "-aggregate-" not in name:
        return None
    task = next(iter(layer.values()), None)
    call = task[0] if isinstance(task, tuple) and task else getattr(task, "func", None)
    # dask joins the blocks before functions that take one array: the outer one is what reduces.
    outer = getattr(call, "funcs", None)
    return _unwrapped(outer[-1] if outer else call)


def _unwrapped(call: Any) -> tuple[Any, dict[str, Any]] | None:
    settings: dict[str, Any] = {}
    while isinstance(call, partial):
        if call.args:
            return None
        settings = {**call.keywords, **settings}
        call = call.func
    return (call, settings) if callable(call) else None


def _match(chunks: Any, aggregate: Any, final: dict[str, Any]) -> Reduction | None:
    unwrapped = _unwrapped(chunks.task.func)
    if unwrapped is None or len(chunks.indices) != 1:
        return None
    chunk, settings = unwrapped[0], unwrapped[1] | dict(chunks.task.kwargs)
    axis = settings.pop("axis", None)
    found = [row for row in _TABLE if row.chunk is chunk and row.aggregate is aggregate]
    if len(found) != 1 or not isinstance(axis, tuple) or final.get("axis") != axis:
        return None
    skipna = _skips(settings, found[0].skipna)
    plain = set(settings) <= {"sum", "numel", "dtype", "keepdims", "implicit_complex_dtype"}
    known = set(final) <= {"sum", "ddof", "dtype", "axis", "keepdims"}
    if skipna is None or not plain or not known or settings.get("implicit_complex_dtype"):
        return None
    return Reduction(
        source=chunks.indices[0][0],
        kind=found[0].kind,
        axes=tuple(sorted(int(each) for each in axis)),
        skipna=skipna,
        keepdims=bool(final.get("keepdims")),
        ddof=float(final.get("ddof", 0)),
        dtype=final.get("dtype", settings.get("dtype")),
    )


def _skips(settings: dict[str, Any], otherwise: bool) -> bool | None:
    """Return whether NaN is left out; None where the sum is not one that is known."""
    if "sum" not in settings:
        return otherwise
    if settings["sum"] in (np.nansum, dask_chunk.nansum):
        return True
    return False if settings["sum"] in (np.sum, dask_chunk.sum) else None


def is_countable(parent: Node, found: Reduction) -> bool:
    """Whether float64 holds the values, and there are some."""
    dtype = parent.dtype
    known = dtype.kind in "bf" or (dtype.kind in "iu" and dtype.itemsize <= 4)
    if not parent.dtype_known or not known or dtype in (np.float16, np.longdouble):
        return False
    return all(axis < len(parent.shape) and parent.shape[axis] for axis in found.axes)


def number_reduction(parent: Node, found: Reduction, opaque: Opaque) -> Total:
    """Return the node of a reduction to a few numbers; ``opaque`` is what dask has of it."""
    dtype = parent.dtype if found.kind in ("minimum", "maximum") else np.dtype(found.dtype)
    return Total(opaque, parent, found.axes, found.kind, skipna=found.skipna, ddof=found.ddof, dtype=dtype)


def axis_reduction(parent: Node, found: Reduction) -> Node:
    """Return the node of a reduction along one axis."""
    # Here, for numba takes a second to import.
    from chunkmed.kernels import running

    (axis,) = found.axes
    settings = {"ddof": found.ddof} if found.kind == "variance" else {}
    call = Call(getattr(running, found.kind), settings)
    of_values = found.kind in ("minimum", "maximum")
    dtype = parent.dtype if of_values else found.dtype
    result = Reduced(AxisStatistics(parent, axis, found.skipna), call, dtype)
    if not found.keepdims:
        return result
    axes: list[int | None] = list(range(len(result.shape)))
    axes.insert(axis, None)
    return Crop(result, whole(result.shape), axes)
