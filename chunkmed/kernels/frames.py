"""scipy's distance transforms of time points as a whole: for what needs all of one at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.ndimage

from chunkmed.kernels import Array

__all__ = ["chamfered", "nearest_places"]


def chamfered(block: Array, *, keep: tuple[slice, ...], along: Sequence[int], metric: Any) -> Array:
    """Return :func:`scipy.ndimage.distance_transform_cdt` of each time point of a mask."""
    reference = scipy.ndimage.distance_transform_cdt
    return _each(block, along, np.int32, lambda frame: reference(frame, metric))[keep]


def nearest_places(
    block: Array,
    *,
    keep: tuple[slice, ...],
    along: Sequence[int],
    reference: Callable[..., Array],
    metric: Any,
) -> Array:
    """Return where the nearest background lies, by one of scipy's functions, as C-order indices."""

    def places(frame: Array) -> Array:
        found = reference(frame, metric, return_distances=False, return_indices=True)
        return np.asarray(np.ravel_multi_index(tuple(found), frame.shape))

    return _each(block, along, np.int64, places)[keep]


def _each(block: Array, along: Sequence[int], dtype: Any, function: Callable[[Array], Array]) -> Array:
    """Apply a function to the frames that some axes span."""
    out = np.empty(block.shape, dtype)
    others = [n if axis not in along else 1 for axis, n in enumerate(block.shape)]
    for index in np.ndindex(*others):
        cut = tuple(slice(None) if axis in along else i for axis, i in enumerate(index))
        out[cut] = function(block[cut])
    return out
