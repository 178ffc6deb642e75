"""Linear filters of one block; scipy.ndimage is the reference, and what the rest falls back to.

``CHUNKMED_KERNELS=scipy`` in the environment leaves everything to scipy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.kernels import Array
from chunkmed.kernels.steps import Step
from chunkmed.reused import release, throughout

__all__ = ["length", "lines", "magnitude", "sum_of_lines", "summed"]


@throughout
def lines(
    block: Array,
    *,
    steps: Sequence[Step],
    cval: Any,
    output: Any,
    keep: tuple[slice, ...],
    overwrite: bool = False,
) -> Array:
    """Return a part of a block after steps along axes, one after the other.

    Parameters
    ----------
    block : ndarray
        Any number of axes.
    steps : sequence of Step
        As repeated :func:`scipy.ndimage.correlate1d`, equal to the last bit; means are sums of their
        window divided by its size.
    cval : float
        What lies beyond the border in mode ``constant``.
    output : dtype
        Of the result, and of what is between two axes.
    keep : tuple of slice
        The part.
    overwrite : bool, default False
        Whether the result may be in the memory of the block.
    """
    if os.environ.get("CHUNKMED_KERNELS") != "scipy" and not np.iscomplexobj(cval):
        # Here, for numba takes a second to import.
        from chunkmed.kernels.convolve import as_bytes, correlate, supports

        if supports(block, output):
            kind = as_bytes(output)
            return correlate(as_bytes(block), steps, cval, kind, keep, overwrite=overwrite).view(output)
    release()
    out = block
    for step in steps:
        out = _scipys(out, step, cval, np.dtype(output))
    return np.asarray(out[keep]).astype(output, copy=False)


def _scipys(block: Array, step: Step, cval: Any, output: np.dtype[Any]) -> Array:
    settings = {"axis": step.axis, "mode": step.mode, "cval": cval, "origin": step.origin}
    if not step.mean:
        return np.asarray(scipy.ndimage.correlate1d(block, step.weights, output=output, **settings))
    # Not scipy's uniform filter: its running sum makes every value depend on where the line begins.
    wide = np.dtype(np.complex128 if output.kind == "c" else np.float64)
    out = scipy.ndimage.correlate1d(block, step.weights, output=wide, **settings)
    mean = np.asarray(out / len(step.weights))
    # To C, a truth value is a byte: less than 1 is nothing.
    return mean.astype(np.uint8).view(bool) if output.kind == "b" else mean.astype(output)


@throughout
def sum_of_lines(
    block: Array, *, terms: Sequence[Sequence[Step]], cval: Any, output: Any, keep: tuple[slice, ...]
) -> Array:
    """Return the sum of terms, each of them steps: a Laplace filter.

    Sums are made in the dtype ``output``, as scipy makes them.
    """
    return _added(_parts(block, terms, cval, output, keep))


@throughout
def magnitude(
    block: Array, *, terms: Sequence[Sequence[Step]], cval: Any, output: Any, keep: tuple[slice, ...]
) -> Array:
    """Return the root of the sum of squares of terms, each of them steps: the length of a gradient.

    Squares and their sum are made in the dtype ``output``, as scipy makes them.
    """
    return _root(_parts(block, terms, cval, output, keep))


@throughout
def summed(*parts: Array, output: Any) -> Array:
    """Return the sum of arrays in the dtype ``output``."""
    return _added(part.astype(output) for part in parts)


@throughout
def length(*parts: Array, output: Any) -> Array:
    """Return the root of the sum of squares of arrays in the dtype ``output``."""
    return _root(part.astype(output) for part in parts)


def _added(parts: Iterator[Array]) -> Array:
    out = next(parts)
    for part in parts:
        out += part
    return out


def _root(parts: Iterator[Array]) -> Array:
    out = next(parts)
    np.multiply(out, out, out)
    for part in parts:
        np.multiply(part, part, part)
        out += part
    with np.errstate(invalid="ignore"):
        return np.sqrt(out, out, casting="unsafe")


def _parts(
    block: Array, terms: Sequence[Sequence[Step]], cval: Any, output: Any, keep: tuple[slice, ...]
) -> Iterator[Array]:
    """Yield the terms; a first step that several of them begin with, one after the other, is done once."""
    begun: tuple[Step, Array] | None = None
    for k, steps in enumerate(terms):
        if begun is not None and steps and begun[0] == steps[0]:
            yield _rest(begun, steps, cval, output, keep)
        elif steps and len(terms) > k + 1 and terms[k + 1] and terms[k + 1][0] == steps[0]:
            begun = (
                steps[0],
                lines(block, steps=steps[:1], cval=cval, output=output, keep=_only(keep, steps[0])),
            )
            yield _rest(begun, steps, cval, output, keep)
        else:
            part = lines(block, steps=steps, cval=cval, output=output, keep=keep)
            # What has no steps is still the block itself.
            yield part.copy() if np.may_share_memory(part, block) else part


def _only(keep: tuple[slice, ...], step: Step) -> tuple[slice, ...]:
    """Return what is kept of the axis of one step, and all of the others."""
    return tuple(part if axis == step.axis else slice(None) for axis, part in enumerate(keep))


def _rest(
    begun: tuple[Step, Array], steps: Sequence[Step], cval: Any, output: Any, keep: tuple[slice, ...]
) -> Array:
    first, array = begun
    left = tuple(slice(None) if axis == first.axis else part for axis, part in enumerate(keep))
    part = lines(array, steps=steps[1:], cval=cval, output=output, keep=left)
    return part.copy() if np.may_share_memory(part, array) else part
