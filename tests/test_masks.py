"""Thresholds, regions and choices of objects."""

import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
import xarray as xr
from many_blocks import little_memory, small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.coords import attach
from chunkmed.errors import InputError
from chunkmed.grid import Grid

SHAPE = (2, 7, 10, 12)
DIMS = ("t", "z", "y", "x")


@pytest.fixture(autouse=True)
def _many_blocks():
    with small_blocks(), little_memory():
        yield


def grid(z=tuple(2.5 * i for i in range(7)), **more):
    y, x = (tuple(step * i for i in range(n)) for step, n in ((1.25, 10), (0.5, 12)))
    return Grid(z_mm=z, y_mm=y, x_mm=x, time_ms=(0.0, 40.0), **more)


def image_of(values, on=None):
    return attach(sourced(values, (1, 3, 4, 5)), on or grid())


def noise(dtype="int16"):
    return np.random.default_rng(3).integers(-40, 40, SHAPE).astype(dtype)


# ----------------------------------------------------------------------------------- threshold


def test_levels_are_not_included():
    image = image_of(noise())
    for found, wanted in (
        (cm.masks.threshold(image, above=3), noise() > 3),
        (cm.masks.threshold(image, below=3), noise() < 3),
        (cm.masks.threshold(image, above=-5, below=9.5), (noise() > -5) & (noise() < 9.5)),
        (cm.masks.threshold(image, above=3, where=image < 30), (noise() > 3) & (noise() < 30)),
    ):
        assert found.dtype == bool and found.dims == DIMS and isinstance(found.data, da.Array)
        np.testing.assert_array_equal(found.values, wanted)


def test_a_mask_for_all_times():
    image = image_of(noise())
    where = (image > 0).isel(t=0, drop=True)
    found = cm.masks.threshold(image, below=20, where=where)
    np.testing.assert_array_equal(found.values, (noise() < 20) & (noise()[0] > 0))


def test_otsu_as_a_level():
    image = image_of(noise())
    level = cm.intensity.otsu(image)
    np.testing.assert_array_equal(cm.masks.threshold(image, above="otsu").values, noise() > level)
    inside = image > -20
    level = cm.intensity.otsu(image, inside)
    found = cm.masks.threshold(image, above="otsu", where=inside)
    np.testing.assert_array_equal(found.values, (noise() > level) & (noise() > -20))


@pytest.mark.parametrize(("arguments", "kind"), [({}, "no-level"), ({"above": "high"}, "bad-level")])
def test_levels_that_are_none(arguments, kind):
    with pytest.raises(InputError) as refused:
        cm.masks.threshold(image_of(noise()), **arguments)
    assert refused.value.kind == kind


# -------------------------------------------------------------------------------------- region


def test_a_ball_in_voxels():
    found = cm.masks.region(image_of(noise()), {"voxel": (3, 5, 6)}, radius=3)
    z, y, x = np.indices(SHAPE[1:])
    wanted = (z - 3) ** 2 + (y - 5) ** 2 + (x - 6) ** 2 <= 9
    assert found.dtype == bool and found.dims == DIMS
    np.testing.assert_array_equal(found.values, np.stack([wanted] * 2))


def test_an_ellipsoid_in_voxels():
    found = cm.masks.region(image_of(noise()), {"voxel": (3, 5, 6)}, radius=(1, 2, 4))
    z, y, x = np.indices(SHAPE[1:])
    wanted = (z - 3) ** 2 + ((y - 5) / 2) ** 2 + ((x - 6) / 4) ** 2 <= 1
    np.testing.assert_array_equal(found.values[0], wanted)


@pytest.mark.parametrize("uneven", [False, True])
def test_a_ball_in_mm(uneven):
    z_mm = (0.0, 1.0, 3.0, 6.0, 7.0, 9.5, 12.0) if uneven else grid().z_mm
    image = image_of(noise(), grid(z=z_mm))
    found = cm.masks.region(image, {"z": z_mm[3], "y": 5.0, "x": 3.0}, radius="3.3 mm")
    squares = [(np.array(p) - c) ** 2 for p, c in ((z_mm, z_mm[3]), (grid().y_mm, 5.0), (grid().x_mm, 3.0))]
    wanted = squares[0][:, None, None] + squares[1][:, None] + squares[2] <= 3.3**2
    np.testing.assert_array_equal(found.values[1], wanted)
    assert 20 < wanted.sum() < wanted.size


def test_a_region_of_a_slice():
    image = image_of(noise()).isel(t=0, z=3)
    found = cm.masks.region(image, {"voxel": (5, 6)}, radius=2)
    y, x = np.indices(SHAPE[2:])
    np.testing.assert_array_equal(found.values, (y - 5) ** 2 + (x - 6) ** 2 <= 4)


@pytest.mark.parametrize(
    ("radius", "kind"),
    [(0, "bad-radius"), ("-3 mm", "bad-radius"), ((1, 2), "sequence-length"), ("3 miles", "bad-length")],
)
def test_radii_that_are_none(radius, kind):
    with pytest.raises(InputError) as refused:
        cm.masks.region(image_of(noise()), {"voxel": (3, 5, 6)}, radius=radius)
    assert refused.value.kind == kind


# -------------------------------------------------------------------------------- keep_largest


def boxes(*corners):
    """Labels 1, 2, ... of boxes (z, y, x, size along x) in both frames."""
    out = np.zeros(SHAPE, np.int32)
    for name, (z, y, x, size) in enumerate(corners, start=1):
        out[:, z, y, x : x + size] = name
    return out


def test_the_largest_are_numbered_by_size():
    labels = boxes((1, 1, 1, 3), (3, 3, 1, 7), (5, 5, 1, 5), (5, 8, 1, 1))
    labels[1][labels[1] == 2] = 0
    found = cm.masks.keep_largest(image_of(labels), 2)
    assert isinstance(found.data, da.Array)
    for t, order in ((0, {2: 1, 3: 2}), (1, {3: 1, 1: 2})):
        wanted = np.zeros(SHAPE[1:], np.int32)
        for old, new in order.items():
            wanted[labels[t] == old] = new
        np.testing.assert_array_equal(found.values[t], wanted)


def test_of_equal_sizes_the_lower_label_wins():
    labels = boxes((1, 1, 1, 2), (3, 3, 1, 4), (5, 5, 1, 4))
    found = cm.masks.keep_largest(image_of(labels))
    np.testing.assert_array_equal(found.values, labels == 2)


def test_more_than_there_are():
    labels = boxes((1, 1, 1, 2), (3, 3, 1, 4))
    found = cm.masks.keep_largest(image_of(labels), 9)
    assert sorted(np.unique(found.values)) == [0, 1, 2]
    np.testing.assert_array_equal(found.values > 0, labels > 0)


def test_a_mask_is_labelled_first():
    mask = noise() > 10
    found = cm.masks.keep_largest(image_of(mask))
    for t in range(2):
        labels, count = scipy.ndimage.label(mask[t])
        sizes = scipy.ndimage.sum(1, labels, np.arange(1, count + 1))
        np.testing.assert_array_equal(found.values[t], labels == 1 + np.argmax(sizes))


def test_nothing_to_keep():
    found = cm.masks.keep_largest(image_of(np.zeros(SHAPE, np.int32)), 3)
    assert not found.values.any()


def test_a_count_of_none():
    with pytest.raises(InputError) as refused:
        cm.masks.keep_largest(image_of(boxes((1, 1, 1, 2))), 0)
    assert refused.value.kind == "bad-count"


# -------------------------------------------------------------------------------- clear_border


def at_borders():
    """1 inside, 2 at the first slice, 3 at the last row, 4 at the first column, 5 at the last column."""
    return boxes((2, 2, 2, 3), (0, 4, 4, 3), (3, 9, 4, 3), (4, 4, 0, 2), (5, 6, 10, 2))


@pytest.mark.parametrize(
    ("axes", "kept"),
    [
        (None, {1}),
        (("z", "y", "x"), {1}),
        (("y", "x"), {1, 2}),
        (("z",), {1, 3, 4, 5}),
        (("y",), {1, 2, 4, 5}),
        (("x",), {1, 2, 3}),
        ((), {1, 2, 3, 4, 5}),
    ],
)
def test_axes_of_the_border(axes, kept):
    labels = at_borders()
    found = cm.masks.clear_border(image_of(labels), axes)
    assert found.dtype == labels.dtype and isinstance(found.data, da.Array)
    np.testing.assert_array_equal(found.values, np.where(np.isin(labels, list(kept)), labels, 0))


def test_a_mask_stays_a_mask():
    found = cm.masks.clear_border(image_of(at_borders() > 0))
    assert found.dtype == bool
    np.testing.assert_array_equal(found.values, at_borders() == 1)


def test_a_border_of_a_slice():
    labels = at_borders()
    labels[:, 2, 5, 0] = 6
    found = cm.masks.clear_border(image_of(labels).isel(t=0, z=2))
    np.testing.assert_array_equal(found.values, np.where(labels[0, 2] == 1, 1, 0))


def test_transposed_labels_have_the_same_border():
    image = image_of(at_borders()).transpose("t", "x", "y", "z")
    found = cm.masks.clear_border(image, ("z",)).transpose(*DIMS)
    np.testing.assert_array_equal(found.values, np.where(at_borders() == 2, 0, at_borders()))


def test_an_axis_that_is_not_there():
    with pytest.raises(InputError) as refused:
        cm.masks.clear_border(image_of(at_borders()), ("t",))
    assert refused.value.kind == "bad-axis"


@pytest.mark.parametrize("function", [cm.masks.keep_largest, cm.masks.clear_border])
def test_negative_labels_are_no_objects(function):
    """-1 often marks what is to be ignored: it must not turn into the last label."""
    labels = at_borders()
    plain = function(image_of(labels)).values
    labels[:, 2, 6, 5] = -1
    np.testing.assert_array_equal(function(image_of(labels)).values, plain)


def test_labels_far_apart():
    labels = at_borders().astype(np.int64)
    labels[labels == 1] = 3_000_000
    found = cm.masks.clear_border(image_of(labels))
    np.testing.assert_array_equal(np.unique(found.values), [0, 3_000_000])


def test_numpy_images_are_computed_at_once():
    labels = xr.DataArray(at_borders(), dims=DIMS)
    found = cm.masks.keep_largest(labels)
    assert isinstance(found.data, np.ndarray)
    assert ndi.label(labels > 0)[0].dtype == np.int32
