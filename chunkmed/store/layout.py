"""Inner chunks and shards of stored arrays.

A shard is the unit of writing (one task owns whole shards), an inner chunk the unit of reading. A
decoded shard stays below 16 MiB, so that memory is flat in z and a 4D series is a few hundred files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Layout", "layout_of"]

_INNER = {"z": 32, "y": 128, "x": 128}
_SHARD = {"z": 64, "y": 256, "x": 256}
_SPACE = ("z", "y", "x")


@dataclass(frozen=True)
class Layout:
    """Shapes of the inner chunks and of the shards, one number per axis."""

    inner: tuple[int, ...]
    shard: tuple[int, ...]


def layout_of(shape: Sequence[int], parts: Sequence[int] = (1, 1, 1)) -> Layout:
    """Return the layout of an array whose last axes are z, y, x.

    Parameters
    ----------
    shape : sequence of int
        Of the array.
    parts : sequence of int
        How much smaller than usual shards are, along z, y, x.

    Examples
    --------
    >>> layout_of((20, 15, 512, 512))
    Layout(inner=(1, 15, 128, 128), shard=(1, 15, 256, 256))
    >>> layout_of((20, 15, 256, 256), parts=(1, 2, 2))
    Layout(inner=(1, 15, 128, 128), shard=(1, 15, 128, 128))
    """
    leading = len(shape) - min(3, len(shape))
    axes = _SPACE[3 - (len(shape) - leading) :]
    wanted = [max(1, _SHARD[a] // n) for a, n in zip(axes, parts[-len(axes) :], strict=True)] if axes else []
    limits = [min(w, _INNER[a]) for w, a in zip(wanted, axes, strict=True)]
    inner = [1] * leading + [min(n, limit) for n, limit in zip(shape[leading:], limits, strict=True)]
    # A shard is a whole number of inner chunks, and no larger than it must be.
    sizes = zip(shape[leading:], inner[leading:], wanted, strict=True)
    shard = [1] * leading + [min(w // i * i, -(-n // i) * i) for n, i, w in sizes]
    return Layout(tuple(max(1, n) for n in inner), tuple(max(1, n) for n in shard))
