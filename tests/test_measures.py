"""cm.measure against closed forms and scipy.ndimage."""

import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
import xarray as xr
from many_blocks import little_memory, small_blocks, sourced

import chunkmed as cm
from chunkmed.coords import attach
from chunkmed.errors import InputError
from chunkmed.grid import Grid, step_weights
from chunkmed.measures import MEASURES

Z = (0.0, 2.0, 4.0, 6.0, 8.0)
UNEVEN = (0.0, 1.0, 3.0, 6.0, 7.0)
DY, DX = 1.5, 0.5


def grid(z=Z, times=(0.0, 40.0), **more):
    y, x = (tuple(step * i for i in range(n)) for step, n in ((DY, 6), (DX, 7)))
    return Grid(z_mm=z, y_mm=y, x_mm=x, time_ms=times, **more)


def random_pair(on=None, dtype="int16", labels=5):
    on = on or grid()
    rng = np.random.default_rng(9)
    ids = rng.integers(0, labels, on.shape).astype(np.int32)
    values = (rng.integers(1, 900, on.shape) / (8 if dtype.startswith("f") else 1)).astype(dtype)
    return attach(sourced(ids, (1, 2, 3, 4)), on), attach(
        sourced(values, (1, 2, 3, 4)), on, attrs={"units": "HU"}
    )


@pytest.fixture(autouse=True)
def _many_blocks():
    with small_blocks(), little_memory():
        yield


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_all_measures_against_scipy(dtype):
    labels, image = random_pair(dtype=dtype)
    left_out = ("area_mm2", "area_px")
    table = cm.measure(labels, image, [name for name in MEASURES if name not in left_out])
    assert table.label.values.tolist() == [1, 2, 3, 4]
    assert table.sizes["axis"] == 3 and table.axis.values.tolist() == ["z", "y", "x"]
    np.testing.assert_array_equal(table.t, [0.0, 40.0])
    index = [1, 2, 3, 4]
    for t in range(2):
        ids, values, row = labels.values[t], image.values[t].astype(np.float64), table.isel(t=t)
        count = scipy.ndimage.sum(1, ids, index)
        np.testing.assert_array_equal(row["count"], count)
        np.testing.assert_array_equal(row.volume_vox, count)
        np.testing.assert_allclose(row.volume_mm3, count * 2.0 * DY * DX, rtol=1e-12)
        np.testing.assert_allclose(row.volume_ml, count * 2.0 * DY * DX / 1000, rtol=1e-12)
        for name in ("sum", "mean", "variance", "standard_deviation", "minimum", "maximum"):
            wanted = getattr(scipy.ndimage, name)(values, ids, index)
            np.testing.assert_allclose(row[name], wanted, rtol=1e-9)
        steps = np.array([2.0, DY, DX])
        mass = np.array(scipy.ndimage.center_of_mass(values, ids, index))
        np.testing.assert_allclose(row.center_of_mass, mass, rtol=1e-9)
        np.testing.assert_allclose(row.center_of_mass_mm, mass * steps, rtol=1e-9)
        center = np.array(scipy.ndimage.center_of_mass(np.ones(ids.shape), ids, index))
        np.testing.assert_allclose(row.centroid, center, rtol=1e-9)
        np.testing.assert_allclose(row.centroid_mm, center * steps, rtol=1e-9)
        for i, box in enumerate(scipy.ndimage.find_objects(ids)):
            assert row.start.values[i].tolist() == [cut.start for cut in box]
            assert row.stop.values[i].tolist() == [cut.stop for cut in box]
            for name, extreme in (("minimum_position", np.min), ("maximum_position", np.max)):
                place = tuple(row[name].values[i].astype(int))
                inside = ids == index[i]
                wanted = np.flatnonzero(inside & (values == extreme(values[inside])))[0]
                assert np.ravel_multi_index(place, ids.shape) == wanted


def test_units_and_names():
    labels, image = random_pair()
    table = cm.measure(labels, image, ["volume_ml", "mean", "centroid_mm", "touches_border"])
    assert set(table.data_vars) == {"count", "volume_ml", "mean", "centroid_mm", "touches_border"}
    units = {name: table[name].attrs["units"] for name in table.data_vars}
    assert units == {
        "count": "1",
        "volume_ml": "ml",
        "mean": "HU",
        "centroid_mm": "mm",
        "touches_border": "1",
    }
    assert table["count"].dtype == np.int64 and table.centroid_mm.dims == ("t", "label", "axis")


def test_uneven_slices_count_with_their_own_depth():
    on = grid(z=UNEVEN)
    labels, image = random_pair(on)
    table = cm.measure(labels, image, ["volume_mm3", "centroid_mm", "center_of_mass_mm"])
    depths = step_weights(UNEVEN, 1.0)
    assert depths.tolist() == [1.0, 1.5, 2.5, 2.0, 1.0]
    for t in range(2):
        for name in (1, 2, 3, 4):
            inside = labels.values[t] == name
            row = table.isel(t=t).sel(label=name)
            assert row.volume_mm3 == pytest.approx((inside.sum(axis=(1, 2)) * depths).sum() * DY * DX)
            z, y, x = np.nonzero(inside)
            heights, weight = np.array(UNEVEN)[z], image.values[t][inside].astype(float)
            wanted = [heights.mean(), y.mean() * DY, x.mean() * DX]
            np.testing.assert_allclose(row.centroid_mm, wanted, rtol=1e-9)
            wanted = [np.average(p, weights=weight) for p in (heights, y * DY, x * DX)]
            np.testing.assert_allclose(row.center_of_mass_mm, wanted, rtol=1e-9)


def test_the_whole_image_has_the_volume_of_its_box():
    ones = attach(sourced(np.ones(grid().shape, np.uint8), (1, 2, 3, 4)), grid())
    table = cm.measure(ones, None, ["volume_mm3"])
    assert table.volume_mm3.values.ravel().tolist() == [10.0 * 9.0 * 3.5] * 2


def test_a_mask_is_label_one():
    labels, image = random_pair()
    table = cm.measure(labels == 2, image, ["mean"])
    wanted = [image.values[t][labels.values[t] == 2].mean() for t in range(2)]
    assert table.label.values.tolist() == [1]
    np.testing.assert_allclose(table["mean"].values[:, 0], wanted, rtol=1e-12)


def test_a_label_that_a_time_point_lacks():
    labels, image = random_pair()
    labels = labels.where((labels != 3) | (labels.t > 0), 0).astype(np.int32)
    table = cm.measure(labels, image, ["volume_ml", "mean", "centroid", "start", "touches_border", "minimum"])
    first, second = table.isel(t=0).sel(label=3), table.isel(t=1).sel(label=3)
    assert int(first["count"]) == 0
    assert not first.touches_border
    others = set(table.data_vars) - {"count", "touches_border"}
    assert all(np.isnan(first[name]).all() for name in others)
    assert int(second["count"]) > 0
    assert not any(np.isnan(second[name]).any() for name in table.data_vars)


def test_no_labels_at_all():
    labels, image = random_pair()
    table = cm.measure(labels * 0, image, ["volume_ml", "mean"])
    assert table.sizes["label"] == 0 and table.volume_ml.shape == (2, 0)


@pytest.mark.parametrize("names", [[7, 1_000_000], [2**31 - 1], [3, 2**40]])
def test_labels_far_apart(names):
    ids = np.zeros(grid().shape, np.int64)
    for i, name in enumerate(names):
        ids[:, i, i, i] = name
    table = cm.measure(attach(sourced(ids, (1, 2, 3, 4)), grid()), None, ["centroid"])
    assert table.label.values.tolist() == names
    assert table["count"].values.tolist() == [[1] * len(names)] * 2
    assert table.centroid.values[0, :, 0].tolist() == list(range(len(names)))


def test_unsigned_labels_beyond_int32():
    ids = np.zeros(grid().shape, np.uint32)
    ids[:, 1, 1, 1] = 3_000_000_000
    table = cm.measure(attach(sourced(ids, (1, 2, 3, 4)), grid()), None, ["count"])
    assert table.label.values.tolist() == [3_000_000_000]


def test_touches_border():
    ids = np.zeros(grid().shape, np.int32)
    ids[:, 2, 2, 2], ids[:, 0, 2, 4], ids[:, 2, 5, 2], ids[:, 2, 2, 6] = 1, 2, 3, 4
    table = cm.measure(attach(sourced(ids, (1, 2, 3, 4)), grid()), None, ["touches_border"])
    assert table.touches_border.dtype == bool
    assert table.touches_border.values.tolist() == [[False, True, True, True]] * 2


@pytest.mark.parametrize("what", ["volume_ml", "volume_mm3", "centroid_mm", "area_mm2"])
@pytest.mark.parametrize("with_grid", [True, False])
def test_millimetres_need_spacing(what, with_grid):
    ids = np.ones((1, 3, 4), np.int32)
    labels = xr.DataArray(da.from_array(ids), dims=("z", "y", "x"))
    if with_grid:
        unknown = Grid(z_mm=(0.0,), y_mm=(0.0, 1.0, 2.0), x_mm=(0.0, 1.0, 2.0, 3.0), known=False)
        labels = attach(da.from_array(ids[None]), unknown)
    with pytest.raises(InputError) as refused:
        cm.measure(labels, None, [what])
    assert refused.value.kind == "no-spacing" and "volume_vox" in str(refused.value)
    assert int(cm.measure(labels, None, ["volume_vox"]).volume_vox.squeeze()) == 12


def test_a_volume_of_a_single_slice_needs_its_thickness():
    thin, thick = grid(z=(3.0,)), grid(z=(3.0,), thickness_mm=8.0)
    with pytest.raises(InputError) as refused:
        cm.measure(random_pair(thin)[0], None, ["volume_ml"])
    assert refused.value.kind == "no-thickness"
    labels, _ = random_pair(thick)
    table = cm.measure(labels, None, ["volume_mm3", "area_mm2", "area_px"])
    np.testing.assert_allclose(table.volume_mm3, table["count"] * 8.0 * DY * DX)
    np.testing.assert_allclose(table.area_mm2, table["count"] * DY * DX)
    np.testing.assert_array_equal(table.area_px, table["count"])


def test_an_area_needs_a_single_slice():
    with pytest.raises(InputError) as refused:
        cm.measure(random_pair()[0], None, ["area_mm2"])
    assert refused.value.kind == "not-planar"


def test_an_axial_slice():
    labels, image = (item.isel(z=2) for item in random_pair())
    table = cm.measure(labels, image, ["area_mm2", "centroid_mm", "mean"])
    assert table.axis.values.tolist() == ["y", "x"]
    for t in range(2):
        for name in (1, 2, 3, 4):
            y, x = np.nonzero(labels.values[t] == name)
            row = table.isel(t=t).sel(label=name)
            assert row.area_mm2 == pytest.approx(len(y) * DY * DX)
            np.testing.assert_allclose(row.centroid_mm, [y.mean() * DY, x.mean() * DX], rtol=1e-9)


@pytest.mark.parametrize(("taken", "steps"), [("y", (2.0, DX)), ("x", (2.0, DY))])
def test_a_slice_of_another_orientation(taken, steps):
    """Coronal and sagittal slices have their own in-plane steps, or are refused."""
    labels, _ = random_pair()
    labels = labels.isel({taken: 2})
    try:
        table = cm.measure(labels, None, ["area_mm2", "centroid_mm", "centroid"])
    except InputError:
        return
    np.testing.assert_allclose(table.area_mm2, table["count"] * steps[0] * steps[1])
    np.testing.assert_allclose(table.centroid_mm, table.centroid * np.array(steps), rtol=1e-9)


@pytest.mark.parametrize("axis", ["y", "x"])
def test_a_volume_one_row_thick(axis):
    """A crop of one row keeps the row's width, or its volume is refused: never a silent 1 mm."""
    labels, _ = random_pair()
    row = labels.isel({axis: slice(2, 3)})
    try:
        table = cm.measure(row, None, ["volume_mm3"])
    except InputError:
        return
    np.testing.assert_allclose(table.volume_mm3, table["count"] * 2.0 * DY * DX)


def test_transposed_images_measure_the_same():
    labels, image = random_pair()
    what = ["volume_mm3", "centroid_mm", "center_of_mass_mm", "maximum"]
    wanted = cm.measure(labels, image, what)
    found = cm.measure(labels.transpose("t", "x", "y", "z"), image.transpose("t", "x", "y", "z"), what)
    for name in what:
        order = found[name].sel(axis=["z", "y", "x"]) if "axis" in found[name].dims else found[name]
        np.testing.assert_allclose(order, wanted[name], rtol=1e-9)


def test_one_time_point_has_no_t():
    labels, image = random_pair()
    found = cm.measure(labels.isel(t=1), image.isel(t=1), ["volume_ml", "mean"])
    assert found["mean"].dims == ("label",)
    wanted = cm.measure(labels, image, ["volume_ml", "mean"]).isel(t=1)
    np.testing.assert_array_equal(found["mean"], wanted["mean"])
    np.testing.assert_array_equal(found.volume_ml, wanted.volume_ml)


def test_one_mask_for_all_time_points():
    labels, image = random_pair()
    static = labels.isel(t=0, drop=True)
    found = cm.measure(static, image, ["mean"])
    assert found["mean"].dims == ("t", "label")
    for t in range(2):
        wanted = scipy.ndimage.mean(image.values[t], static.values, [1, 2, 3, 4])
        np.testing.assert_allclose(found["mean"][t], wanted, rtol=1e-9)


def test_errors():
    labels, image = random_pair()
    for arguments, kind in (
        ((labels, image, ["weight"]), "no-measure"),
        ((labels, None, ["mean"]), "no-image"),
        ((labels / 2, image, ["mean"]), "not-labels"),
        ((labels, random_pair(grid(z=UNEVEN))[1], ["mean"]), "other-grid"),
        ((labels, random_pair(grid(origin_mm=(1.0, 0.0, 0.0)))[1], ["mean"]), "other-grid"),
    ):
        with pytest.raises(InputError) as refused:
            cm.measure(*arguments)
        assert refused.value.kind == kind


def test_a_text_is_one_measure_and_a_misspelt_one_is_told_the_nearest():
    labels, image = random_pair()
    xr.testing.assert_identical(cm.measure(labels, what="volume_ml"), cm.measure(labels, what=["volume_ml"]))
    for what in ("volum_ml", ["volum_ml"]):
        with pytest.raises(InputError, match="did you mean 'volume_ml'"):
            cm.measure(labels, image, what)


def test_big_integers_do_not_overflow():
    values = np.full(grid().shape, 60_000, np.uint16)
    image = attach(sourced(values, (1, 2, 3, 4)), grid())
    table = cm.measure(image > 0, image, ["sum", "mean", "variance"])
    assert table["sum"].values.ravel().tolist() == [60_000 * 210] * 2
    assert table["mean"].values.ravel().tolist() == [60_000.0] * 2
    assert table.variance.values.ravel().tolist() == [0.0] * 2


def test_variance_far_from_zero_does_not_cancel():
    noise = np.random.default_rng(0).normal(size=grid().shape)
    image = attach(sourced(noise + 1e9, (1, 2, 3, 4)), grid())
    table = cm.measure(image > 0, image, ["variance"])
    # Of the stored values: 1e9 leaves 7 digits of the noise. A plain sum of squares leaves none.
    wanted = [np.var((noise[t] + 1e9) - 1e9) for t in range(2)]
    np.testing.assert_allclose(table.variance.values[:, 0], wanted, rtol=1e-6)


def test_two_measures_of_one_name_are_refused():
    labels, image = random_pair()
    twice = [cm.measures.histogram(0, 10, 5), cm.measures.histogram(0, 90, 5)]
    with pytest.raises(InputError) as refused:
        cm.measure(labels, image, twice)
    assert refused.value.kind == "same-name"
    named = [twice[0], cm.measures.histogram(0, 90, 5, name="wide"), "median", "median"]
    assert {"histogram", "wide", "median"} <= set(cm.measure(labels, image, named))


@pytest.mark.parametrize("dtype", [">f4", ">i2", ">f8"])
def test_other_byte_orders(dtype):
    labels, image = random_pair()
    what = ["mean", "median", "percentile_30", "maximum"]
    wanted = cm.measure(labels, image, what)
    found = cm.measure(labels, image.astype(dtype), what)
    for name in what:
        np.testing.assert_array_equal(found[name], wanted[name])
    swapped = image.astype(dtype)
    assert cm.intensity.percentiles(swapped, [5, 50]).tolist() == (
        cm.intensity.percentiles(image, [5, 50]).tolist()
    )


def test_what_int64_does_not_hold_is_refused():
    labels, image = random_pair()
    for pair in (
        (labels, image.astype("uint64") + np.uint64(2**63)),
        (labels.astype("uint64") + np.uint64(2**63), image),
        (labels, image.astype("complex64")),
    ):
        with pytest.raises(InputError) as refused:
            cm.measure(*pair, ["mean"])
        assert refused.value.kind in ("bad-labels", "bad-dtype")
