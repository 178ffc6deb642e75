"""What is read for a picture: the level and the slices that it shows, and no chunk twice."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.coords import attach
from chunkmed.graph.evaluate import recording
from chunkmed.graph.lift import lift
from chunkmed.grid import Grid
from chunkmed.slices.cuts import Cut, read_cuts
from chunkmed.slices.levels import at_level, coarsest
from chunkmed.slices.page import grid_if_known, positions_of, slice_of
from chunkmed.slices.planes import plane_across

SHAPE = (2, 16, 64, 48)
VALUES = np.random.default_rng(3).integers(0, 999, SHAPE).astype("int16")
GRID = Grid(
    tuple(5.0 + np.arange(16)), tuple(np.arange(64.0)), tuple(np.arange(48.0)), (0.0, 40.0), frame_key="k"
)


def planes(image):
    return {axis: plane_across(axis, grid_if_known(image)) for axis in "zyx"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A store of three levels in chunks of 4 x 8 x 8, with a label image."""
    path = tmp_path_factory.mktemp("leveled") / "a.zarr"
    with small_blocks((4, 8, 8)), pytest.MonkeyPatch.context() as patch:
        patch.setattr("chunkmed.store.pyramid._ENOUGH", 16)
        image = cm.save(attach(VALUES, GRID), path)
        cm.save((image > 500).astype("u1"), path, name="marks")
    return path


def shapes(path, **more):
    return [cm.open(path, level=level, **more).shape[1:] for level in (0, 1, 2)]


def token(path, level, **more):
    return lift(cm.open(path, level=level, **more)).node.token


def test_the_level_has_a_voxel_for_each_pixel(stored):
    image = cm.open(stored)
    assert shapes(stored) == [(16, 64, 48), (8, 32, 24), (4, 16, 12)]
    for pixels, level in (({"y": 64, "x": 48}, 0), ({"y": 17, "x": 5}, 1), ({"y": 16, "x": 12}, 2), ({}, 2)):
        assert lift(at_level(image, pixels)).node.token == token(stored, level)
        marks = at_level(cm.open(stored, label="marks"), pixels)
        assert lift(marks).node.token == token(stored, level, label="marks")
    # A picture finer than the image needs all of it, and not more.
    assert at_level(image, {"y": 999, "x": 999}) is image
    assert at_level(cm.open(stored, level=1), {"y": 64}).shape == (2, 8, 32, 24)


def test_parts_of_a_level_lie_where_the_parts_of_the_image_do(stored):
    image = cm.open(stored)
    part = image.isel(t=1, z=slice(3, 9), y=slice(5, 40), x=7)
    small = coarsest(part)
    assert small.dims == ("z", "y") and small.shape == (3, 9)
    whole = cm.open(stored, level=-1)
    xr.testing.assert_equal(small.compute(), whole.isel(t=1, z=slice(0, 3), y=slice(1, 10), x=1).compute())
    turned = coarsest(part.transpose("y", "z"))
    assert turned.dims == ("y", "z") and np.array_equal(turned.values.T, small.values)


def test_what_is_no_stored_image_has_no_levels(stored):
    image = cm.open(stored)
    for other in (
        image + 1,
        ndi.gaussian_filter(image, 1),
        attach(VALUES, GRID),
        image.assign_coords(x=image.x + 1.0),
        cm.checkpoint(image + 1),
    ):
        assert coarsest(other) is other


def read(image, cuts):
    with recording() as readings:
        found = read_cuts(image, cuts)
    return found, readings


def test_slices_are_read_and_no_more(stored):
    image = cm.open(stored)
    cuts = [Cut(planes(image)["z"], 6, 1), Cut(planes(image)["y"], 30, 1), Cut(planes(image)["x"], 0, 1)]
    found, readings = read(image, cuts)
    assert np.array_equal(found[cuts[0]], VALUES[1, 6])
    assert np.array_equal(found[cuts[1]], VALUES[1, :, 30])
    assert np.array_equal(found[cuts[2]], VALUES[1, :, :, 0])
    boxes = sorted(reading.box for reading in readings)
    everything = ((0, 16), (0, 64), (0, 48))
    wanted = [
        ((1, 2), *everything[:a], (i, i + 1), *everything[a + 1 :]) for a, i in ((0, 6), (1, 30), (2, 0))
    ]
    assert boxes == sorted(wanted)
    assert {reading.source for reading in readings} == {token(stored, 0)}


def test_slices_in_one_chunk_are_read_together(stored):
    image = cm.open(stored)
    cuts = [Cut(planes(image)["z"], i) for i in range(16)]
    found, readings = read(image, [*cuts, cuts[5]])
    assert sorted(reading.box[1] for reading in readings) == [(0, 4), (4, 8), (8, 12), (12, 16)]
    assert all(np.array_equal(found[cut], VALUES[0, cut.index]) for cut in cuts)
    apart, readings = read(image, cuts[::5])
    assert sorted(reading.box[1] for reading in readings) == [(0, 1), (5, 6), (10, 11), (15, 16)]
    assert all(np.array_equal(apart[cut], VALUES[0, cut.index]) for cut in cuts[::5])


def test_a_filter_is_evaluated_on_the_slice_and_its_halo():
    image = attach(sourced(VALUES, (1, 2, 8, 8)), GRID)
    smooth = ndi.generic_filter(image, np.max, size=(5, 1, 1))
    cut = Cut(planes(image)["z"], 8)
    found, readings = read(smooth, [cut])
    assert {reading.box[:2] for reading in readings} == {((0, 1), (6, 11))}
    assert np.array_equal(found[cut], smooth.isel(t=0, z=8).compute())
    # Far apart each alone; in one chunk of two together.
    _, readings = read(smooth, [cut, Cut(cut.plane, 9), Cut(cut.plane, 0)])
    assert sorted(reading.box[1] for reading in readings) == [(0, 3), (6, 12)]


def test_arrays_of_any_kind(stored):
    values = VALUES[0]
    cut = Cut(plane_across("y", None), 3)
    for data in (values, da.from_array(values, chunks=7), da.from_array(values).map_blocks(np.negative) * -1):
        image = xr.DataArray(data, dims=("z", "y", "x"))
        assert np.array_equal(read_cuts(image, [cut])[cut], values[:, 3])
    colour = xr.DataArray(np.moveaxis(values, 0, -1)[None], dims=("z", "y", "x", "c"))
    flat = Cut(plane_across("z", None), 0)
    assert read_cuts(colour, [flat])[flat].shape == (64, 48, 16)
    line = Cut(plane_across("z", None), 0)
    assert read_cuts(xr.DataArray(values[0], dims=("x", "y")), [line])[line].T.tolist() == values[0].tolist()


def test_slices_at_uneven_distances_take_the_room_they_stand_for():
    grid = Grid((0.0, 1.0, 2.0, 6.0), (0.0, 1.0), (0.0, 1.0))
    image = attach(np.arange(4.0)[None, :, None, None] * np.ones((1, 4, 2, 2)), grid)
    cut = Cut(plane_across("y", grid), 0)
    shown = slice_of(image, cut, read_cuts(image, [cut])[cut])
    # Edges at -0.5, 0.5, 1.5, 4 and 8.
    assert shown.extent[2:] == (-0.5, 8.0)
    assert len(shown.values) == 8 and list(np.unique(shown.values)) == [0, 1, 2, 3]
    assert shown.values[:, 0].tolist().count(3) == 4
    assert positions_of(image, "z")[0].tolist() == [0.0, 1.0, 2.0, 6.0]
