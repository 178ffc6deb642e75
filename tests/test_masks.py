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
from chunkmed.graph.run import observing
from chunkmed.grid import Grid

SHAPE = (2, 7, 10, 12)
DIMS = ("t", "z", "y", "x")


@pytest.fixture(autouse=True)
def _many_blocks():
    with small_blocks((4, 5, 6)), little_memory():
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


@pytest.mark.parametrize("count", [0, 1.5, "x", True])
def test_a_count_of_none(count):
    with pytest.raises(InputError) as refused:
        cm.masks.keep_largest(image_of(boxes((1, 1, 1, 2))), count)
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


# -------------------------------------------------------------- one pass over masks: what is kept


def spacing_image(values, spacing=(2.5, 1.25, 0.5)):
    axes = [tuple(step * i for i in range(n)) for step, n in zip(spacing, values.shape[1:], strict=True)]
    return image_of(values, Grid(*axes, time_ms=(0.0, 40.0)))


def passes_of(function):
    """Return the names of the passes that a call runs."""

    class Names(list):
        def start(self, name, tasks, plan):
            self.append(name)

        def advance(self, voxels, nbytes):
            pass

        def finish(self):
            pass

    names = Names()
    with observing(names):
        function()
    return list(names)


def by_size(mask, keep, connectivity=1):
    """Keep components by their size, straight from scipy."""
    structure = scipy.ndimage.generate_binary_structure(mask.ndim, connectivity)
    labels, _ = scipy.ndimage.label(mask, structure)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return keep(sizes)[labels] & mask


@pytest.mark.parametrize("connectivity", [1, 3])
def test_small_objects_of_a_mask(connectivity):
    mask = noise() > {1: 12, 3: 25}[connectivity]
    found = cm.masks.remove_small(image_of(mask), 5, connectivity)
    wanted = [by_size(frame, lambda sizes: sizes >= 5, connectivity) for frame in mask]
    assert found.dtype == bool and isinstance(found.data, da.Array)
    np.testing.assert_array_equal(found.values, wanted)
    assert found.values.any() and (found.values != mask).any()


def test_small_labels_keep_their_numbers():
    labels = at_borders()
    found = cm.masks.remove_small(image_of(labels), 9)
    sizes = np.bincount(labels[0].ravel())
    kept = np.flatnonzero(sizes >= 9)
    assert 0 < len(kept) < len(sizes)
    assert found.dtype == labels.dtype
    np.testing.assert_array_equal(found.values, np.where(np.isin(labels, kept), labels, 0))


@pytest.mark.parametrize("kind", ["mask", "labels"])
@pytest.mark.parametrize("uneven", [False, True])
def test_small_volumes(kind, uneven):
    """Where slices lie farther apart objects of as many voxels are larger."""
    z_mm = (0.0, 1.0, 2.0, 3.0, 6.0, 9.0, 12.0) if uneven else tuple(range(7))
    on = Grid(z_mm=z_mm, y_mm=grid().y_mm, x_mm=grid().x_mm, time_ms=(0.0, 40.0))
    labels = boxes((0, 0, 0, 2), (4, 4, 4, 2))
    voxel = 1.25 * 0.5
    volumes = [np.sum(labels[0] == n) * voxel * (3 if uneven and n == 2 else 1) for n in (1, 2)]
    assert volumes[0] == 2 * voxel
    image = image_of(labels > 0 if kind == "mask" else labels, on)
    for limit in (f"{volumes[0]} mm3", f"{volumes[0] * 1.01 / 1000} ml", f"{volumes[1] * 1.01} ul"):
        mm3 = cm.units.extent_mm(limit)[0]
        kept = [n + 1 for n, volume in enumerate(volumes) if volume >= mm3 * (1 - 1e-9)]
        wanted = np.where(np.isin(labels, kept), labels, 0)
        wanted = wanted > 0 if kind == "mask" else wanted
        found = cm.masks.remove_small(image, limit)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found.values, wanted)


def test_small_areas_of_a_slice():
    mask = boxes((2, 2, 2, 2), (2, 6, 6, 3)) > 0
    image = image_of(mask).isel(z=2)
    found = cm.masks.remove_small(image, "1.5 mm2").values
    np.testing.assert_array_equal(found, [by_size(f, lambda s: s * 1.25 * 0.5 >= 1.5) for f in mask[:, 2]])
    assert found.any() and not found[0, 2, 2]


@pytest.mark.parametrize("size", ["2 mm", "ml", "20 mm2", -1, float("nan")])
def test_sizes_that_are_none(size):
    for function in (cm.masks.remove_small, cm.masks.remove_small_holes):
        with pytest.raises(InputError):
            function(image_of(noise() > 0), size)


def test_a_connectivity_that_is_none():
    with pytest.raises(InputError) as refused:
        cm.masks.keep_largest(image_of(noise() > 0), connectivity=4)
    assert refused.value.kind == "bad-connectivity"


@pytest.mark.parametrize("count", [1, 3, 1000])
def test_largest_of_a_mask_are_those_of_its_labels(count):
    mask = image_of(noise() > 12)
    labels = ndi.label(mask)[0]
    wanted = cm.masks.keep_largest(labels, count).values
    np.testing.assert_array_equal(cm.masks.keep_largest(mask, count).values, wanted)


def test_masks_take_one_pass():
    image = image_of(noise())
    mask = image > 12
    for function in (
        lambda: cm.masks.keep_largest(mask),
        lambda: cm.masks.remove_small(mask, 4),
        lambda: cm.masks.clear_border(mask),
        lambda: cm.masks.fill(mask),
        lambda: cm.masks.remove_small_holes(mask, 4),
        lambda: cm.masks.hysteresis(image, 5, 20),
    ):
        assert len(passes_of(function)) == 1


@pytest.mark.parametrize("axes", [None, ("z",), ("y", "x")])
def test_the_border_of_a_mask_is_that_of_its_labels(axes):
    mask = image_of(noise() > 14)
    wanted = cm.masks.clear_border(ndi.label(mask)[0], axes).values > 0
    found = cm.masks.clear_border(mask, axes)
    assert found.dtype == bool and wanted.any()
    np.testing.assert_array_equal(found.values, wanted)


def test_a_single_slice_has_no_border_along_z():
    mask = image_of(at_borders() > 0).isel(z=slice(2, 3))
    assert cm.masks.clear_border(mask).values.any()
    assert not cm.masks.clear_border(mask, ("z",)).values.any()


# ----------------------------------------------------------------------------------------- holes


def shells():
    """A box with a hole of 8 voxels, one with a hole of 1, a tube along z that is open at both ends."""
    mask = np.zeros(SHAPE, bool)
    mask[:, 1:5, 1:5, 1:5], mask[:, 2:4, 2:4, 2:4] = True, False
    mask[:, 1:4, 6:9, 1:4], mask[:, 2, 7, 2] = True, False
    mask[:, :, 1:6, 7:11], mask[:, :, 2:5, 8:10] = True, False
    return mask


def test_holes():
    mask, solid = shells(), shells()
    solid[:, 2:4, 2:4, 2:4] = solid[:, 2, 7, 2] = True
    found = cm.masks.fill(image_of(mask))
    assert found.dtype == bool and found.dims == DIMS
    np.testing.assert_array_equal(found.values, solid)
    solid[:, :, 2:5, 8:10] = True
    np.testing.assert_array_equal(cm.masks.fill(image_of(mask), ("y", "x")).values, solid)


def test_a_hole_that_is_open_at_a_corner():
    mask = image_of(shells()).copy()
    values = shells()
    values[:, 1, 1, 1] = False
    values[:, 0, 0, 0] = False
    mask = image_of(values)
    assert cm.masks.fill(mask).values[0, 2, 2, 2]
    assert not cm.masks.fill(mask, connectivity=3).values[0, 2, 2, 2]


@pytest.mark.parametrize(
    ("size", "filled"),
    [(1, 0), (2, 1), (8, 1), (9, 9), ("12 mm3", 1), ("12.5 mm3", 1), ("12.6 mm3", 9)],
)
def test_small_holes(size, filled):
    found = cm.masks.remove_small_holes(spacing_image(shells()), size)
    assert (found.values & ~shells()).sum() == 2 * filled
    assert (found.values | ~shells()).all()


def test_small_holes_of_slices():
    found = cm.masks.remove_small_holes(image_of(shells()), "1 mm2", ("y", "x")).values
    wanted = shells()
    wanted[:, 2, 7, 2] = True
    np.testing.assert_array_equal(found, wanted)


# ------------------------------------------------------------------------------------ hysteresis


@pytest.mark.parametrize("connectivity", [1, 3])
def test_hysteresis(connectivity):
    values = noise()
    structure = scipy.ndimage.generate_binary_structure(3, connectivity)
    wanted = []
    for frame in values:
        labels, _ = scipy.ndimage.label(frame > 10, structure)
        wanted.append(np.isin(labels, np.unique(labels[frame > 36])))
    image = image_of(values)
    found = cm.masks.hysteresis(image, 10, 36, connectivity)
    assert found.dtype == bool and isinstance(found.data, da.Array)
    np.testing.assert_array_equal(found.values, wanted)
    np.testing.assert_array_equal(cm.masks.hysteresis(image, 36, 10, connectivity).values, wanted)
    inside = cm.masks.hysteresis(image, 10, 36, where=image < 38).values
    assert not inside[values >= 38].any() and inside.any()
    assert (np.array(wanted) & ~(values > 36)).any()
    assert connectivity == 3 or not np.all(np.array(wanted) == (values > 10))


def test_objects_that_hold_a_seed():
    mask, seeds = noise() > 10, np.random.default_rng(9).random(SHAPE[1:]) < 0.02
    labels = [scipy.ndimage.label(frame)[0] for frame in mask]
    wanted = [np.isin(frame, np.setdiff1d(frame[seeds], 0)) for frame in labels]
    image = image_of(mask)
    # Seeds for all time points; some lie outside of the mask.
    where = (image_of(np.stack([seeds] * 2)) > 0).isel(t=0, drop=True)
    found = cm.masks.reconstruction(where, image)
    assert found.dims == DIMS and found.dtype == bool
    np.testing.assert_array_equal(found.values, wanted)
    assert found.values.any() and (seeds & ~mask[0]).any()
    for wrong in (where.isel(x=slice(1, None)), where.isel(x=slice(1, None)).drop_vars("grid")):
        with pytest.raises(InputError):
            cm.masks.reconstruction(wrong, image)


def test_hysteresis_by_otsu():
    image = image_of(noise())
    level = cm.intensity.otsu(image)
    found = cm.masks.hysteresis(image, -30, "otsu").values
    np.testing.assert_array_equal(found, cm.masks.hysteresis(image, -30, level).values)


# ----------------------------------------------------------------------------------------- balls


def distances(center, spacing=(2.5, 1.25, 0.5)):
    index = np.indices(SHAPE[1:])
    return np.sqrt(sum(((i - c) * s) ** 2 for i, c, s in zip(index, center, spacing, strict=True)))


@pytest.mark.parametrize("radius", [0.4, 1.25, 2.5, 2.6, 4.0])
def test_a_voxel_grows_to_a_ball_in_mm(radius):
    mask = np.zeros(SHAPE, bool)
    mask[:, 3, 5, 6] = True
    found = cm.masks.dilation(spacing_image(mask), f"{radius} mm")
    assert found.dtype == bool and isinstance(found.data, da.Array)
    np.testing.assert_array_equal(found.values, [distances((3, 5, 6)) <= radius + 1e-9] * 2)


def test_balls():
    image = spacing_image(noise())
    assert cm.masks.ball("2.5 mm", image).shape == (3, 5, 11)
    assert cm.masks.ball(2, axes=("y", "x")).sum() == 13
    np.testing.assert_array_equal(cm.masks.ball(1), scipy.ndimage.generate_binary_structure(3, 1))
    assert cm.masks.ball(0).shape == (1, 1, 1) and cm.masks.ball(0).all()
    assert cm.masks.ball("0.3 mm", spacing_image(noise(), (0.1, 0.1, 0.1))).shape == (7, 7, 7)
    for radius in (-1, float("inf"), "3 ml"):
        with pytest.raises(InputError):
            cm.masks.ball(radius, image)
    with pytest.raises(InputError) as refused:
        cm.masks.ball("3 mm")
    assert refused.value.kind == "no-spacing"


@pytest.mark.parametrize("axes", [None, ("y", "x")])
@pytest.mark.parametrize("name", ["erosion", "opening", "dilation"])
def test_morphology_with_balls(name, axes):
    mask = noise() > -25
    image = spacing_image(mask)
    structure = cm.masks.ball("1.3 mm", image, axes or DIMS[1:])
    step = getattr(scipy.ndimage, f"binary_{name}")
    wanted = [step(frame, structure.reshape((-1, *structure.shape[-2:]))) for frame in mask]
    np.testing.assert_array_equal(getattr(cm.masks, name)(image, "1.3 mm", axes).values, wanted)


@pytest.mark.parametrize("axes", [None, ("y", "x")])
def test_closing_goes_on_behind_the_border(axes):
    mask = noise() > 15
    image = spacing_image(mask)
    found = cm.masks.closing(image, "2.5 mm", axes).values
    structure = cm.masks.ball("2.5 mm", image, axes or DIMS[1:]).reshape((-1, 5, 11))
    wide = [scipy.ndimage.binary_closing(np.pad(frame, 12), structure) for frame in mask]
    np.testing.assert_array_equal(found, np.array(wide)[:, 12:-12, 12:-12, 12:-12])
    assert (found | ~mask).all()
