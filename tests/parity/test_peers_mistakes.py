"""What other chunked image libraries get wrong, and scipy gets right: one test of each mistake.

Rows of functions that are not there wait for them, and run once they are.
"""

import warnings

import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
import xarray as xr

import chunkmed.ndimage as ndi

CHUNKS = ((3, 4), (5, 4), (2, 6, 3))
SHAPE = tuple(sum(sizes) for sizes in CHUNKS)
FILTERS = {
    "gaussian_filter": {"sigma": 1.5},
    "uniform_filter": {"size": (3, 2, 5)},
    "median_filter": {"size": 3},
    "sobel": {"axis": 0},
    "prewitt": {"axis": -1},
    "laplace": {},
    "maximum_filter": {"size": (2, 3, 4)},
    "gaussian_gradient_magnitude": {"sigma": 1.0},
}


def function(name):
    found = getattr(ndi, name, None)
    return found if found is not None else pytest.skip(f"{name} is not there yet")


def image_of(dtype="float64", shape=SHAPE):
    return np.random.default_rng(17).integers(0, 100, shape).astype(dtype)


@pytest.mark.parametrize("name", FILTERS)
def test_wrap_continues_on_the_other_side_and_not_in_the_next_block(name):
    # dask-image hands the mode to every block, which then wraps into itself.
    image, arguments = image_of(), FILTERS[name]
    found = function(name)(da.from_array(image, chunks=CHUNKS), mode="wrap", **arguments).compute()
    wanted = getattr(scipy.ndimage, name)(image, mode="wrap", **arguments)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    assert not np.allclose(wanted, getattr(scipy.ndimage, name)(image, mode="nearest", **arguments))


@pytest.mark.parametrize(("lowest", "highest", "bins"), [(0.5, 9.75, 7), (-0.25, 0.5, 3), (2.5, 2.75, 4)])
def test_histogram_of_a_range_that_is_no_whole_number(lowest, highest, bins):
    # dask-image cuts the range to whole numbers.
    image = np.random.default_rng(3).integers(-8, 80, SHAPE) / 8
    found = function("histogram")(da.from_array(image, chunks=CHUNKS), lowest, highest, bins)
    np.testing.assert_array_equal(found, scipy.ndimage.histogram(image, lowest, highest, bins))


@pytest.mark.parametrize("name", [name for name in FILTERS if name not in ("sobel", "prewitt")])
def test_filters_stay_in_their_time_point(name):
    # Libraries without named axes blur the heart's frames into each other.
    image, arguments = image_of(shape=(3, *SHAPE)), FILTERS[name]
    dims = ("t", "z", "y", "x")
    series = xr.DataArray(da.from_array(image, chunks=((2, 1), *CHUNKS)), dims=dims)
    found = function(name)(series, **arguments)
    assert found.dims == dims
    for t in range(3):
        wanted = getattr(scipy.ndimage, name)(image[t], **arguments)
        np.testing.assert_allclose(found[t].values, wanted, rtol=1e-12, atol=1e-12)


def test_labels_do_not_join_through_time():
    mask = image_of("uint8", (3, *SHAPE)) < 25
    labels, count = ndi.label(
        xr.DataArray(da.from_array(mask, chunks=((2, 1), *CHUNKS)), dims=("t", "z", "y", "x"))
    )
    for t in range(3):
        wanted, number = scipy.ndimage.label(mask[t])
        np.testing.assert_array_equal(labels[t].values, wanted)
        assert int(count[t]) == number


def test_sobel_of_small_integers_warns_that_it_may_wrap():
    # CT in int16: a step from air to metal is 8 times 4,000 and more, and wraps silently elsewhere.
    image = image_of("int16")
    lazy = da.from_array(image, chunks=CHUNKS)
    with pytest.warns(UserWarning, match="int16"):
        found = function("sobel")(lazy, axis=0).compute()
    np.testing.assert_array_equal(found, scipy.ndimage.sobel(image, axis=0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wide = function("sobel")(lazy, axis=0, output="float32").compute()
    np.testing.assert_array_equal(wide, scipy.ndimage.sobel(image, axis=0, output="float32"))


def test_every_mistake_has_a_function_in_scipy():
    assert all(hasattr(scipy.ndimage, name) for name in (*FILTERS, "histogram"))
