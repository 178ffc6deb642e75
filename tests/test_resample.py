"""Onto other grids: positions in mm stay what they are."""

import warnings
from dataclasses import replace

import dask
import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
import xarray as xr
from many_blocks import small_blocks, sourced

import chunkmed as cm
from chunkmed.coords import SPACE, attach, grid_of
from chunkmed.errors import InputError
from chunkmed.grid import Grid
from chunkmed.resample import orientation, reorient, resample, resample_like

SHAPE = (2, 7, 10, 12)
UNEVEN = (0.0, 2.0, 5.0, 6.0, 9.0, 13.0, 14.0)
IDENTITY = np.eye(3)
SLOPES = np.array([0.5, -1.25, 2.0])


@pytest.fixture(autouse=True)
def _many_blocks():
    with small_blocks(), dask.config.set(scheduler="synchronous"):
        yield


def grid(z=tuple(2.5 * i for i in range(7)), direction=IDENTITY, **more):
    y, x = (tuple(step * i for i in range(n)) for step, n in ((1.25, 10), (0.5, 12)))
    rows = tuple(tuple(row) for row in np.asarray(direction, float).tolist())
    given = {"origin_mm": (-4.0, 7.0, 30.0)} | more
    return Grid(z_mm=z, y_mm=y, x_mm=x, time_ms=(0.0, 40.0), direction=rows, **given)


def turned(degrees=(20.0, -35.0, 10.0)):
    """Return oblique axes."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()


def lps_of(image):
    """Return the position in the patient of every voxel, (z, y, x, 3)."""
    on = grid_of(image)
    z, y, x = np.meshgrid(on.z_mm, on.y_mm, on.x_mm, indexing="ij")
    return on.to_lps(np.stack([x, y, z], -1).reshape(-1, 3)).reshape(*z.shape, 3)


def slope(on, dtype="float64"):
    """Return an image whose values are a linear function of the position in the patient."""
    empty = attach(np.zeros((2, *on.shape[1:])), on)
    values = lps_of(empty) @ SLOPES
    return attach(sourced(np.stack([values, values + 100]).astype(dtype), (1, 3, 4, 5)), on)


def check_slope(found, inside=None):
    wanted = lps_of(found) @ SLOPES
    for t in range(2):
        values = found.values[t] - 100 * t
        at = np.ones(values.shape, bool) if inside is None else inside
        assert at.sum() > 20
        np.testing.assert_allclose(values[at], wanted[at], atol=1e-4)


def middle(found, on, rim_mm=0.0):
    """Return which voxels lie between the outermost centres of another grid."""
    points = on.from_lps(lps_of(found).reshape(-1, 3)).reshape(*found.shape[1:], 3)
    inside = np.ones(found.shape[1:], bool)
    for i, at in enumerate((on.x_mm, on.y_mm, on.z_mm)):
        inside &= (points[..., i] >= min(at) + rim_mm) & (points[..., i] <= max(at) - rim_mm)
    return inside


# ------------------------------------------------------------------------------------- spacing


@pytest.mark.parametrize("z", [grid().z_mm, UNEVEN], ids=["even", "uneven"])
def test_values_stay_at_their_positions(z):
    image = slope(grid(z, turned()))
    found = resample(image, spacing=(1.1, 0.9, 0.7), antialias=False)
    assert isinstance(found.data, da.Array) and found.dims == image.dims and found.dtype == image.dtype
    np.testing.assert_allclose(grid_of(found).spacing_mm, (1.1, 0.9, 0.7), rtol=1e-5)
    assert grid_of(found).uniform and found.coords["grid"].attrs["uniform"] == 1
    check_slope(found, middle(found, grid_of(image)))


def test_the_extent_stays():
    image = slope(grid())
    for found in (
        resample(image, shape=(5, 13, 6)),
        resample(image, spacing={"z": 1.25, "y": 0.5, "x": "1 mm"}),
    ):
        for axis in SPACE:
            edges = []
            for each in (image, found):
                at = each.coords[axis].values
                half = (at[1] - at[0]) / 2
                edges.append((at[0] - half, at[-1] + half))
            np.testing.assert_allclose(edges[0], edges[1], atol=1e-5)


def test_a_spacing_that_does_not_divide_the_extent():
    found = resample(slope(grid()), spacing={"z": 4.0})
    # 17.5 mm in 4 voxels of 4 mm, in the middle of it.
    np.testing.assert_allclose(found.coords["z"].values, [1.5, 5.5, 9.5, 13.5])
    assert found.sizes["y"] == 10


def test_labels_are_not_interpolated():
    rng = np.random.default_rng(3)
    labels = attach(sourced(rng.integers(0, 5, SHAPE).astype(np.int32) * 100, (1, 3, 4, 5)), grid())
    for image in (labels.rename("labels"), labels > 100):
        found = resample(image, spacing=0.8)
        assert found.dtype == image.dtype
        assert set(np.unique(found.values)) <= set(np.unique(image.values))
    found = resample(labels, shape=(14, 20, 24), method="nearest")
    np.testing.assert_array_equal(found.values[0], labels.values[0].repeat(2, 0).repeat(2, 1).repeat(2, 2))


def test_smoothed_before_voxels_become_larger():
    rng = np.random.default_rng(5)
    image = attach(rng.normal(size=(1, 12, 24, 24)), replace(cube(12, 24, 24), time_ms=(0.0,)))
    plain, smooth = (resample(image, spacing=4.0, antialias=each) for each in (False, None))
    reference = scipy.ndimage.gaussian_filter(image.values[0], 1.5, mode="nearest")
    at = np.stack(np.meshgrid(*(4 * np.arange(n // 4) + 1.5 for n in (12, 24, 24)), indexing="ij"))
    np.testing.assert_allclose(smooth.values[0], scipy.ndimage.map_coordinates(reference, at, order=1))
    assert smooth.values.std() < 0.4 * plain.values.std()


def cube(*shape):
    return Grid(*(tuple(float(i) for i in range(n)) for n in shape), time_ms=(0.0,))


@pytest.mark.parametrize("order", [1, 3])
def test_volume_and_centre_of_a_blob(order):
    on = Grid(*(tuple(step * i for i in range(n)) for step, n in ((3.0, 20), (1.5, 40), (1.25, 44))))
    image = attach(np.zeros(on.shape), on)
    centre = np.array([27.0, 29.0, 30.0])
    radius = np.linalg.norm(lps_of(image) - centre, axis=-1)
    image = image.copy(data=1 / (1 + np.exp((radius - 15) / 1.5))[None])
    found = resample(image, spacing=2.0, order=order)
    volumes = [each.values.sum() * np.prod(grid_of(each).spacing_mm) for each in (image, found)]
    assert abs(volumes[1] / volumes[0] - 1) < 2e-3
    centres = [
        (lps_of(each) * each.values[0][..., None]).sum((0, 1, 2)) / each.values.sum()
        for each in (image, found)
    ]
    np.testing.assert_allclose(centres[0], centres[1], atol=0.02)


def test_nothing_to_do_is_the_image_itself():
    image = slope(grid())
    assert resample(image, spacing=(2.5, 1.25, 0.5)) is image or resample(image, shape=(7, 10, 12)).equals(
        image
    )


def test_planes_and_slices_of_one():
    image = slope(grid(), "float32")
    plane = image.isel(z=2, t=0)
    found = resample(plane, spacing=0.25)
    assert found.dims == ("y", "x") and float(found.coords["z"]) == float(plane.coords["z"])
    assert grid_of(image.isel(z=[2])).spacing_mm[0] == 1.0
    thick = attach(image.data[:, :1], grid((5.0,), thickness_mm=8.0))
    assert grid_of(resample(thick, spacing={"z": 2.0})).z_mm == (2.0, 4.0, 6.0, 8.0)
    assert grid_of(resample(image, shape=(1, 10, 12))).spacing_mm == (17.5, 1.25, 0.5)


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        ("bad-spacing", lambda i: resample(i)),
        ("bad-spacing", lambda i: resample(i, spacing=-1)),
        ("bad-spacing", lambda i: resample(i, spacing=(1, 2))),
        ("bad-axis", lambda i: resample(i, spacing={"t": 2})),
        ("bad-shape", lambda i: resample(i, shape=(0, 2, 2))),
        ("bad-order", lambda i: resample(i, 1.0, order=7)),
        ("bad-method", lambda i: resample(i, 1.0, method="sharp")),
        ("single-voxel", lambda i: resample(i, shape=(4, 4, 1))),
        ("bad-orientation", lambda i: reorient(i, "LPP")),
        ("no-grid", lambda i: resample(i.drop_vars("grid"), 1.0)),
        ("bad-dims", lambda i: resample_like(i, i.isel(z=0))),
        ("other-frame", lambda i: resample_like(i, slope(grid(frame_key="b")))),
    ],
)
def test_refused(kind, call):
    with pytest.raises(InputError) as refused:
        call(slope(grid(frame_key="a")))
    assert refused.value.kind == kind


def test_splines_need_even_slices():
    for call in (
        lambda i: resample(i, 1.0, order=3),
        lambda i: resample_like(i, slope(grid(direction=turned()))),
    ):
        with pytest.raises(InputError) as refused:
            call(slope(grid(UNEVEN)))
        assert refused.value.kind == "non-uniform"


# ------------------------------------------------------------------------------------ onto others


@pytest.mark.parametrize("z", [grid().z_mm, UNEVEN], ids=["even", "uneven"])
def test_onto_itself_is_the_same(z):
    image = slope(grid(z, turned()))
    xr.testing.assert_identical(resample_like(image, image).compute(), image.compute())


def test_onto_another_grid_of_the_same_directions():
    image = slope(grid(UNEVEN, turned()))
    other = resample(slope(grid(direction=turned(), origin_mm=(-3.0, 8.0, 33.0))), shape=(6, 9, 20))
    found = resample_like(image, other, cval=-999)
    np.testing.assert_array_equal(lps_of(found), lps_of(other))
    inside = middle(found, grid_of(image))
    check_slope(found, inside)
    beyond = ~middle(found, grid_of(image), rim_mm=-2.1)
    assert beyond.any() and (found.values[:, beyond] == -999).all()


def test_onto_a_turned_grid():
    image, other = (
        slope(grid(direction=turned())),
        slope(grid(direction=turned((-10, 5, 40)), origin_mm=(-2.0, 7.0, 31.0))),
    )
    found = resample_like(image, other, cval=-999, antialias=False)
    assert found.coords["grid"] == other.coords["grid"]
    check_slope(found, middle(found, grid_of(image)))
    beyond = ~middle(found, grid_of(image), rim_mm=-1.3)
    assert beyond.any() and (found.values[:, beyond] == -999).all()


def test_cubic_onto_a_turned_grid():
    # Far enough from the borders, where splines are mirrored.
    on = replace(cube(24, 24, 24), time_ms=(0.0, 40.0))
    other = slope(replace(on, direction=grid(direction=turned()).direction, origin_mm=(1.3, 8.0, 2.0)))
    found = resample_like(slope(on), other, order=3)
    check_slope(found, middle(found, on, rim_mm=9.0))


def test_padding_is_what_lies_outside():
    image = slope(grid(), "int16").assign_attrs(padding_value=-2000)
    other = slope(grid(origin_mm=(50.0, 7.0, 30.0)))
    assert (resample_like(image, other).values == -2000).all()
    assert (resample_like(image, other, cval=7).values == 7).all()


@pytest.mark.parametrize("opened", ["of a store", "by name", "as an image", "turned"])
def test_stored_labels_are_not_interpolated(tmp_path, opened):
    values = np.random.default_rng(2).integers(0, 3, SHAPE).astype(np.int32) * 4
    labels = attach(sourced(values, (1, 3, 4, 5)), grid()).rename("labels")
    cm.save(attach(sourced(values, (1, 3, 4, 5)), grid()), tmp_path / "a.zarr")
    cm.save(labels, tmp_path / "a.zarr", name="two")
    cm.save(labels, tmp_path / "b.zarr")
    found = {
        "of a store": lambda: cm.open_labels(tmp_path / "a.zarr", "two"),
        "by name": lambda: cm.open(tmp_path / "a.zarr", label="two"),
        "as an image": lambda: cm.open(tmp_path / "b.zarr"),
        "turned": lambda: cm.open_labels(tmp_path / "a.zarr").isel(y=slice(None, None, -1)),
    }[opened]()
    assert set(np.unique(resample(found, spacing="0.7 mm"))) == {0, 4, 8}


def test_labels_onto_a_turned_grid():
    labels = attach(np.random.default_rng(1).integers(0, 4, SHAPE) * 50, grid()).rename("labels")
    found = resample_like(labels, slope(grid(direction=turned((0, 0, 15)))))
    assert set(np.unique(found.values)) <= {0, 50, 100, 150}


def test_other_frames_where_positions_agree():
    image, other = slope(grid(frame_key="a")), slope(grid(frame_key="b"))
    found = resample_like(image, other, check_frame=False)
    np.testing.assert_array_equal(found.values, image.values)
    assert grid_of(found).frame_key == "b"


# ------------------------------------------------------------------------------------ orientation


@pytest.mark.parametrize("code", ["LPS", "RAS", "SLA", "PIR", "LSP"])
def test_every_voxel_keeps_its_position(code):
    image = slope(grid(UNEVEN, turned()))
    image = image.assign_coords(trigger_time_ms=(("t", "z"), np.arange(14.0).reshape(2, 7)))
    found = reorient(image, code)
    assert orientation(found) == code and isinstance(found.data, da.Array)
    check_slope(found)
    back = reorient(found, orientation(image))
    if code in ("LPS", "RAS"):
        assert "trigger_time_ms" in found.coords
        xr.testing.assert_identical(back.compute(), image.compute())
    xr.testing.assert_identical(
        back.drop_vars("trigger_time_ms", errors="ignore").compute(),
        image.drop_vars("trigger_time_ms").compute(),
    )


def test_times_of_slices_are_turned_with_them():
    image = slope(grid()).assign_coords(trigger_time_ms=(("t", "z"), np.arange(14.0).reshape(2, 7)))
    found = reorient(image, "LPI")
    np.testing.assert_array_equal(found.trigger_time_ms, image.trigger_time_ms[:, ::-1])
    assert "trigger_time_ms" not in reorient(image, "SPL").coords


def test_an_axis_that_was_turned_round():
    image = slope(grid()).isel(y=slice(None, None, -1))
    assert orientation(image) == "LAS"
    check_slope(reorient(image, "LPS"))
    check_slope(
        resample(image, spacing=0.9, antialias=False), middle(resample(image, spacing=0.9), grid_of(image))
    )


def test_a_single_slice_stays_one():
    image = slope(grid((5.0,), thickness_mm=4.0))
    check_slope(reorient(image, "PLS"))
    with pytest.raises(InputError) as refused:
        reorient(image, "SPL")
    assert refused.value.kind == "single-slice"


def test_saved_block_by_block(tmp_path):
    image = slope(grid(), "float32")
    cm.save(reorient(resample(image, spacing=1.5), "RAS"), tmp_path / "small.zarr")
    found = cm.open(tmp_path / "small.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(found.values, reorient(resample(image, spacing=1.5), "RAS").values)
    assert orientation(found) == "RAS"
