"""What scipy.ndimage says to the arguments of a call, before anything is read.

A function is tried on an image of one voxel: what scipy refuses is refused at the call and in scipy's
words, and the dtype of its result is the dtype of ours.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chunkmed.errors import InputError, RangeWarning, refusal
from chunkmed.graph.lift import Lifted
from chunkmed.ndimage.arguments import output_dtype

__all__ = ["domain_of", "named_axis", "tried", "warn_of_range"]

_ERRORS = (ValueError, TypeError, RuntimeError, IndexError, AttributeError)


def tried(function: Callable[..., Any], dtype: Any, ndim: int, *args: Any, side: int = 1, **more: Any) -> Any:
    """Return the dtype of what a function of scipy makes of an image.

    Parameters
    ----------
    function : callable
        Of scipy.ndimage.
    dtype, ndim
        Of the image.
    side : int
        Voxels along each axis of the image on trial; 0 where a function of the user's must not be called.
    *args, **more
        As given by the user; ``output`` may be a dtype in any form.
    """
    if isinstance(more.get("output"), np.ndarray | str):
        output_dtype(more["output"], dtype)
    try:
        return function(np.zeros((side,) * ndim, dtype), *args, **more).dtype
    except InputError:
        raise
    except _ERRORS as error:
        raise refusal(type(error), str(error), kind="bad-argument") from error


def named_axis(image: Lifted, axis: Any) -> int:
    """Return the number of the one axis that a user gave by number or name."""
    try:
        (found,) = image.axes((axis,))
    except InputError as error:
        raise refusal(IndexError, error.what, kind=error.kind, why=error.why) from error
    return found


def domain_of(image: Lifted, along: Sequence[int] = ()) -> list[int]:
    """Return the axes that scipy sees: those of one time point, and all that are asked for."""
    return sorted({*image.space_axes, *along})


def warn_of_range(name: str, dtype: Any, low: float, high: float, output: Any) -> None:
    """Warn where results of a stored integer dtype can wrap around.

    Parameters
    ----------
    name : str
        Of the filter.
    dtype : dtype
        Of the image and of the result.
    low, high : float
        Sums of the negative and of the positive weights.
    output
        As the user gave it: who names a dtype knows it.
    """
    dtype = np.dtype(dtype)
    if output is not None or dtype.kind not in "iu":
        return
    span = np.iinfo(dtype)
    least = high * float(span.min) + low * float(span.max)
    most = high * float(span.max) + low * float(span.min)
    # Wide signed integers are not filled to the brim by any scanner.
    tight = dtype.itemsize <= 2 and (least < span.min or most > span.max)
    if tight or (dtype.kind == "u" and low < 0):
        text = f"{name} of {dtype}: results can leave the range of {dtype} and wrap around, as in scipy"
        warnings.warn(f'{text}; output="float32" avoids it', RangeWarning, stacklevel=_callers_level())


def _callers_level() -> int:
    """Return how far up the call of chunkmed stands."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("chunkmed."):
        frame, level = frame.f_back, level + 1
    return level
