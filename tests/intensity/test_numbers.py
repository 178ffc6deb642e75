"""Numbers of the values of an image against NumPy's, whatever the dtype, the mask and the passes taken."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.testing.strategies as cst
from chunkmed.errors import InputError
from chunkmed.graph import selection

SHAPE = (2, 5, 6, 7)
DIMS = ("t", "z", "y", "x")
DTYPES = ("bool", "uint8", "int16", "uint16", "int32", "uint64", "float16", "float32", "float64")
RUN = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}


def drawn(dtype, seed=0):
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(SHAPE) < 0.3
    values = rng.normal(60, 30, SHAPE)
    return (np.abs(values) if dtype.startswith("u") else values).astype(dtype)


def image_of(values, chunks=(1, 2, 3, 4), **attrs):
    dims = DIMS[4 - values.ndim :]
    return xr.DataArray(sourced(values, chunks[-values.ndim :]), dims=dims, attrs=attrs)


@pytest.fixture(params=["passes", "passes and sorting"])
def passes(request, monkeypatch):
    monkeypatch.setattr(selection, "_FRAME_ENTRIES", 16)
    monkeypatch.setattr(selection, "_GATHERED", 0 if request.param == "passes" else 40)


def equal(found, wanted):
    """To the last bit; NumPy's dtype of a quantile of float32 differs from version to version."""
    np.testing.assert_array_equal(np.asarray(found, np.asarray(wanted).dtype), wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_percentiles_are_numpys(dtype):
    check_percentiles(dtype)


@pytest.mark.parametrize("dtype", ["uint64", "float32", "float64"])
def test_percentiles_in_passes_are_numpys(dtype, passes):
    check_percentiles(dtype)


def check_percentiles(dtype):
    values = drawn(dtype)
    plain = values.astype("uint8") if dtype == "bool" else values
    for q in (50, [0, 2, 25, 98.3, 100]):
        equal(cm.intensity.percentiles(image_of(values), q), np.percentile(plain, q))


def test_quantiles_of_each_time_point_in_a_mask(passes):
    values = drawn("float32")
    mask = values > 50
    found = cm.intensity.quantiles(image_of(values), [0.1, 0.9], mask=image_of(mask), per="time")
    assert found.dims == ("t", "quantile")
    for t in range(2):
        equal(found[t], np.quantile(values[t][mask[t]], [0.1, 0.9]))


def test_nan_and_padding_are_left_out():
    values = drawn("float32")
    values[values < 40] = np.nan
    equal(cm.intensity.percentiles(image_of(values), [5, 50]), np.nanpercentile(values, [5, 50]))
    stored = drawn("int16")
    stored[:, :, 0] = -2000
    image = image_of(stored, padding_value=-2000)
    assert cm.intensity.percentiles(image, 0) == stored[stored > -2000].min()
    assert cm.intensity.percentiles(image, 0, padding="include") == -2000


def test_of_integers_that_overflow():
    values = np.array([-32768, 32767], np.int16)
    assert cm.intensity.percentiles(image_of(values), 50) == -0.5


def test_time_points_without_values_are_nan():
    values = drawn("int16")
    mask = np.ones(SHAPE, bool)
    mask[1] = False
    image, where = image_of(values), image_of(mask)
    found = cm.intensity.percentiles(image, 50, mask=where, per="time")
    assert float(found[0]) == np.percentile(values[0], 50) and np.isnan(found[1])
    with pytest.raises(InputError) as refused:
        cm.intensity.percentiles(image, 50, mask=where & ~where)
    assert refused.value.kind == "no-values"


@pytest.mark.parametrize("arguments", [{"q": -1}, {"q": [5, 101]}])
def test_quantiles_that_are_none(arguments):
    with pytest.raises(InputError) as refused:
        cm.intensity.percentiles(image_of(drawn("int16")), **arguments)
    assert refused.value.kind == "bad-quantile"


@pytest.mark.parametrize("dtype", ["int16", "float32", "int64", "float16"])
def test_histogram_of_each_time_point(dtype):
    values = drawn(dtype)
    counts, edges = cm.intensity.histogram(image_of(values), 9, (-20, 90.5), per="time")
    assert counts.dims == ("t", "bin") and counts.dtype == np.int64
    for t in range(2):
        wanted, wanted_edges = np.histogram(values[t], 9, (-20, 90.5))
        np.testing.assert_array_equal(counts[t], wanted)
        np.testing.assert_array_equal(edges, wanted_edges.astype(float))


def test_integers_too_wide_for_a_float_are_counted_one_by_one():
    values = np.array([2**60 + 1, 2**60 + 2, 2**60 + 2, 2**60 + 4])
    counts, _ = cm.intensity.histogram(image_of(values))
    assert counts.tolist() == [1, 2, 0, 1]


def test_cdf_ends_at_one():
    values = drawn("uint8")
    parts, edges = cm.intensity.cdf(image_of(values), 256, (0, 255))
    hist, wanted_edges = np.histogram(values, 256, (0, 255))
    np.testing.assert_array_equal(parts, hist.cumsum() / hist.sum())
    np.testing.assert_array_equal(edges, wanted_edges)
    assert parts[-1] == 1


def test_otsu_of_each_time_point():
    values = drawn("int16")
    found = cm.intensity.otsu(image_of(values), per="time")
    for t in range(2):
        assert found[t] == cm.intensity.otsu(image_of(values[t]))


def test_numpy_and_dask_arrays():
    values = drawn("int16")
    lazy = da.from_array(values, chunks=3)
    for given_as in (values, lazy):
        assert cm.intensity.percentiles(given_as, 30) == np.percentile(values, 30)
        assert cm.intensity.histogram(given_as)[0].sum() == values.size
    assert isinstance(cm.intensity.equalize(values), np.ndarray)
    assert isinstance(cm.intensity.window(lazy, "lung"), da.Array)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda i: cm.intensity.histogram(i, per="slice"), "bad-per"),
        (lambda i: cm.intensity.histogram(i.isel(t=0), per="time"), "no-time"),
        (lambda i: cm.intensity.histogram(i, 0), "bad-bins"),
        (lambda i: cm.intensity.histogram(i, 5, (3, 1)), "bad-range"),
        (lambda i: cm.intensity.histogram(i, where=i > 3, mask=i > 3), "two-masks"),
        (lambda i: cm.intensity.histogram(i.astype("complex64")), "bad-dtype"),
        (lambda i: cm.intensity.histogram(i * np.inf), "bad-range"),
        (lambda i: cm.intensity.percentiles(i, 5, padding="perhaps"), "bad-padding"),
    ],
)
def test_what_is_refused(call, kind):
    with pytest.raises(InputError) as refused:
        call(image_of(np.maximum(drawn("int16"), 1)))
    assert refused.value.kind == kind


@settings(max_examples=15, **RUN)
@given(data=st.data(), dtype=st.sampled_from(["int16", "uint8", "float32", "int64"]))
def test_numbers_do_not_depend_on_chunks(data, dtype):
    seed = data.draw(st.integers(0, 99))
    shape = data.draw(st.tuples(*[st.integers(1, 7)] * 3))
    values = (np.random.default_rng(seed).normal(size=shape) * 40).astype(dtype)
    image = xr.DataArray(da.from_array(values, chunks=data.draw(cst.chunkings(shape))), dims=DIMS[1:])
    q = data.draw(st.lists(st.floats(0, 100), min_size=1, max_size=3))
    sides = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    with small_blocks(sides), pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_FRAME_ENTRIES", data.draw(st.sampled_from([16, 256, 1 << 18])))
        patch.setattr(selection, "_GATHERED", data.draw(st.sampled_from([0, 20, 1 << 20])))
        equal(cm.intensity.percentiles(image, q), np.percentile(values, q))
        counts, _edges = cm.intensity.histogram(image, 7)
        lazy = cm.intensity.equalize(image).compute()
    wanted, _ = np.histogram(values, 7)
    np.testing.assert_array_equal(counts, wanted)
    np.testing.assert_array_equal(lazy, cm.intensity.equalize(values))
