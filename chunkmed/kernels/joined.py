"""Tables of statistics of several blocks become one, a row per label.

Sums of squares by the formula of Chan, Golub & LeVeque, Am. Stat. 37 (1983) 242-247.
"""

from __future__ import annotations

import numpy as np

from chunkmed.kernels import Array
from chunkmed.kernels.compiled import kernel, part, writable
from chunkmed.kernels.distinct import distinct
from chunkmed.kernels.moments import COUNT, HIGH_AT, LOW_AT, SCATTER, SPREAD, START, WEIGHTED, Moments

__all__ = ["merge_moments"]


def merge_moments(parts: list[Moments]) -> Moments:
    """Return the statistics of all blocks of one time point, labels ascending.

    Labels of a part may be in any order, and the same more than once. The result does not depend on the
    order of the parts but in the last bits of floats.
    """
    parts = [part for part in parts if len(part)] or parts[:1]
    if len(parts) == 1 and np.all(np.diff(parts[0].label) > 0):
        return parts[0]
    names = distinct(np.concatenate([part.label for part in parts]))
    out = [np.zeros((len(names), *column.shape[1:]), column.dtype) for column in _columns(parts[0])]
    for each in parts:
        _join(np.searchsorted(names, each.label), *map(writable, _columns(each)), *out)
    return Moments(names, *out)


def _columns(table: Moments) -> tuple[Array, ...]:
    return table.whole, table.real, table.total, table.ends


@kernel
def _join(rows, whole, real, total, ends, to_whole, to_real, to_total, to_ends):  # type: ignore[no-untyped-def] # pragma: no cover
    """Add a table to the one that is made, each row to its own there."""
    for k, row in enumerate(rows):
        if to_whole[row, COUNT] == 0:
            to_whole[row], to_real[row] = whole[k], real[k]
            to_total[row], to_ends[row] = total[k], ends[k]
        else:
            _put_extremes(whole[k], ends[k], to_whole[row], to_ends[row])
            gap = total[k] / whole[k, COUNT] - to_total[row] / to_whole[row, COUNT]
            _put_sums(whole[k], real[k], to_whole[row], to_real[row], gap)
            to_total[row] += total[k]


@part
def _put_extremes(whole, ends, to_whole, to_ends):  # type: ignore[no-untyped-def] # pragma: no cover
    """Keep the lowest and highest value, of equals the first; NaN is before all."""
    for end, at in ((0, LOW_AT), (1, HIGH_AT)):
        new, old = ends[end], to_ends[end]
        odd, was_odd = new != new, old != old
        beyond = (new < old) if end == 0 else (new > old)
        if (beyond and not was_odd) or (odd and not was_odd):
            to_ends[end], to_whole[at] = new, whole[at]
        elif new == old or (odd and was_odd):
            to_whole[at] = min(to_whole[at], whole[at])


@part
def _put_sums(whole, real, to_whole, to_real, gap):  # type: ignore[no-untyped-def] # pragma: no cover
    """Add counts, boxes and sums; ``gap`` is what the means are apart."""
    n, m = whole[COUNT], to_whole[COUNT]
    axes = len(real) - WEIGHTED
    share = np.float64(n) * np.float64(m) / np.float64(n + m)
    first = START + 2 * axes
    last = first + axes - 3
    z, y, x = (
        whole[last] / n - to_whole[last] / m,
        whole[last + 1] / n - to_whole[last + 1] / m,
        whole[last + 2] / n - to_whole[last + 2] / m,
    )
    for column in range(len(real)):
        to_real[column] += real[column]
    to_real[SPREAD] += gap * gap * share
    for column, product in enumerate((z * z, y * y, x * x, z * y, z * x, y * x)):
        to_real[SCATTER + column] += product * share
    for axis in range(axes):
        start, stop = START + axis, START + axes + axis
        to_whole[start] = min(to_whole[start], whole[start])
        to_whole[stop] = max(to_whole[stop], whole[stop])
        to_whole[first + axis] += whole[first + axis]
    to_whole[COUNT] += n
