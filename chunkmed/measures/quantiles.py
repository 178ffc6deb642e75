"""Exact percentiles from counts of values."""

from __future__ import annotations

import numpy as np

from chunkmed.graph.nodes import Array
from chunkmed.measures.parts import Found

__all__ = ["percentiles"]


def percentiles(found: Found, percent: float) -> Array:
    """Return the percentile of each label, between two values linearly as :func:`numpy.percentile`."""
    counts = found.tables["counts"]
    if not len(found):
        return np.zeros(0)
    first = np.searchsorted(counts.label, found.moments.label)
    below = np.concatenate([[0], np.cumsum(counts.count)])
    place = (found.moments.count - 1) * (percent / 100)
    floor = np.floor(place)
    # The value of a rank is the first whose counts reach beyond it.
    low, high = (
        counts.value[np.searchsorted(below, below[first] + rank.astype(np.int64), side="right") - 1]
        for rank in (floor, np.minimum(floor + 1, found.moments.count - 1))
    )
    part, gap = place - floor, (high.astype(np.float64) - low)
    # As NumPy: from the nearer end, so that the result never leaves the two.
    return np.asarray(np.where(part < 0.5, low + gap * part, high - gap * (1 - part)))
