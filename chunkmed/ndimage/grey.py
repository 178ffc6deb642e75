"""Grey morphology: scipy.ndimage's, lazy, per time point; several steps are one chain of the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.errors import InputError, refusal
from chunkmed.graph.lift import Lifted, is_lazy, lift
from chunkmed.graph.nodes import Call, Node, Pointwise
from chunkmed.kernels import grey as kernels
from chunkmed.kernels.windows import is_value_of
from chunkmed.ndimage.arguments import output_dtype, refuse_text
from chunkmed.ndimage.extremes import extreme_node, extreme_window
from chunkmed.ndimage.stencils import window_of
from chunkmed.ndimage.windows import check_values, footprint_window, origins_of, stencil, warn_of_size

__all__ = [
    "black_tophat",
    "grey_closing",
    "grey_dilation",
    "grey_erosion",
    "grey_opening",
    "morphological_gradient",
    "morphological_laplace",
    "white_tophat",
]

#: Of a voxel and a neighbour in a structure that is not flat.
_STRUCTURED_NS = 2.0


def grey_erosion(
    input: Any,  # noqa: A002
    size: Any = None,
    footprint: Any = None,
    structure: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Grey erosion, as :func:`scipy.ndimage.grey_erosion`.

    Parameters
    ----------
    input : xarray.DataArray, dask.array.Array or array_like
        NumPy arrays are filtered at once, others lazily. A DataArray is filtered along z, y, x.
    size : int, str or sequence of them
        Width of a flat box in voxels, or in mm as text (rounded to the next odd number of voxels).
    footprint : array_like of bool, optional
        A flat window of another shape.
    structure : array_like, optional
        What is taken off the values of the window, in their units: a structure that is not flat.
    output, mode, cval, origin
        As in scipy. ``output`` is a dtype.
    axes : tuple of int or str, optional
        Axes to filter along, numbers or names of dims.

    Returns
    -------
    same type as input
        Same shape and coordinates.

    Raises
    ------
    InputError
        Where scipy raises, and of scipy's type too.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([5, 1, 6, 2, 7], np.int16), chunks=2)
    >>> ndi.grey_erosion(line, size=3).compute().tolist()
    [1, 1, 1, 2, 2]
    """
    given = (size, footprint, structure, output, mode, cval, origin)
    return _morphology(scipy.ndimage.grey_erosion, _Steps.eroded, input, given, axes)


def grey_dilation(
    input: Any,  # noqa: A002
    size: Any = None,
    footprint: Any = None,
    structure: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Grey dilation, as :func:`scipy.ndimage.grey_dilation`.

    Arguments and result are those of :func:`grey_erosion`; footprints and structures are mirrored.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([5, 1, 6, 2, 7], np.int16), chunks=2)
    >>> ndi.grey_dilation(line, size=3).compute().tolist()
    [5, 6, 6, 7, 7]
    """
    given = (size, footprint, structure, output, mode, cval, origin)
    return _morphology(scipy.ndimage.grey_dilation, _Steps.dilated, input, given, axes)


def grey_opening(
    input: Any,  # noqa: A002
    size: Any = None,
    footprint: Any = None,
    structure: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Grey opening: erosion, then dilation, as :func:`scipy.ndimage.grey_opening`.

    Arguments and result are those of :func:`grey_erosion`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([5, 1, 6, 2, 7], np.int16), chunks=2)
    >>> ndi.grey_opening(line, size=3).compute().tolist()
    [1, 1, 2, 2, 2]
    """
    given = (size, footprint, structure, output, mode, cval, origin)
    return _morphology(scipy.ndimage.grey_opening, _opened, input, given, axes)


def grey_closing(
    input: Any,  # noqa: A002
    size: Any = None,
    footprint: Any = None,
    structure: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Grey closing: dilation, then erosion, as :func:`scipy.ndimage.grey_closing`.

    Arguments and result are those of :func:`grey_erosion`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> ndi.grey_closing(da.from_array(np.array([5, 1, 6, 2, 7]), chunks=2), size=3).compute().tolist()
    [5, 5, 6, 6, 7]
    """
    given = (size, footprint, structure, output, mode, cval, origin)
    return _morphology(scipy.ndimage.grey_closing, _closed, input, given, axes)


def morphological_gradient(
    input: Any,  # noqa: A002
    size: Any = None,
    footprint: Any = None,
    structure: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Dilation minus erosion, as :func:`scipy.ndimage.morphological_gradient`.

    Arguments and result are those of :func:`grey_erosion`. With ``output`` the result is that of
    scipy for an array of this dtype; scipy itself takes no notice of a dtype here.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([5, 1, 6, 2, 7], np.int16), chunks=2)
    >>> ndi.morphological_gradient(line, size=3).compute().tolist()
    [4, 5, 5, 5, 5]
    """
    given = (size, footprint, structure, output, mode, cval, origin)
    return _morphology(scipy.ndimage.morphological_gradient, _gradient, input, given, axes)


def morphological_laplace(
    input: Any,  # noqa: A002
    size: Any = None,
    footprint: Any = None,
    structure: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Dilation plus erosion minus twice the image, as :func:`scipy.ndimage.morphological_laplace`.

    Arguments and result are those of :func:`grey_erosion`. With ``output`` the result is that of
    scipy for an array of this dtype, ``output="int32"`` for uint8 images that must not wrap around;
    scipy itself takes no notice of a dtype here.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([5, 1, 6, 2, 7], np.int16), chunks=2)
    >>> ndi.morphological_laplace(line, size=3).compute().tolist()
    [-4, 5, -5, 5, -5]
    """
    given = (size, footprint, structure, output, mode, cval, origin)
    return _morphology(scipy.ndimage.morphological_laplace, _laplace, input, given, axes)


def white_tophat(
    input: Any,  # noqa: A002
    size: Any = None,
    footprint: Any = None,
    structure: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Keep what an opening takes away, as :func:`scipy.ndimage.white_tophat`.

    Arguments and result are those of :func:`grey_erosion`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([5, 1, 6, 2, 7], np.int16), chunks=2)
    >>> ndi.white_tophat(line, size=3).compute().tolist()
    [4, 0, 4, 0, 5]
    """
    given = (size, footprint, structure, output, mode, cval, origin)
    return _morphology(scipy.ndimage.white_tophat, _white, input, given, axes)


def black_tophat(
    input: Any,  # noqa: A002
    size: Any = None,
    footprint: Any = None,
    structure: Any = None,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """Keep what a closing adds, as :func:`scipy.ndimage.black_tophat`.

    Arguments and result are those of :func:`grey_erosion`.

    Examples
    --------
    >>> import dask.array as da, numpy as np, chunkmed.ndimage as ndi
    >>> line = da.from_array(np.array([5, 1, 6, 2, 7], np.int16), chunks=2)
    >>> ndi.black_tophat(line, size=3).compute().tolist()
    [0, 4, 0, 4, 0]
    """
    given = (size, footprint, structure, output, mode, cval, origin)
    return _morphology(scipy.ndimage.black_tophat, _black, input, given, axes)


def _morphology(
    reference: Callable[..., Any],
    steps: Callable[[_Steps, Node, Any], Node],
    input: Any,  # noqa: A002
    given: tuple[Any, ...],
    axes: Any,
) -> Any:
    size, footprint, structure, output, mode, cval, origin = given
    if not is_lazy(input):
        refuse_text(size=size)
        return reference(input, *given, axes=axes)
    if size is None and footprint is None and structure is None:
        what = "size, footprint, or structure must be specified"
        raise InputError(what, kind="no-size", fix="give size=3")
    warn_of_size(size, footprint)
    image = lift(input)
    check_values(image)
    along = image.axes(axes)
    own = _Steps(image, along, size, footprint, structure, mode, cval, origins_of(origin, along))
    wanted = None if output is None else output_dtype(output, image.node.dtype)
    return image.lower(steps(own, image.node, wanted))


@dataclass(frozen=True)
class _Steps:
    """Erosions and dilations with one set of arguments."""

    image: Lifted
    along: tuple[int, ...]
    size: Any
    footprint: Any
    structure: Any
    mode: Any
    cval: Any
    origins: list[int]

    def eroded(self, node: Node, dtype: Any = None) -> Node:
        """Return a node eroded."""
        return self._node(node, False, self.size, self.footprint, self.origins, dtype)

    def dilated(self, node: Node, dtype: Any = None) -> Node:
        """Return a node dilated: with the mirrored window, whose middle is further if it is even."""
        size, footprint = self.size, None
        if self.footprint is not None:
            footprint = np.flip(np.asarray(self.footprint))
            sides = list(footprint.shape)
        elif self.structure is not None:
            sides = list(np.shape(self.structure))
        else:
            size = sides = window_of(self.image, self.along, self.size, None)[0]
        pairs = zip(self.origins, sides, strict=False)
        origins = [-origin - (side % 2 == 0) for origin, side in pairs]
        return self._node(node, True, size, footprint, origins, dtype)

    def _node(
        self, node: Node, highest: bool, size: Any, footprint: Any, origins: list[int], dtype: Any
    ) -> Node:
        wanted = node.dtype if dtype is None else dtype
        if self.structure is None:
            given = (self.image, self.along, size, footprint, self.mode, self.cval, origins)
            return extreme_node(node, extreme_window(*given), highest, wanted)
        weights = np.asarray(self.structure, dtype=np.float64)
        where = np.ones(weights.shape, bool) if footprint is None else np.asarray(footprint, dtype=bool)
        if weights.shape != where.shape:
            raise refusal(
                RuntimeError,
                "structure array has incorrect shape",
                kind="sequence-length",
                why=f"structure {weights.shape}, footprint {where.shape}",
            )
        window = footprint_window(self.image, self.along, where, self.mode, self.cval, origins)
        # scipy compares a constant as it is, even where no voxel can have its value.
        if not weights.any() and (node.dtype.kind == "f" or is_value_of(window.cval, node.dtype)):
            return extreme_node(node, window, highest, wanted)
        settings = {
            "footprint": self.footprint,
            "structure": weights,
            "mode": self.mode,
            "cval": self.cval,
            "origin": self.origins,
            "axes": self.along,
        }
        call = Call(kernels.dilation if highest else kernels.erosion, settings)
        return stencil(node, call, window, wanted, _STRUCTURED_NS * window.count)


def _opened(steps: _Steps, node: Node, dtype: Any) -> Node:
    return steps.dilated(steps.eroded(node), dtype)


def _closed(steps: _Steps, node: Node, dtype: Any) -> Node:
    return steps.eroded(steps.dilated(node), dtype)


def _gradient(steps: _Steps, node: Node, dtype: Any) -> Node:
    eroded = steps.eroded(node, dtype)
    return _combined(np.subtract, steps.dilated(node), eroded, eroded.dtype)


def _laplace(steps: _Steps, node: Node, dtype: Any) -> Node:
    eroded = steps.eroded(node, dtype)
    out = _combined(np.add, steps.dilated(node), eroded, eroded.dtype)
    return _combined(np.subtract, _combined(np.subtract, out, node, out.dtype), node, out.dtype)


def _white(steps: _Steps, node: Node, dtype: Any) -> Node:
    opened = _opened(steps, node, dtype)
    return _difference(node, opened, opened.dtype)


def _black(steps: _Steps, node: Node, dtype: Any) -> Node:
    closed = _closed(steps, node, dtype)
    return _difference(closed, node, closed.dtype)


def _difference(a: Node, b: Node, dtype: Any) -> Node:
    """Return a - b; of masks where they differ."""
    both = a.dtype == b.dtype == bool
    return _combined(np.bitwise_xor if both else np.subtract, a, b, dtype)


def _combined(function: np.ufunc, a: Node, b: Node, dtype: Any) -> Node:
    """Return a function of two nodes, as if it were written to an array of a dtype."""
    try:
        function(np.empty(0, a.dtype), np.empty(0, b.dtype), out=np.empty(0, dtype))
    except TypeError as error:
        # NumPy does not subtract masks, and does not write floats to integers.
        raise refusal(TypeError, str(error), kind="bad-dtype") from error
    return Pointwise(Call(function), [a, b], a.shape, dtype)
