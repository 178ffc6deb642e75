"""Histograms and thresholds against plain NumPy."""

import warnings

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from many_blocks import little_memory, small_blocks, sourced

import chunkmed as cm
from chunkmed.errors import InputError

DIMS = ("z", "y", "x")


@pytest.fixture(autouse=True)
def _strict():
    with small_blocks(), little_memory(), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def image_of(values):
    return xr.DataArray(sourced(values, (2, 3, 4)[-values.ndim :]), dims=DIMS[-values.ndim :])


def drawn(dtype, seed=0):
    rng = np.random.default_rng(seed)
    dark, bright = rng.normal(40, 8, (5, 7, 9)), rng.normal(150, 20, (5, 7, 9))
    values = np.where(rng.random((5, 7, 9)) < 0.4, bright, dark)
    return np.clip(values, 0, 250).astype(dtype)


def plain_otsu(values):
    """Otsu's threshold of integers, by trying every split."""
    best, found = -1.0, []
    for level in range(int(values.min()), int(values.max())):
        low, high = values[values <= level], values[values > level]
        between = len(low) * len(high) * (low.mean() - high.mean()) ** 2
        if between > best * (1 + 1e-12):
            best, found = between, [level]
        elif between >= best * (1 - 1e-12):
            found.append(level)
    return (found[0] + found[-1]) / 2


# ----------------------------------------------------------------------------------- histogram


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32"])
def test_integers_are_counted_value_by_value(dtype):
    values = drawn(dtype) - (60 if dtype.startswith("int") else 0)
    counts, edges = cm.intensity.histogram(image_of(values))
    names, wanted = np.unique(values, return_counts=True)
    assert counts.dtype == np.int64 and counts.sum() == values.size
    assert edges[0] == values.min() - 0.5 and edges[-1] == values.max() + 0.5
    np.testing.assert_array_equal(np.flatnonzero(counts) + int(values.min()), names)
    np.testing.assert_array_equal(counts[counts > 0], wanted)


@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
@pytest.mark.parametrize("bins", [1, 7, 256])
def test_bins_are_numpys(dtype, bins):
    values = drawn(dtype)
    counts, edges = cm.intensity.histogram(image_of(values), bins)
    wanted, wanted_edges = np.histogram(values, bins)
    np.testing.assert_array_equal(counts, wanted)
    np.testing.assert_allclose(edges, wanted_edges, rtol=1e-7)


def test_floats_have_1024_bins():
    counts, edges = cm.intensity.histogram(image_of(drawn("float32")))
    assert len(counts) == 1024 and counts.sum() == drawn("float32").size and len(edges) == 1025


@pytest.mark.parametrize("dtype", ["int16", "float64"])
def test_a_range_with_bins(dtype):
    values = drawn(dtype)
    counts, edges = cm.intensity.histogram(image_of(values), 20, low=30, high=100)
    wanted, wanted_edges = np.histogram(values, 20, (30, 100))
    np.testing.assert_array_equal(counts, wanted)
    np.testing.assert_allclose(edges, wanted_edges)


@pytest.mark.parametrize(("low", "high"), [(30, 100), (None, 100), (30, None), (-5, 400)])
def test_values_outside_a_range_are_not_counted(low, high):
    values = drawn("int16")
    counts, edges = cm.intensity.histogram(image_of(values), low=low, high=high)
    first, last = (int(values.min()) if low is None else low), (int(values.max()) if high is None else high)
    assert (edges[0], edges[-1]) == (first - 0.5, last + 0.5)
    np.testing.assert_array_equal(counts, [(values == v).sum() for v in range(first, last + 1)])


def test_a_mask_limits_what_is_counted():
    values = drawn("int16")
    image = image_of(values)
    counts, _ = cm.intensity.histogram(image, where=(image > 90))
    assert counts.sum() == (values > 90).sum()
    frame = image.isel(z=0, drop=True) > 90
    counts, _ = cm.intensity.histogram(image, where=frame)
    assert counts.sum() == values[:, values[0] > 90].size


def test_an_empty_mask_is_refused():
    image = image_of(drawn("int16"))
    with pytest.raises(InputError) as refused:
        cm.intensity.histogram(image, where=image > 999)
    assert refused.value.kind == "no-values"


def test_nan_is_not_counted():
    values = drawn("float64")
    values[values < 40] = np.nan
    counts, edges = cm.intensity.histogram(image_of(values), 50)
    wanted, wanted_edges = np.histogram(values[~np.isnan(values)], 50)
    np.testing.assert_array_equal(counts, wanted)
    np.testing.assert_allclose(edges, wanted_edges)


def test_a_block_of_nan_only():
    values = drawn("float64")
    values[:2, :3, :4] = np.nan
    counts, _ = cm.intensity.histogram(image_of(values), 5)
    assert counts.sum() == values.size - 24


def test_a_mask_has_two_values():
    values = drawn("int16") > 90
    counts, edges = cm.intensity.histogram(image_of(values))
    assert counts.tolist() == [(~values).sum(), values.sum()]
    assert edges.tolist() == [-0.5, 0.5, 1.5]


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "uint8"])
def test_the_widest_range_of_a_dtype(dtype):
    about = np.iinfo(dtype)
    values = np.array([about.min, about.min, 0, about.max], dtype)
    counts, edges = cm.intensity.histogram(image_of(values))
    assert counts.sum() == 4 and counts[0] >= 2 and counts[-1] == 1
    assert edges[0] <= about.min and edges[-1] >= about.max


def test_one_value_only():
    counts, edges = cm.intensity.histogram(image_of(np.full((4, 4), 2.0)), 4)
    wanted, wanted_edges = np.histogram(np.full(16, 2.0), 4)
    assert counts.tolist() == wanted.tolist()
    np.testing.assert_allclose(edges, wanted_edges)


def test_masks_of_another_shape_are_refused():
    image = image_of(drawn("int16"))
    with pytest.raises((InputError, ValueError)):
        cm.intensity.histogram(image, where=image.isel(x=slice(0, 3)) > 3)


# ---------------------------------------------------------------------------------------- otsu


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
@pytest.mark.parametrize("seed", range(4))
def test_otsu_of_integers(dtype, seed):
    values = drawn(dtype, seed)
    assert cm.intensity.otsu(image_of(values)) == pytest.approx(plain_otsu(values))


def test_otsu_inside_a_mask():
    values = drawn("int16")
    image = image_of(values)
    found = cm.intensity.otsu(image, image > 20)
    assert found == pytest.approx(plain_otsu(values[values > 20]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_otsu_of_floats_is_within_a_bin(dtype):
    values = drawn("float64") + np.random.default_rng(1).random((5, 7, 9))
    found = cm.intensity.otsu(image_of(values.astype(dtype)))
    order = np.sort(values.ravel())
    splits = [
        len(order[:i]) * len(order[i:]) * (order[:i].mean() - order[i:].mean()) ** 2
        for i in range(1, len(order))
    ]
    best = 1 + int(np.argmax(splits))
    width = np.ptp(values) / 1024
    assert order[best - 1] - width <= found <= order[best] + width


def test_otsu_of_two_values_lies_between():
    values = np.repeat([10, 90], 60).astype(np.int16).reshape(5, 4, 6)
    assert 10 <= cm.intensity.otsu(image_of(values)) < 90
    assert (values > cm.intensity.otsu(image_of(values))).sum() == 60


def test_otsu_of_one_value_separates_nothing():
    assert cm.intensity.otsu(image_of(np.full((4, 4), 7, np.int16))) == 7


def test_histograms_do_not_depend_on_chunks():
    values = drawn("float32")
    results = set()
    for chunks in (9, 4, 2, 1):
        image = xr.DataArray(da.from_array(values, chunks=chunks), dims=DIMS)
        counts, edges = cm.intensity.histogram(image, 33)
        results.add((tuple(counts.tolist()), tuple(edges.tolist())))
    assert len(results) == 1
