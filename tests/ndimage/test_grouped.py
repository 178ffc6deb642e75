"""Medians, histograms, functions and indices of objects: what rows of the parity table do not show."""

import warnings

import dask
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
from chunkmed.errors import PlanError
from chunkmed.graph import gathered, selection, tally
from chunkmed.graph.evaluate import recording
from chunkmed.ndimage import indices

SHAPE = (2, 5, 6, 7)
DIMS = ("t", "z", "y", "x")
RUN = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}


@pytest.fixture(autouse=True)
def _many_blocks():
    with small_blocks(), dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        yield


def drawn(dtype="int16", seed=0):
    return (np.random.default_rng(seed).normal(size=SHAPE) * 50).astype(dtype)


def labels_of(most=5, seed=1):
    return np.random.default_rng(seed).integers(0, most + 1, SHAPE).astype(np.int32)


def lazy(array, named=True):
    data = sourced(array, (1, 2, 3, 4)[4 - array.ndim :])
    return xr.DataArray(data, dims=DIMS[4 - array.ndim :]) if named else data


def same(found, wanted):
    np.testing.assert_array_equal(found, wanted)
    assert np.asarray(found).dtype == np.asarray(wanted).dtype


# ------------------------------------------------------------------------------------ statistics


def test_places_in_five_axes():
    rng = np.random.default_rng(5)
    image, labels = (
        rng.permutation(2 * 3 * 2 * 4 * 3).reshape(2, 3, 2, 4, 3),
        rng.integers(0, 4, (2, 3, 2, 4, 3)),
    )
    chunked = [da.from_array(each, chunks=(1, 2, 1, 3, 2)) for each in (image, labels)]
    index = [3, 1]
    for name in ("maximum_position", "minimum_position", "center_of_mass", "variance"):
        wanted = getattr(scipy.ndimage, name)(image, labels, index)
        np.testing.assert_allclose(getattr(ndi, name)(*chunked, index), wanted, rtol=1e-12)
    assert ndi.find_objects(chunked[1]) == scipy.ndimage.find_objects(labels)
    nothing = da.zeros((0, 2, 3, 4, 5), dtype="int32", chunks=2)
    assert ndi.find_objects(nothing) == [] and ndi.sum(nothing, nothing, [1]).tolist() == [0]
    assert len(ndi.center_of_mass(nothing, nothing, [1])[0]) == 5


# -------------------------------------------------------------------------------------- median


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_is_highest_among_labels_and_everything_in_one(dtype):
    image, labels = drawn(dtype)[0], labels_of(40)[0]
    image[np.random.default_rng(3).random(image.shape) < 0.3] = np.nan
    index = np.unique(labels[labels > 0])
    found = ndi.median(lazy(image), lazy(labels), index)
    assert np.isnan(found).any() and not np.isnan(found).all()
    same(found, scipy.ndimage.median(image, labels, index))
    for one in index[:4]:
        same(ndi.median(lazy(image), lazy(labels), int(one)), scipy.ndimage.median(image, labels, int(one)))
    assert np.isnan(ndi.median(lazy(image)))


@pytest.mark.parametrize("limits", [(16, 0), (16, 12), (64, 1 << 20)])
@pytest.mark.parametrize("dtype", ["int16", "float32", "int64", "float64"])
def test_median_in_any_number_of_passes(dtype, limits, monkeypatch):
    monkeypatch.setattr(selection, "_FRAME_ENTRIES", limits[0])
    monkeypatch.setattr(selection, "_GATHERED", limits[1])
    image, labels, index = drawn(dtype), labels_of(), [5, 1, 3]
    found = ndi.median(lazy(image), lazy(labels), index)
    assert found.dims == ("t", "label") and found.label.values.tolist() == index
    for t in range(2):
        same(found[t], scipy.ndimage.median(image[t], labels[t], index))


def test_labels_that_are_not_there_have_no_median():
    found = ndi.median(lazy(drawn()), lazy(labels_of()), [1, 99])
    assert not np.isnan(found[:, 0]).any() and np.isnan(found[:, 1]).all()
    assert np.isnan(ndi.median(lazy(drawn()[0]), lazy(labels_of()[0]), 99))


@pytest.mark.parametrize("shape", [(0, 5), (3, 0, 2)])
def test_images_without_voxels(shape):
    image = da.zeros(shape, dtype="int16", chunks=2)
    assert np.isnan(ndi.median(image))
    assert np.isnan(ndi.median(image, image, [1, 2])).all()
    assert ndi.histogram(image, 0, 5, 3).tolist() == [0, 0, 0]
    assert ndi.histogram(image, 0, 5, 3, image, [1]).tolist() == [None]
    assert ndi.labeled_comprehension(image, image, [1], np.sum, int, -3).tolist() == [-3]
    assert ndi.value_indices(image) == {}


def test_numbers_and_numpy_labels():
    labels = labels_of()[0]
    same(ndi.median(7, lazy(labels), [1, 2]), scipy.ndimage.median(7, labels, [1, 2]))
    same(ndi.median(lazy(drawn()[0], named=False), labels, 2), scipy.ndimage.median(drawn()[0], labels, 2))
    found = ndi.histogram(3, 0, 9, 3, lazy(labels), 1)
    same(found, scipy.ndimage.histogram(3, 0, 9, 3, labels, 1))


def test_index_in_two_axes_and_twice():
    image, labels = drawn()[0], labels_of()[0]
    index = np.array([[1, 2], [2, 5]])
    same(ndi.median(lazy(image), lazy(labels), index), scipy.ndimage.median(image, labels, index))


@pytest.mark.parametrize("dtype", ["uint8", "uint64", "int64", "bool", "float64"])
def test_labels_of_any_dtype(dtype):
    image, labels = drawn()[0], labels_of(1 if dtype == "bool" else 5)[0].astype(dtype)
    if dtype in ("uint64", "int64"):
        # Far apart, beyond what a table holds.
        labels = np.where(labels == 3, labels.dtype.type(2**62 + 1), labels)
    index = np.unique(labels)[1:]
    wanted = [np.median(image[labels == one]) for one in index]
    np.testing.assert_array_equal(ndi.median(lazy(image), lazy(labels), index), wanted)


def test_image_and_labels_without_time():
    image, labels = drawn(), labels_of()
    found = ndi.median(lazy(image), lazy(labels[0]), [1, 2])
    for t in range(2):
        same(found[t], scipy.ndimage.median(image[t], labels[0], [1, 2]))
    found = ndi.median(lazy(image[0]), lazy(labels), [1, 2])
    for t in range(2):
        same(found.isel(t=t), scipy.ndimage.median(image[0], labels[t], [1, 2]))


# ----------------------------------------------------------------------------------- histogram


def test_fractional_ranges_where_float32_differs():
    values = np.array([0.1, 0.3, 0.7, 0.9, 1.1], np.float32)
    image = da.from_array(values, chunks=2)
    for low, high, bins in ((0.1, 0.9, 8), (0.3, 1.1, 3), (0.1, 1.1, 10), (0.7, 0.7, 4)):
        same(ndi.histogram(image, low, high, bins), scipy.ndimage.histogram(values, low, high, bins))


def test_many_labels_and_many_bins_are_counted_some_at_a_time(monkeypatch):
    monkeypatch.setattr(tally, "_MOST_ENTRIES", 20)
    image, labels = drawn(), labels_of(30)
    found = ndi.histogram(lazy(image), -60.5, 60, 9, lazy(labels), range(1, 31))
    assert found.dims == ("t", "label", "bin")
    for t in range(2):
        wanted = scipy.ndimage.histogram(image[t], -60.5, 60, 9, labels[t], np.arange(1, 31))
        np.testing.assert_array_equal(found[t], [np.zeros(9) if row is None else row for row in wanted])


@pytest.mark.parametrize("arguments", [(5, 0, 3), (0, 5, 0), (0, 5, -1)])
def test_bins_that_are_none(arguments):
    with pytest.raises(ValueError):
        ndi.histogram(lazy(drawn()), *arguments)


@pytest.mark.parametrize("index", [1.5, [1, 300], -1])
def test_an_index_that_the_labels_cannot_hold(index):
    labels = labels_of().astype("uint8")
    with pytest.raises(ValueError, match="without loss of precision"):
        ndi.histogram(lazy(drawn()), 0, 5, 3, lazy(labels), index)
    with pytest.raises(ValueError, match="index without defined labels"):
        ndi.labeled_comprehension(lazy(drawn()), None, 1, np.sum, int, 0)


# ------------------------------------------------------------------------ labeled_comprehension


@pytest.fixture(params=["at once", "in rounds"])
def rounds(request, monkeypatch):
    if request.param == "in rounds":
        monkeypatch.setattr(gathered, "_room", lambda: 60 * 70)


def test_voxels_come_in_order(rounds):
    image, labels = drawn("float32"), labels_of()
    seen = []

    def look(values, positions):
        assert (np.diff(positions) > 0).all()
        seen.append((values, positions))
        return len(values)

    found = ndi.labeled_comprehension(lazy(image), lazy(labels), [2, 4], look, "int32", 0, True)
    assert found.dims == ("t", "label") and found.dtype == np.int32
    wanted = [(t, name) for t in range(2) for name in (2, 4)]
    for (t, name), (values, positions) in zip(wanted, seen, strict=True):
        np.testing.assert_array_equal(image[t].ravel()[positions], values)
        np.testing.assert_array_equal(positions, np.flatnonzero(labels[t].ravel() == name))


def test_rounds_read_only_blocks_that_hold_their_objects(rounds, monkeypatch):
    monkeypatch.setattr(gathered, "_room", lambda: 60 * 70)
    labels = np.zeros((6, 8, 10), np.int32)
    labels[:2, :3, :4], labels[4:, 5:, 6:] = 1, 2
    image = np.arange(labels.size).reshape(labels.shape)
    with recording() as readings:
        found = ndi.labeled_comprehension(lazy(image), lazy(labels), [1, 2], np.sum, "int64", 0)
    same(found, scipy.ndimage.labeled_comprehension(image, labels, [1, 2], np.sum, "int64", 0))
    read = sum(np.prod([b - a for a, b in each.box]) for each in readings)
    # Labels once to be counted; of both images only a few blocks then.
    assert read < 2 * labels.size


def test_an_object_that_does_not_fit_is_named(monkeypatch):
    monkeypatch.setattr(gathered, "_room", lambda: 60 * 10)
    labels = labels_of(1)
    with pytest.raises(PlanError) as refused:
        ndi.labeled_comprehension(lazy(drawn()), lazy(labels), [1], np.sum, int, 0)
    assert refused.value.kind == "object-too-large" and "label 1" in str(refused.value)
    with pytest.raises(PlanError, match="the image"):
        ndi.labeled_comprehension(lazy(drawn()), None, None, np.sum, int, 0)


def test_functions_of_everything():
    image = drawn()
    found = ndi.labeled_comprehension(lazy(image), None, None, np.sort, None, None)
    assert found.dims == ("t", "axis_0")
    same(found[1], np.sort(image[1].ravel()))
    labels = labels_of()
    found = ndi.labeled_comprehension(lazy(image), lazy(labels), None, lambda v: v[v > 3], None, None)
    same(found.values[0], image[0][(labels[0] > 0) & (image[0] > 3)])


# ------------------------------------------------------------------------------- value_indices


def test_indices_of_each_time_point():
    labels = labels_of()
    found = ndi.value_indices(lazy(labels), ignore_value=0)
    for t in range(2):
        wanted = scipy.ndimage.value_indices(labels[t], ignore_value=0)
        assert found[t].keys() == wanted.keys()
        for value, places in wanted.items():
            for mine, theirs in zip(found[t][value], places, strict=True):
                same(mine, theirs)


def test_indices_that_do_not_fit_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="integer"):
        ndi.value_indices(lazy(drawn("float32")))
    monkeypatch.setattr(indices, "_LEAST_ROOM", 1000)
    monkeypatch.setattr(indices, "_SHARE", 0)
    with pytest.raises(PlanError) as refused:
        ndi.value_indices(lazy(labels_of()))
    assert refused.value.kind == "result-too-large"


# ---------------------------------------------------------------------------------- properties


@settings(max_examples=20, **RUN)
@given(data=st.data(), dtype=st.sampled_from(["int16", "float32", "float64", "uint8"]))
def test_any_chunks_and_blocks(data, dtype):
    ndim = data.draw(st.integers(1, 4))
    shape = tuple(data.draw(st.integers(1, 6)) for _ in range(ndim))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    image = (rng.normal(size=shape) * 9).astype(dtype)
    labels = rng.integers(0, 4, shape).astype(np.int32)
    index = np.unique(labels)
    chunked = [da.from_array(each, chunks=data.draw(cst.chunkings(shape))) for each in (image, labels)]
    sides = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    with small_blocks(sides), pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_FRAME_ENTRIES", data.draw(st.sampled_from([16, 1 << 18])))
        patch.setattr(selection, "_GATHERED", data.draw(st.sampled_from([0, 5, 1 << 20])))
        same(ndi.median(*chunked, index), scipy.ndimage.median(image, labels, index))
        bins = (-7.3, 11, 5)
        found = ndi.histogram(chunked[0], *bins, chunked[1], index)
        wanted = scipy.ndimage.histogram(image, *bins, labels, index)
        np.testing.assert_array_equal(np.stack(found), np.stack(wanted))
        sums = ndi.labeled_comprehension(*chunked, index, np.max, dtype, 0, False)
        same(sums, scipy.ndimage.labeled_comprehension(image, labels, index, np.max, dtype, 0))
        places = ndi.value_indices(chunked[1])
    for value, wanted in scipy.ndimage.value_indices(labels).items():
        np.testing.assert_array_equal(np.stack(places[value]), np.stack(wanted))


def test_tables_do_not_grow_with_the_number_of_labels():
    """Whatever the labels, a pass counts into about the same number of bins."""
    for count in (1, 100, 10_000):
        groups = selection.Groups((4, 8, 8), None, True, np.arange(count))
        slots = selection._Slots(np.arange(count), np.zeros(count, np.uint64), 32)
        digits = selection._digits(slots, groups, 1 << 30)
        assert count << digits <= max(selection._FRAME_ENTRIES, count << selection._FEWEST_DIGITS)
