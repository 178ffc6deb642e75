"""Grid <-> coordinates, crops and slices included."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import chunkmed as cm
import chunkmed.accessors
import chunkmed.ndimage as ndi
from chunkmed.coords import attach, grid_of, has_grid, spacing_of, time_dim_of
from chunkmed.errors import InputError
from chunkmed.grid import Grid

assert chunkmed.accessors  # registers image.cm and image.meta
TURN = ((0.0, 0.6, 0.8), (1.0, 0.0, 0.0), (0.0, 0.8, -0.6))


def grid(**changes):
    about = {
        "z_mm": (0.0, 2.0, 4.0, 6.0),
        "y_mm": (0.0, 1.5, 3.0),
        "x_mm": (0.0, 0.5, 1.0, 1.5, 2.0),
        "time_ms": (0.0, 40.0, 80.0),
        "direction": TURN,
        "origin_mm": (-20.0, 11.0, 5.0),
        "frame_key": "abc",
    }
    return Grid(**{**about, **changes})


def image_of(on=None, **more):
    on = on or grid()
    return attach(da.zeros(on.shape, chunks=2, dtype=np.int16), on, **more)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"z_mm": (0.0, 1.0, 4.0, 6.0)},
        {"known": False},
        {"time_known": False},
        {"time_dim": "b", "time_ms": (0.0, 500.0)},
        {"z_mm": (3.0,), "thickness_mm": 5.0},
        {"frame_key": ""},
        {"time_ms": (7.0,)},
    ],
)
def test_round_trip(changes):
    assert grid_of(image_of(grid(**changes))) == grid(**changes)


def test_units():
    image = image_of(trigger_time_ms=np.zeros((3, 4)))
    units = {name: coord.attrs.get("units") for name, coord in image.coords.items()}
    assert units == {"t": "ms", "z": "mm", "y": "mm", "x": "mm", "grid": None, "trigger_time_ms": "ms"}
    assert image_of(grid(known=False)).z.attrs["units"] == "pixel"
    assert image_of(grid(time_known=False)).t.attrs["units"] == "1"
    assert image_of(grid(time_dim="b")).b.attrs["units"] == "s/mm2"


def test_equal_positions_are_equal_numbers():
    noisy = grid(z_mm=tuple(z + 3e-10 for z in grid().z_mm), x_mm=(-0.0, 0.5, 1.0, 1.5, 2.0))
    assert (image_of(noisy) + image_of()).shape == grid().shape
    assert not np.signbit(image_of(noisy).x.values).any()


def test_crops_and_slices_keep_their_place():
    image = image_of()
    assert grid_of(image[1:, 1:3, :, 2:]) == grid().crop(((1, 3), (1, 3), (0, 3), (2, 5)))
    assert grid_of(image.isel(t=1)) == grid(time_ms=(40.0,))
    assert grid_of(image.isel(z=2)).z_mm == (4.0,)
    # What follows in the graph knows it too.
    assert grid_of(ndi.gaussian_filter(image, 1.0) > 3) == grid()


def test_turned_round():
    turned = image_of().isel(z=slice(None, None, -1))
    assert spacing_of(turned) == {"z": 2.0, "y": 1.5, "x": 0.5}
    np.testing.assert_allclose(grid_of(turned).affine @ [0, 0, 0, 1], grid().affine @ [0, 0, 3, 1])


def test_images_of_other_frames_do_not_mix_silently():
    both = image_of() + image_of(grid(origin_mm=(0.0, 0.0, 0.0)))
    # xarray drops a scalar coordinate that differs: the sum lies on no grid.
    assert not has_grid(both)
    with pytest.raises(InputError) as refused:
        grid_of(both)
    assert refused.value.kind == "no-grid"


def test_spacing():
    assert spacing_of(image_of()) == {"z": 2.0, "y": 1.5, "x": 0.5}
    assert spacing_of(image_of().isel(t=0, z=1)) == {"y": 1.5, "x": 0.5}
    uneven = image_of(grid(z_mm=(0.0, 1.0, 4.0, 6.0)))
    assert spacing_of(uneven)["z"] == 2.0
    for image, uniform, kind in (
        (uneven, True, "non-uniform"),
        (image_of(grid(known=False)), False, "no-spacing"),
        (xr.DataArray(np.zeros((2, 2)), dims=("y", "x")), False, "no-grid"),
    ):
        with pytest.raises(InputError) as refused:
            spacing_of(image, uniform=uniform)
        assert refused.value.kind == kind


def test_lengths_in_mm_reach_the_filters():
    rng = np.random.default_rng(0)
    image = attach(da.from_array(rng.normal(size=grid().shape), chunks=2), grid())
    found = ndi.gaussian_filter(image, sigma="1.5 mm")
    xr.testing.assert_equal(found.compute(), ndi.gaussian_filter(image, (0.75, 1.0, 3.0)).compute())
    found = ndi.gaussian_filter(image, sigma=["3 mm", 0.5, "1 mm"])
    xr.testing.assert_equal(found.compute(), ndi.gaussian_filter(image, (1.5, 0.5, 2.0)).compute())
    # The nearest odd number of voxels: 6 / 2, 6 / 1.5 (4, up to 5 or down to 3), 6 / 0.5 = 12.
    found = ndi.median_filter(image, size=["6 mm", "4.6 mm", "2.4 mm"])
    xr.testing.assert_equal(found.compute(), ndi.median_filter(image, (3, 3, 5)).compute())


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: ndi.gaussian_filter(image_of().data, "1 mm"), "no-spacing"),
        (lambda: ndi.gaussian_filter(np.zeros((3, 3)), "1 mm"), "no-spacing"),
        (lambda: ndi.gaussian_filter(image_of(grid(known=False)), "1 mm"), "no-spacing"),
        (lambda: ndi.gaussian_filter(image_of(grid(z_mm=(0.0, 1.0, 4.0, 6.0))), "1 mm"), "non-uniform"),
        (lambda: ndi.gaussian_filter(image_of(), "1 mile"), "bad-length"),
        (lambda: ndi.gaussian_filter(image_of(), "-1 mm"), "bad-sigma"),
        (lambda: ndi.median_filter(image_of(), "-3 mm"), "bad-size"),
        (lambda: ndi.gaussian_filter(image_of(), ["1 mm"] * 4, axes=("t", "z", "y", "x")), "bad-axis"),
        (lambda: ndi.gaussian_filter(image_of(), (1.0, 1.0)), "sequence-length"),
        (lambda: ndi.gaussian_filter(image_of(), 1.0, axes=("q",)), "bad-axis"),
        (lambda: ndi.gaussian_filter(image_of(), 1.0, axes=(7,)), "bad-axis"),
        (lambda: ndi.gaussian_filter(image_of(), 1.0, mode="periodic"), "bad-mode"),
        (lambda: ndi.gaussian_filter(image_of(), 1.0, output=np.zeros(3)), "output-array"),
        (lambda: ndi.gaussian_filter(image_of(), 1.0, output="float33"), "bad-dtype"),
        (lambda: ndi.median_filter(image_of()), "no-size"),
        (lambda: ndi.median_filter(image_of(), 3, origin=2), "bad-origin"),
        (lambda: ndi.median_filter(image_of(), footprint=np.zeros((3, 3, 3))), "empty-footprint"),
        (lambda: ndi.binary_erosion(image_of(), [[[1, 0, 1]]], iterations=0), "no-center"),
        (lambda: cm.masks.fill(image_of()[:, :0]), "empty-image"),
        (lambda: ndi.label(image_of()[:, :0]), "empty-image"),
    ],
)
def test_what_the_filters_refuse(make, kind):
    with pytest.raises(InputError) as refused:
        make()
    assert refused.value.kind == kind


def test_time_dims():
    assert time_dim_of(image_of()) == "t"
    assert time_dim_of(image_of(grid(time_dim="b"))) == "b"
    assert time_dim_of(image_of().isel(t=0)) is None
    with pytest.raises(InputError) as refused:
        ndi.gaussian_filter(image_of().expand_dims("channel"), 1.0)
    assert refused.value.kind == "bad-dims"


def test_accessors():
    image = image_of(attrs={"units": "HU", "padding_value": 0, "modality": "CT"})
    assert image.cm.grid == grid() and image.cm.spacing == {"z": 2.0, "y": 1.5, "x": 0.5}
    assert not image.cm.valid.values.any()
    assert image_of().cm.valid.values.all()
    assert image.meta["sampling"] == (40.0, 2.0, 1.5, 0.5)
    assert image.isel(t=0, z=1).meta["sampling"] == (1.5, 0.5)
    assert image.meta["modality"] == "CT" and image.meta["shape"] == grid().shape
    assert set(image.meta) == {"units", "padding_value", "modality", "shape", "sampling"}
    assert len(image.meta) == 5 and "CT" in repr(image.meta)
    with pytest.raises(KeyError):
        image.meta["PatientName"]


def test_where_of_numbers_keeps_the_grid():
    image = image_of(grid(frame_key="of its own"))
    made = xr.where(image > 0, 1, 0)
    assert not made.coords["grid"].attrs
    assert grid_of(made) == grid_of(image)
    assert grid_of(xr.where(image[1] > 0, 1, 0)) == grid_of(image[1])
    one = made.assign_coords(grid=np.int64(1234567))
    with pytest.raises(InputError, match="carries no grid"):
        grid_of(one)


def test_what_two_images_on_one_grid_do_not_share_is_not_made_up():
    for depth in (2.0, 5.0):
        image = image_of(grid(z_mm=(0.0,), thickness_mm=depth, frame_key="slices"))
    assert grid_of(image).thickness_mm == 5.0
    assert grid_of(xr.where(image > 0, 1, 0)).thickness_mm is None
