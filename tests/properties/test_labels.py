"""Labels: scipy's, number for number, whatever the shape, the chunks, the blocks and the structure.

2,000 cases, a hundred with sides over 100: ``CHUNKMED_LONG=1 pytest tests/properties/test_labels.py``.
"""

import os
from contextlib import ExitStack, contextmanager, nullcontext
from unittest.mock import patch

import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from many_blocks import small_blocks, sourced

import chunkmed.ndimage as ndi
import chunkmed.testing.strategies as cst
from chunkmed.graph.box import sides
from chunkmed.graph.evaluate import recording
from chunkmed.graph.lift import lift
from chunkmed.graph.views import view

LONG = bool(os.environ.get("CHUNKMED_LONG"))
pytestmark = pytest.mark.timeout(3600 if LONG else 300)
RUN = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
DIMS = ("x", "yx", "zyx", "tyx", "tzyx")
DTYPES = ("bool", "uint8", "int16", "uint16", "float32", "float64")


@st.composite
def small(draw):
    """Draw dims, shape and sides of blocks: everywhere in at least two blocks along a long axis."""
    dims = tuple(draw(st.sampled_from(DIMS)))
    shape = draw(st.tuples(*[st.integers(1, 12)] * len(dims)))
    return dims, shape, draw(st.tuples(*[st.integers(1, 6)] * 3))


@st.composite
def large(draw):
    """The same with a side over 100, or two."""
    dims = tuple(draw(st.sampled_from(("x", "yx", "zyx", "tzyx"))))
    shape = list(draw(st.tuples(*[st.integers(1, 24)] * len(dims))))
    long = draw(st.sets(st.integers(0, len(dims) - 1), min_size=1, max_size=2))
    for axis in long:
        shape[axis] = draw(st.integers(101, 180))
    if dims[0] == "t" and 0 in long:
        shape[1:] = [min(n, 20) for n in shape[1:]]
    return dims, tuple(shape), draw(st.tuples(*[st.integers(12, 50)] * 3))


def mask_of(draw, shape):
    """Draw noise, in which every other voxel is an object, or smooth shapes that wind about."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from((0.03, 0.2, 0.35, 0.5, 0.65, 0.8, 0.97)))
    noise = rng.random(shape)
    if draw(st.booleans()):
        noise = scipy.ndimage.gaussian_filter(noise, draw(st.sampled_from((0.7, 1.5))))
    mask = noise < np.quantile(noise, density)
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    return np.where(mask, rng.integers(1, 9, shape), 0).astype(dtype)


@contextmanager
def no_more_than(size):
    """Fail where a task read more than a block."""
    with recording() as readings:
        yield
    assert readings
    for reading in readings:
        read = sides(reading.box)[-3:]
        assert all(n <= most for n, most in zip(read, size[-len(read) :], strict=True)), reading


@contextmanager
def in_two_bytes(most):
    """Let two bytes count only so many labels of a block."""
    with ExitStack() as stack:
        for module in ("runs", "components") if most is not None else ():
            stack.enter_context(patch(f"chunkmed.kernels.{module}.MOST", most))
        yield


def check_case(data, dims, shape, blocks, through):
    array = mask_of(data.draw, shape)
    timed = "t" in dims and not through
    structure = data.draw(st.none() | cst.structures(array.ndim - timed))
    chunks = data.draw(cst.chunkings(shape))
    as_source = data.draw(st.booleans())
    most = [max(sizes) for sizes in chunks]
    image = xr.DataArray(
        sourced(array, most) if as_source else da.from_array(array, chunks=chunks), dims=dims
    )
    # Dask's own tasks are not ours to watch.
    watched = no_more_than(blocks) if as_source else nullcontext()
    with small_blocks(blocks), in_two_bytes(data.draw(st.sampled_from((None, 0, 2)))), watched:
        labels, count = ndi.label(image, structure, axes=dims if through else None)
    # Back in other blocks than they were made in.
    node, other = lift(labels).node, data.draw(cst.chunkings(shape))
    found = view(node, other).compute(scheduler="synchronous")
    assert found.dtype == labels.dtype == np.int32
    for t in range(len(array)) if timed else [()]:
        wanted, number = scipy.ndimage.label(array[t], structure)
        np.testing.assert_array_equal(found[t], wanted)
        assert int(count[t] if timed else count) == number


@settings(max_examples=1900 if LONG else 40, **RUN)
@given(data=st.data(), case=small(), through=st.booleans())
def test_label(data, case, through):
    check_case(data, *case, through)


@settings(max_examples=100 if LONG else 6, **RUN)
@given(data=st.data(), case=large(), through=st.booleans())
def test_label_of_long_sides(data, case, through):
    check_case(data, *case, through)


@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("sign", [1, -1])
def test_label_along_one_diagonal(axes, sign):
    """Centrosymmetric, but not the same when an axis is mirrored: the seams must not mirror it."""
    structure = np.zeros((3, 3, 3), bool)
    for step in (-1, 0, 1):
        place = [1, 1, 1]
        place[axes[0]], place[axes[1]] = 1 + step, 1 + sign * step
        structure[tuple(place)] = True
    mask = np.random.default_rng(1).random((7, 8, 9)) < 0.6
    with small_blocks((2, 3, 2)):
        labels, count = ndi.label(sourced(mask, (2, 2, 2)), structure)
    wanted, number = scipy.ndimage.label(mask, structure)
    np.testing.assert_array_equal(labels.compute(), wanted)
    assert count == number
