"""How kernels are compiled: once on a machine, and run without Python's lock."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from chunkmed.kernels import Array

__all__ = ["get_ready", "inlined", "kernel", "part", "relaxed", "writable"]

#: A function that Python calls.
kernel = numba.njit(nogil=True, cache=True)

#: A function that only compiled ones call: nothing is made by which Python could, a tenth of the time.
_ALONE: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
part = numba.njit(nogil=True, cache=True, **_ALONE)

#: A part that is put into its callers before they are typed.
inlined = numba.njit(nogil=True, cache=True, inline="always")


def relaxed(*flags: str) -> Any:
    """Return the decorator of a function in which LLVM may do what these fast-math flags say."""
    return numba.njit(nogil=True, cache=True, fastmath=set(flags))


def writable(array: Array) -> Array:
    """Return an array that can be written: from another process they come otherwise.

    That is another type for numba, for which everything would be compiled apart.
    """
    return np.require(array, requirements="W")


@kernel
def _first(line: Any) -> Any:  # pragma: no cover - compiled
    return line[0]


def get_ready() -> None:
    """Load what numba needs before it runs a first kernel, 0.3 s: processes that are forked then have it."""
    _first(np.zeros(1))
