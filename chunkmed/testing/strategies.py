"""Hypothesis strategies: images, the ways to chunk them, borders and neighbourhoods.

With ``steps`` the only module that imports hypothesis.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

__all__ = ["BORDER_MODES", "border_modes", "chunkings", "images", "structures"]

#: scipy.ndimage's border modes.
BORDER_MODES = ("reflect", "constant", "nearest", "mirror", "wrap")

_DTYPES = ("bool", "uint8", "int16", "uint16", "float32", "float64")


@st.composite
def images(
    draw: st.DrawFn, ndim: int = 3, dtypes: Sequence[str] = _DTYPES, max_side: int = 12
) -> npt.NDArray[Any]:
    """Draw an image: noise with few or many distinct values, so that ties and flat areas occur.

    Parameters
    ----------
    ndim : int
        Number of axes.
    dtypes : sequence of str
        Types to choose from; float images have fractions, signed ones negative values.
    max_side : int
        Largest length of an axis; the smallest is 1.
    """
    shape = draw(st.tuples(*[st.integers(1, max_side)] * ndim))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    levels = draw(st.integers(1, 100))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if dtype.kind == "b":
        return np.asarray(rng.random(shape) < levels / 101)
    lowest = 0 if dtype.kind == "u" else -(levels // 2)
    values = rng.integers(lowest, lowest + levels + 1, size=shape)
    return np.asarray(values / 8 if dtype.kind == "f" else values).astype(dtype)


@st.composite
def chunkings(
    draw: st.DrawFn, shape: Sequence[int], min_blocks_on_long_axes: int = 2
) -> tuple[tuple[int, ...], ...]:
    """Draw dask chunks for ``shape``: uneven, and no axis in fewer blocks than asked for.

    Parameters
    ----------
    shape : sequence of int
        Lengths of the axes.
    min_blocks_on_long_axes : int
        Fewest blocks along an axis; axes shorter than this are cut into single voxels.
    """
    return tuple(draw(_cuts(length, min(min_blocks_on_long_axes, max(length, 1)))) for length in shape)


def border_modes() -> SearchStrategy[str]:
    """Draw one of scipy.ndimage's border modes."""
    return st.sampled_from(BORDER_MODES)


@st.composite
def structures(draw: st.DrawFn, ndim: int, *, symmetric: bool = True) -> npt.NDArray[np.bool_]:
    """Draw a neighbourhood of side 3: bool, the centre set.

    Parameters
    ----------
    ndim : int
        Number of axes.
    symmetric : bool
        Equal to its own reflection through the centre, as ``scipy.ndimage.label`` demands.
    """
    steps = np.abs(np.indices((3,) * ndim) - 1).sum(axis=0)
    if draw(st.booleans()):
        return np.asarray(steps <= draw(st.integers(1, ndim)))
    members = draw(st.lists(st.booleans(), min_size=steps.size, max_size=steps.size))
    structure = np.array(members).reshape(steps.shape) | (steps == 0)
    return np.asarray(structure | np.flip(structure) if symmetric else structure)


@st.composite
def _cuts(draw: st.DrawFn, length: int, min_blocks: int) -> tuple[int, ...]:
    if length <= 1:
        return (length,)
    inner = st.integers(1, length - 1)
    most = max(min_blocks - 1, min(length - 1, 5))
    cuts = draw(st.lists(inner, min_size=min_blocks - 1, max_size=most, unique=True))
    edges = [0, *sorted(cuts), length]
    return tuple(stop - start for start, stop in pairwise(edges))
