"""Whatever the chunks and whatever blocks a sink takes, the result is that of one chunk: scipy's."""

import math

import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
import chunkmed.testing.strategies as cst
from chunkmed.graph.box import chunk_boxes, grow
from chunkmed.graph.evaluate import recording
from chunkmed.graph.lift import lift
from chunkmed.graph.views import compute_block, view

DIMS = ("t", "z", "y", "x")
MODES = (*cst.BORDER_MODES, "grid-mirror", "grid-constant")
RUN = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
BINARY = ("binary_erosion", "binary_dilation", "binary_opening", "binary_closing")


def draw_sides(draw):
    return draw(st.tuples(*[st.integers(1, 6)] * 3))


@st.composite
def cases(draw, dtypes=("int16", "float32", "bool"), dims=("x", "yx", "zyx", "tyx", "tzyx"), max_side=9):
    """Draw an array and the same as an image in at least two blocks on each long axis."""
    names = tuple(draw(st.sampled_from(dims)))
    array = draw(cst.images(ndim=len(names), dtypes=dtypes, max_side=max_side))
    array = array[:3] if names[0] == "t" else array
    if draw(st.booleans()):
        data = da.from_array(array, chunks=draw(cst.chunkings(array.shape)))
    else:
        data = sourced(array, draw(st.tuples(*[st.integers(1, 5)] * array.ndim)))
    return array, xr.DataArray(data, dims=names)


def computed(image, draw):
    """Compute an image in other blocks than it was made with."""
    other = draw(cst.chunkings(image.shape))
    values = view(lift(image).node, other).compute(scheduler="synchronous")
    assert values.dtype == image.dtype
    return values


def per_time(function, *arrays, timed):
    """Apply a function of NumPy arrays to each time point."""
    if not timed:
        return function(*arrays)
    return np.stack([function(*parts) for parts in zip(*arrays, strict=True)])


def check(found, wanted):
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == wanted.dtype


@settings(max_examples=35, **RUN)
@given(data=st.data(), case=cases())
def test_gaussian(data, case):
    array, image = case
    mode, order = data.draw(st.sampled_from(MODES)), data.draw(st.integers(0, 1))
    sigma = data.draw(st.sampled_from([0.0, 0.4, 1.0, 2.3]))
    arguments = {"sigma": sigma, "mode": mode, "order": order, "cval": 4.0}
    wanted = per_time(lambda a: scipy.ndimage.gaussian_filter(a, **arguments), array, timed="t" in image.dims)
    check(computed(ndi.gaussian_filter(image, **arguments), data.draw), wanted)


def plane_median(array, size, origin, **arguments):
    """scipy ranks lines in a way of their own, which is wrong for windows that are longer."""
    if array.ndim > 1:
        return scipy.ndimage.median_filter(array, size, origin=origin, **arguments)
    return scipy.ndimage.median_filter(array[np.newaxis], (1, size), origin=(0, origin), **arguments)[0]


@settings(max_examples=25, **RUN)
@given(data=st.data(), case=cases(max_side=7))
def test_median(data, case):
    array, image = case
    mode, size = data.draw(st.sampled_from(MODES)), data.draw(st.integers(1, 4))
    origin = data.draw(st.integers(-(size // 2), (size - 1) // 2))
    arguments = {"size": size, "mode": mode, "origin": origin, "cval": 1.0}
    wanted = per_time(lambda a: plane_median(a, **arguments), array, timed="t" in image.dims)
    check(computed(ndi.median_filter(image, **arguments), data.draw), wanted)


@settings(max_examples=40, **RUN)
@given(data=st.data(), case=cases(dtypes=("bool", "uint8")), name=st.sampled_from(BINARY))
def test_binary_morphology(data, case, name):
    array, image = case
    timed = "t" in image.dims
    arguments = {
        "iterations": data.draw(st.integers(1, 3)),
        "border_value": data.draw(st.integers(0, 1)),
        "structure": data.draw(st.none() | cst.structures(array.ndim - timed, symmetric=False)),
        "brute_force": data.draw(st.booleans()),
    }
    wanted = per_time(lambda a: getattr(scipy.ndimage, name)(a, **arguments), array, timed=timed)
    check(computed(getattr(ndi, name)(image, **arguments), data.draw), wanted)


@settings(max_examples=30, **RUN)
@given(data=st.data(), case=cases(dtypes=("int16", "uint8", "float32")))
def test_numbers_of_objects(data, case):
    array, image = case
    timed = "t" in image.dims
    ids = data.draw(st.integers(0, 2**31)), data.draw(st.integers(1, 6))
    ids = np.random.default_rng(ids[0]).integers(0, ids[1], array.shape).astype(np.int32)
    labels = xr.DataArray(da.from_array(ids, chunks=data.draw(cst.chunkings(ids.shape))), dims=image.dims)
    index = sorted(set(ids[ids > 0].tolist()))
    frames = list(zip(array, ids, strict=True)) if timed else [(array, ids)]
    with small_blocks():
        sums, means = ndi.sum_labels(image, labels, index), ndi.mean(image, labels, index)
        spread, boxes = ndi.variance(image, labels, index), ndi.find_objects(labels)
        highest = ndi.maximum(image, labels, index)
        # Shifted above zero, so that no sum of weights vanishes.
        lifted = image.astype("float64") + 100.0
        centers = ndi.center_of_mass(lifted, labels, index)
    for t, (a, i) in enumerate(frames):
        own, exact = sorted(set(i[i > 0].tolist())), a.astype(np.float64)
        rows = [index.index(name) for name in own]
        for found, function, image_t in (
            (sums, scipy.ndimage.sum_labels, exact),
            (means, scipy.ndimage.mean, exact),
            (spread, scipy.ndimage.variance, exact),
            (centers, scipy.ndimage.center_of_mass, exact + 100),
        ):
            part = np.asarray(found[t] if timed else found)[rows]
            with np.errstate(invalid="ignore"):
                wanted = np.asarray(function(image_t, i, own)).reshape(part.shape)
            np.testing.assert_allclose(part, wanted, rtol=1e-9, atol=1e-9)
        check(
            np.asarray(highest[t] if timed else highest)[rows],
            np.asarray(scipy.ndimage.maximum(a, i, own), a.dtype),
        )
        assert (boxes[t] if timed else boxes) == scipy.ndimage.find_objects(i)


@settings(max_examples=25, **RUN)
@given(data=st.data(), case=cases(dtypes=("int16", "float32"), dims=("yx", "zyx", "tzyx")))
def test_chain(data, case):
    array, image = case
    mode, level = data.draw(st.sampled_from(MODES)), float(np.mean(array))
    steps = data.draw(st.integers(1, 2))
    with small_blocks(draw_sides(data.draw)):
        smooth = ndi.gaussian_filter(image, sigma=1.0, mode=mode)
        mask = ndi.binary_closing(smooth > level, iterations=steps) | (image > 2 * level)
        labels, _ = ndi.label(mask)
    mean = ndi.mean(smooth, labels)

    def reference(a):
        blurred = scipy.ndimage.gaussian_filter(a, sigma=1.0, mode=mode)
        closed = scipy.ndimage.binary_closing(blurred > level, iterations=steps) | (a > 2 * level)
        return scipy.ndimage.label(closed)[0]

    wanted = per_time(reference, array, timed="t" in image.dims)
    check(computed(labels, data.draw), wanted)
    blurred = per_time(
        lambda a: scipy.ndimage.gaussian_filter(a, sigma=1.0, mode=mode), array, timed="t" in image.dims
    )
    frames = zip(blurred, wanted, strict=True) if "t" in image.dims else [(blurred, wanted)]
    inside = [b[w > 0].mean(dtype=np.float64) if (w > 0).any() else np.nan for b, w in frames]
    np.testing.assert_allclose(np.atleast_1d(mean), inside, rtol=1e-9)


@settings(max_examples=10, **RUN)
@given(data=st.data(), workers=st.integers(1, 4))
def test_any_budget_gives_the_same(data, workers):
    array = data.draw(cst.images(ndim=3, dtypes=("int16",), max_side=8))
    image = xr.DataArray(sourced(array, (2, 2, 3)), dims=DIMS[1:])
    smooth = ndi.gaussian_filter(image, 1.0)
    with cm.config(memory="8 GB", workers=workers):
        plain = ndi.sum(smooth), ndi.label(smooth > 3)[0].compute().values
        with small_blocks((1, 2, 3)):
            cut = ndi.sum(smooth), ndi.label(smooth > 3)[0].compute().values
    assert plain[0] == cut[0]
    check(cut[1], plain[1])


def test_minimum_and_maximum_with_nan_do_not_depend_on_blocks():
    for place in ((0, 0), (1, 2), (2, 3)):
        array = np.arange(12.0).reshape(3, 4)
        array[place] = np.nan
        found = set()
        for chunks in ((3, 4), (1, 4), (3, 1), (1, 1)):
            lazy = da.from_array(array, chunks=chunks)
            found.add(str((ndi.minimum(lazy), ndi.maximum(lazy))))
        assert len(found) == 1, f"NaN at {place}: {found}"


@st.composite
def chains(draw, mode):
    """Draw a chain of stencils over one source: its image and the source's array."""
    shape = draw(st.tuples(st.integers(8, 14), st.integers(8, 14)))
    array = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 99, shape).astype(np.int16)
    image = sourced(array, draw(st.tuples(st.integers(2, 5), st.integers(2, 5))))
    smooth = ndi.gaussian_filter(image, draw(st.sampled_from([0.3, 0.6])), mode=mode)
    chain = ndi.median_filter(smooth, draw(st.integers(1, 3)), mode=mode) if draw(st.booleans()) else smooth
    if draw(st.booleans()):
        chain = ndi.binary_closing(chain - image > 3)
    return chain


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "wrap"])
@settings(max_examples=6, **RUN)
@given(data=st.data())
def test_no_task_reads_more_than_its_block_and_the_halo(mode, data):
    chain = data.draw(chains(mode))
    node, halo = lift(chain).node, cm.explain(chain).halo
    for _, box in chunk_boxes(chain.chunks):
        with recording() as readings:
            compute_block(node, box)
        allowed = grow(box, halo, node.shape)
        assert len(readings) == 1
        for (start, stop), (low, high) in zip(readings[0].box, allowed, strict=True):
            assert low <= start and stop <= high


@pytest.mark.parametrize("mode", ["wrap", "grid-wrap"])
@pytest.mark.parametrize("filters", [1, 2])
@settings(max_examples=8, **RUN)
@given(chunks=st.tuples(st.integers(2, 5), st.integers(2, 5)))
def test_a_task_that_wraps_reads_no_more_voxels_than_its_grown_block(mode, filters, chunks):
    array = np.random.default_rng(0).integers(0, 99, (12, 14)).astype(np.int16)
    chain = ndi.gaussian_filter(sourced(array, chunks), 0.6, mode=mode)
    if filters == 2:
        chain = ndi.median_filter(chain, 3, mode=mode)
    halo = cm.explain(chain).halo
    for _, box in chunk_boxes(chain.chunks):
        with recording() as readings:
            compute_block(lift(chain).node, box)
        # Nested pieces may overlap: what counts is that no voxel outside the halo is seen.
        allowed = [
            {i % n for i in range(low - depth, high + depth)}
            for (low, high), depth, n in zip(box, halo, array.shape, strict=True)
        ]
        for reading in readings:
            for (low, high), near in zip(reading.box, allowed, strict=True):
                assert set(range(low, high)) <= near


@settings(max_examples=10, **RUN)
@given(data=st.data())
def test_a_chain_is_one_task_per_block(data):
    chain = data.draw(chains("reflect"))
    blocks = math.prod(chain.numblocks)
    # One more for the node, which all tasks share.
    assert len(dict(chain.dask)) == blocks + 1
    assert len(chain.dask.layers) == 1
    assert len(chain.dask.layers[chain.name]) - 1 == blocks


def test_explained_halo_of_a_crop_is_that_of_what_is_cropped():
    image = xr.DataArray(sourced(np.zeros((2, 9, 9, 9)), (1, 3, 3, 3)), dims=DIMS)
    smooth = ndi.gaussian_filter(image, 1.0)
    assert cm.explain(smooth).halo == (0, 4, 4, 4)
    assert cm.explain(smooth.isel(t=0)).halo == (4, 4, 4)
    assert cm.explain(smooth.isel(y=3)).halo == (0, 4, 4)
