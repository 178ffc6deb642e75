"""What functions of splines have in common: checks, dtypes, coefficients, complex images."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chunkmed.errors import InputError
from chunkmed.graph.box import whole
from chunkmed.graph.extended import Extended
from chunkmed.graph.nodes import Call, Crop, Node, Pointwise, Stencil
from chunkmed.graph.warp import Spline
from chunkmed.kernels import splines as kernels
from chunkmed.ndimage.arguments import MODES, output_dtype

__all__ = [
    "Interpolation",
    "RefusedError",
    "axes_last",
    "check_dtype",
    "check_order",
    "coefficients",
    "interpolation",
    "one_per_axis",
    "result_dtype",
]

#: Voxels that scipy adds at each side before it looks for coefficients, where no mirror fits the mode.
_PADDING = 12
#: Time per voxel and axis: there and back.
_RECURSION_NS = 4.0


class RefusedError(InputError, RuntimeError):
    """An argument is wrong, and scipy says so by a ``RuntimeError``."""


@dataclass(frozen=True)
class Interpolation:
    """How values between voxels are asked for: scipy's arguments, checked."""

    order: int
    mode: str
    cval: complex
    prefilter: bool

    def of(
        self, node: Node, make: Callable[[Node, Spline, Any], Node], dtype: np.dtype[Any], axes: int
    ) -> Node:
        """Return a node that ``make`` makes of coefficients, a spline and a dtype.

        Parameters
        ----------
        node : Node
            The image; its last axes are interpolated along.
        make : function
            From coefficients, spline and dtype to the result.
        dtype : dtype
            Of the result; complex for complex images.
        axes : int
            How many axes are interpolated along.
        """
        if node.dtype.kind == "c":

            def one(part: Node, pick: Any) -> Node:
                return replace(self, cval=pick(self.cval)).of(part, make, _real(dtype), axes)

            return _complex(one, node, dtype)
        cval = float(np.real(self.cval))
        pad = 0
        if self.prefilter and self.order > 1:
            if self.mode in ("nearest", "grid-constant"):
                pad = _PADDING
                lead = len(node.shape) - axes
                constant = cval if self.mode == "grid-constant" else None
                node = Extended(node, [0] * lead + [pad] * axes, constant)
            along = range(len(node.shape) - axes, len(node.shape))
            node = coefficients(node, self.order, list(along), self.mode, np.dtype(np.float64))
        return make(node, Spline(self.order, self.mode, cval, pad), dtype)


def interpolation(order: Any, mode: Any, cval: Any, prefilter: Any, dtype: np.dtype[Any]) -> Interpolation:
    """Return scipy's arguments, checked.

    Raises
    ------
    RefusedError
        ``bad-order``, ``bad-mode``, ``bad-dtype``.
    """
    check_order(order, 0)
    if mode not in MODES:
        raise RefusedError(f"border mode {mode!r} is not supported", kind="bad-mode", fix=", ".join(MODES))
    check_dtype(dtype, "an image")
    return Interpolation(operator.index(order), mode, cval, bool(prefilter))


def check_order(order: Any, lowest: int) -> None:
    """Refuse an order that there is no spline of."""
    if not hasattr(order, "__index__") or not lowest <= operator.index(order) <= 5:
        raise RefusedError(
            "spline order not supported", kind="bad-order", why=f"order = {order!r}", fix=f"{lowest} to 5"
        )


def check_dtype(dtype: np.dtype[Any], what: str) -> None:
    """Refuse numbers that scipy does not interpolate either."""
    size = dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize
    if dtype.kind not in "biufc" or size > 8 or (dtype.kind in "fc" and size < 4):
        raise RefusedError(
            "data type not supported",
            kind="bad-dtype",
            why=f"{what} of dtype {dtype}",
            fix='astype("float32")',
        )


def result_dtype(output: Any, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of the result from scipy's ``output`` argument."""
    if output is None:
        return np.promote_types(dtype, np.complex64) if dtype.kind == "c" else dtype
    found = output_dtype(output, dtype)
    if isinstance(output, str) and found.kind not in "iufc":
        raise RefusedError("output must have numeric dtype", kind="bad-dtype")
    if dtype.kind == "c" and found.kind != "c":
        if isinstance(output, str):
            raise RefusedError("output must have complex dtype", kind="bad-dtype")
        warnings.warn("promoting specified output dtype to complex", stacklevel=4)
        found = np.promote_types(found, np.complex64)
    check_dtype(found, "a result")
    if dtype.kind != "c" and found.kind == "c":
        raise RefusedError("data type not supported: a complex result of a real image", kind="bad-dtype")
    return found


def one_per_axis(value: Any, count: int, name: str) -> list[Any]:
    """Return one value per axis."""
    if isinstance(value, str) or np.ndim(value) == 0:
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise RefusedError(
            f"{name} has {len(values)} values for {count} axes",
            kind="sequence-length",
            why="sequence argument must have length equal to input rank",
        )
    return values


def coefficients(node: Node, order: int, axes: Sequence[int], mode: str, dtype: np.dtype[Any]) -> Node:
    """Return the coefficients of splines along axes, the first of them first."""
    if node.dtype.kind == "c":
        return _complex(lambda part, _: coefficients(part, order, axes, mode, _real(dtype)), node, dtype)
    depth = [kernels.depth(order) if axis in axes else 0 for axis in range(len(node.shape))]
    call = Call(kernels.coefficients, {"order": order, "axes": tuple(axes), "mode": mode, "output": dtype})
    wrap = tuple(axes) if mode == "grid-wrap" else ()
    cost = _RECURSION_NS * len(axes)
    # Two copies of the grown block as float64, one axis done and one to do.
    return Stencil(call, [node], depth, dtype, wrap=wrap, workspace=2.0, crops=True, cost_ns=cost)


def axes_last(node: Node, axes: Sequence[int]) -> tuple[Node, Callable[[Node], Node]]:
    """Return the node with some axes at the end, and what puts axes of a result back."""
    count = len(node.shape)
    order = [axis for axis in range(count) if axis not in axes] + list(axes)
    if order == list(range(count)):
        return node, lambda other: other
    back = [order.index(axis) for axis in range(count)]
    return Crop(node, whole(node.shape), order), lambda other: Crop(other, whole(other.shape), back)


def _complex(part: Callable[[Node, Any], Node], node: Node, dtype: np.dtype[Any]) -> Node:
    """Return a node of two that are made of the real and the imaginary part."""
    real_dtype = _real(node.dtype)
    real = part(Pointwise(Call(np.real), [node], node.shape, real_dtype), np.real)
    imag = part(Pointwise(Call(np.imag), [node], node.shape, real_dtype), np.imag)
    return Pointwise(Call(_join), [real, imag], real.shape, dtype)


def _join(real: Any, imag: Any) -> Any:
    out = np.empty(real.shape, np.result_type(real, np.complex64))
    out.real, out.imag = real, imag
    return out


def _real(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype
