"""scipy's distance transforms of time points as a whole: for what needs all of one at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chunkmed.kernels import Array

__all__ = ["distances", "places"]

_Arguments = Mapping[str, Any]


def distances(
    block: Array,
    *,
    keep: tuple[slice, ...],
    along: Sequence[int],
    function: Callable[..., Array],
    arguments: _Arguments,
    dtype: Any,
) -> Array:
    """Return what one of scipy's functions makes of each time point of a mask."""
    return _each(block, along, dtype, lambda frame: function(frame, **arguments))[keep]


def places(
    block: Array,
    *,
    keep: tuple[slice, ...],
    along: Sequence[int],
    function: Callable[..., Array],
    arguments: _Arguments,
) -> Array:
    """Return where the nearest background lies, as C-order indices; -1 for what scipy puts outside."""

    def found(frame: Array) -> Any:
        indices = function(frame, **arguments, return_distances=False, return_indices=True)
        outside = indices.min() < 0
        return np.full(frame.shape, -1) if outside else np.ravel_multi_index(tuple(indices), frame.shape)

    return _each(block, along, np.int64, found)[keep]


def _each(block: Array, along: Sequence[int], dtype: Any, function: Callable[[Array], Any]) -> Array:
    """Apply a function to the frames that some axes span."""
    out = np.empty(block.shape, dtype)
    others = [n if axis not in along else 1 for axis, n in enumerate(block.shape)]
    for index in np.ndindex(*others):
        cut = tuple(slice(None) if axis in along else i for axis, i in enumerate(index))
        out[cut] = function(block[cut])
    return out
