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


def layout_of(shape: Sequence[int]) -> Layout:
    """Return the layout of an array whose last axes are z, y, x.

    Examples
    --------
    >>> layout_of((20, 15, 512, 512))
    Layout(inner=(1, 15, 128, 128), shard=(1, 15, 256, 256))
    """
    leading = len(shape) - min(3, len(shape))
    axes = _SPACE[3 - (len(shape) - leading) :]
    inner = [1] * leading + [min(n, _INNER[a]) for n, a in zip(shape[leading:], axes, strict=True)]
    # A shard is a whole number of inner chunks, and no larger than it must be.
    wanted = [_SHARD[a] for a in axes]
    sizes = zip(shape[leading:], inner[leading:], wanted, strict=True)
    shard = [1] * leading + [min(w // i * i, -(-n // i) * i) for n, i, w in sizes]
    return Layout(tuple(max(1, n) for n in inner), tuple(max(1, n) for n in shard))
