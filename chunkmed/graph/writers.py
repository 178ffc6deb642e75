"""Elementwise functions that write their result where they are told, as NumPy's ``out`` has it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from chunkmed.graph.nodes import Array, Call, Pointwise

__all__ = ["Writer", "writer_of"]

#: Takes the operands and ``out``, memory for the result, which it returns.
Writer = Callable[..., Array]

#: What Python's operators do to arrays.
_OPERATORS: dict[Callable[..., Any], np.ufunc] = {
    operator.add: np.add,
    operator.sub: np.subtract,
    operator.mul: np.multiply,
    operator.truediv: np.true_divide,
    operator.floordiv: np.floor_divide,
    operator.mod: np.remainder,
    operator.neg: np.negative,
    operator.abs: np.absolute,
    operator.lt: np.less,
    operator.le: np.less_equal,
    operator.gt: np.greater,
    operator.ge: np.greater_equal,
    operator.eq: np.equal,
    operator.ne: np.not_equal,
    operator.and_: np.bitwise_and,
    operator.or_: np.bitwise_or,
    operator.xor: np.bitwise_xor,
    operator.invert: np.invert,
}


def writer_of(node: Pointwise) -> Writer | None:
    """Return what makes the same values as the node's function, or None where that is not known.

    Of one dtype only: whether the function gives that of the node by itself is for the caller to see.
    """
    call = node.call
    if _is_astype(call):
        return _cast
    if call.settings:
        return None
    if call.function is operator.pow:
        # As NumPy itself does; other powers are left to it.
        squares = len(node.scalars) == 2 and node.scalars[1] == (2,) and type(node.scalars[1][0]) is int
        return _square if squares else None
    if isinstance(call.function, np.ufunc):
        return call.function if call.function.nout == 1 else None
    return _OPERATORS.get(call.function)


def _is_astype(call: Call) -> bool:
    """Whether a call is that by which dask changes a dtype."""
    name = (getattr(call.function, "__module__", ""), getattr(call.function, "__name__", ""))
    return name == ("dask.array.chunk", "astype") and set(call.settings) == {"astype_dtype"}


def _cast(array: Array, out: Array) -> Array:
    np.copyto(out, array, casting="unsafe")
    return out


def _square(array: Array, _two: int, out: Array) -> Array:
    return np.square(array, out=out)
