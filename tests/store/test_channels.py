"""Colour images: channels last in an image, before space on disk."""

import json

import numpy as np
import pytest
import scipy.ndimage
import xarray as xr
import yaozarrs
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.coords import attach
from chunkmed.errors import InputError
from chunkmed.grid import Grid

VALUES = np.random.default_rng(0).integers(0, 255, (2, 3, 300, 280, 3), dtype=np.uint8)
GRID = Grid((0.0, 1.0, 2.0), tuple(np.arange(300.0)), tuple(np.arange(280.0)), time_ms=(0.0, 40.0))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return cm.save(
        attach(sourced(VALUES, (1, 2, 100, 100, 3)), GRID), tmp_path_factory.mktemp("c") / "c.zarr"
    )


def test_channels_come_back_last(stored):
    assert stored.dims == ("t", "z", "y", "x", "c")
    np.testing.assert_array_equal(stored.values, VALUES)
    assert not cm.explain(stored * 2).opaque


def test_the_store_is_ome_zarr(stored, tmp_path):
    path = cm.save(stored, tmp_path / "copy.zarr") is not None and tmp_path / "copy.zarr"
    yaozarrs.validate_zarr_store(str(path))
    axes = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]["axes"]
    assert [axis["type"] for axis in axes] == ["time", "channel", "space", "space", "space"]
    raw = xr.open_zarr(path, group="0", consolidated=False)["image"]
    np.testing.assert_array_equal(raw.transpose("t", "z", "y", "x", "c"), VALUES)
    assert cm.open(path, level=-1).sizes["c"] == 3


def test_coarser_levels_are_means_of_each_channel(tmp_path):
    with small_blocks((3, 40, 40)):
        cm.save(attach(sourced(VALUES, (1, 2, 100, 100, 3)), GRID), tmp_path / "c.zarr")
    coarse = cm.open(tmp_path / "c.zarr", level=1)
    one = cm.save(attach(sourced(VALUES[..., 1], (1, 2, 100, 100)), GRID), tmp_path / "one.zarr")
    np.testing.assert_array_equal(coarse.isel(c=1), cm.open(tmp_path / "one.zarr", level=1))
    assert one.shape == VALUES.shape[:-1]


def test_filters_take_each_channel_by_itself(stored):
    found = ndi.gaussian_filter(stored, 1)
    assert found.dims == stored.dims
    np.testing.assert_array_equal(found, scipy.ndimage.gaussian_filter(VALUES, (0, 1, 1, 1, 0)))


def test_objects_of_several_channels_are_refused(stored):
    for refused in (lambda: ndi.label(stored > 9), lambda: cm.measure(stored > 9), lambda: ndi.mean(stored)):
        with pytest.raises(InputError, match="isel") as error:
            refused()
        assert error.value.kind == "colour-image"
    table = cm.measure(stored.isel(c=1) > 9, stored.isel(c=0), ["count", "mean"])
    inside = VALUES[0, ..., 1] > 9
    assert float(table["mean"].isel(t=0, label=0)) == pytest.approx(VALUES[0, ..., 0][inside].mean())
