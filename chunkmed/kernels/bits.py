"""Single bits of words in compiled code."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["lowest_bit"]


@intrinsic
def _lowest_bit(typingctx, word):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


#: The place of the lowest bit that is set in a word (uint64); at least one must be.
lowest_bit: Any = _lowest_bit
