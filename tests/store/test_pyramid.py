"""Pyramids: which levels there are, what they hold, where their voxels lie."""

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from many_blocks import small_blocks, sourced

import chunkmed as cm
from chunkmed import store as rooms
from chunkmed.coords import attach, grid_of
from chunkmed.errors import InputError
from chunkmed.graph.evaluate import recording
from chunkmed.grid import Grid
from chunkmed.kernels.shrink import shrink_mean, shrink_mode
from chunkmed.store.pyramid import levels_of, owned_levels, unit_of

PADDING = -2000
TURN = ((0.0, 0.6, 0.8), (1.0, 0.0, 0.0), (0.0, 0.8, -0.6))


def grid(shape, spacing=(1.0, 1.0, 1.0), **more):
    z, y, x = (tuple(float(i * step) for i in range(n)) for n, step in zip(shape[1:], spacing, strict=True))
    about = {"z_mm": z, "y_mm": y, "x_mm": x, "time_ms": tuple(40.0 * t for t in range(shape[0]))}
    return Grid(**{**about, "direction": TURN, "origin_mm": (-10.0, 20.0, 30.5), **more})


def image_of(on, dtype="int16", seed=0):
    values = np.random.default_rng(seed).integers(0, 99, on.shape).astype(dtype)
    if np.dtype(dtype).kind in "if":
        values[:, :, :, on.shape[3] // 2 :] = PADDING
    return attach(sourced(values, (1, 2, 4, 4)), on, attrs={"padding_value": PADDING}), values


@pytest.fixture
def small_levels(monkeypatch):
    """Levels down to eight voxels a side, so that small images have several."""
    monkeypatch.setattr("chunkmed.store.pyramid._ENOUGH", 8)


# ------------------------------------------------------------------------------- which levels


@pytest.mark.parametrize(
    ("shape", "spacing", "wanted"),
    [
        ((1, 16, 256, 256), (5, 1, 1), []),
        ((20, 15, 512, 512), (5, 0.7, 0.7), [(1, 2, 2)]),
        ((1, 1024, 1024, 1024), (1, 1, 1), [(2, 2, 2), (2, 2, 2)]),
        ((1, 600, 512, 512), (1, 0.7, 0.7), [(1, 2, 2), (2, 2, 2), (2, 2, 2)]),
        ((1, 2000, 256, 256), (0.5, 2, 2), [(2, 1, 1), (2, 1, 1), (2, 2, 2)]),
        ((1, 1, 1024, 1024), (8, 1, 1), [(1, 2, 2), (1, 2, 2)]),
        ((1, 3, 1024, 1024), (1, 1, 1), [(1, 2, 2), (1, 2, 2)]),
    ],
)
def test_levels_become_isotropic_first(shape, spacing, wanted):
    found = levels_of(grid(shape, spacing))
    assert [level.factors for level in found[1:]] == wanted


def test_uneven_slices_are_never_averaged():
    uneven = tuple(np.cumsum(np.r_[0, np.tile([1.0, 1.5], 200)])[:400].tolist())
    found = levels_of(grid((1, 400, 512, 512), z_mm=uneven))
    assert [level.factors for level in found[1:]] == [(1, 2, 2)]
    assert found[1].grid.z_mm == uneven


def test_no_pyramid():
    assert len(levels_of(grid((1, 1024, 1024, 1024)), pyramid=False)) == 1


@given(st.integers(4, 40), st.floats(0.1, 9), st.floats(-100, 100))
def test_voxel_edges_stay_where_they_are(n, step, start):
    positions = tuple(start + step * i for i in range(n))
    fine = grid((1, 2, 4, n), x_mm=positions)
    coarse = fine.shrunk((1, 1, 2))
    edge = coarse.x_mm[0] - coarse.spacing_mm[2] / 2
    assert edge == pytest.approx(positions[0] - step / 2, abs=1e-4)
    np.testing.assert_allclose(np.diff(coarse.x_mm), 2 * step, atol=1e-4)
    assert len(coarse.x_mm) == -(-n // 2)


@settings(max_examples=60)
@given(st.data())
def test_a_unit_owns_the_levels_it_was_made_for(data):
    """The parts of the shards of a level that blocks write lie in one block each."""
    sides = data.draw(st.tuples(*[st.integers(1, 70)] * 3))
    steps = data.draw(st.tuples(*[st.sampled_from([1.0, 2.0, 5.0])] * 3))
    shard = (1, *data.draw(st.tuples(*[st.sampled_from([2, 3, 4, 8])] * 3)))
    from chunkmed.store import pyramid

    enough, pyramid._ENOUGH = pyramid._ENOUGH, 8
    try:
        levels = levels_of(grid((1, *sides), steps))
    finally:
        pyramid._ENOUGH = enough
    shards = [tuple(min(n, s) for n, s in zip(level.grid.shape, shard, strict=True)) for level in levels]
    for count in range(len(levels)):
        assert len(list(owned_levels(levels, shards, unit_of(levels, shards, count)))) >= count


# ----------------------------------------------------------------------------------- contents


@pytest.mark.parametrize("sides", [(2, 3, 4), (2, 8, 8), (4, 16, 16), (64, 64, 64)])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("dtype", ["int16", "float32", "uint8"])
def test_levels_are_means_whatever_the_blocks(tmp_path, small_levels, sides, workers, dtype):
    image, values = image_of(grid((2, 9, 33, 20), (2, 1, 1)), dtype)
    with small_blocks(sides), cm.config("16 GB", workers):
        cm.save(image, tmp_path / "a.zarr")
    count = rooms.open_image(tmp_path / "a.zarr").levels
    assert count == 4
    for level in range(1, count):
        found = cm.open(tmp_path / "a.zarr", level=level)
        factors = levels_of(grid_of(image))[level].factors
        values = shrink_mean(values, factors, PADDING)
        np.testing.assert_array_equal(found.values, values)
        assert found.dtype == dtype and found.attrs["padding_value"] == PADDING
    assert rooms.verify(tmp_path / "a.zarr") == []


@pytest.mark.parametrize("sides", [(2, 3, 4), (4, 16, 16)])
def test_levels_of_labels_are_modes(tmp_path, small_levels, sides):
    image, values = image_of(grid((2, 9, 33, 20)), "uint8")
    with small_blocks(sides):
        cm.save(image, tmp_path / "a.zarr")
        labels = (image // 33).astype(np.int32)
        cm.save(labels, tmp_path / "a.zarr", name="thirds")
        cm.save(image > 50, tmp_path / "a.zarr", name="body")
    for name, plain in (
        ("thirds", (values // 33).astype(np.int32)),
        ("body", (values > 50).astype(np.uint8)),
    ):
        for level in (1, 2):
            plain = shrink_mode(plain, levels_of(grid_of(image))[level].factors)
            np.testing.assert_array_equal(cm.open(tmp_path / "a.zarr", label=name, level=level).values, plain)


def test_padding_does_not_darken_its_neighbours(tmp_path, small_levels):
    on = grid((1, 1, 16, 16))
    values = np.full(on.shape, 100, np.int16)
    values[..., 5:] = PADDING
    image = attach(sourced(values, (1, 1, 8, 8)), on, attrs={"padding_value": PADDING})
    cm.save(image, tmp_path / "a.zarr")
    found = cm.open(tmp_path / "a.zarr", level=1)
    assert set(np.unique(found.values)) == {100, PADDING}
    assert found.cm.valid.values.sum() == 8 * 3


@pytest.mark.parametrize("mode", ["one pass", "more passes"])
def test_a_level_is_written_with_the_one_above_where_blocks_allow(tmp_path, small_levels, mode):
    image, _ = image_of(grid((4, 8, 16, 16), (4, 1, 1)))
    sides = (8, 16, 16) if mode == "one pass" else (8, 4, 4)
    with small_blocks(sides), cm.config("16 GB", 1), recording() as readings:
        cm.save(image, tmp_path / "a.zarr")
    sources = {reading.source for reading in readings}
    assert len(sources) == (1 if mode == "one pass" else 2)


# ----------------------------------------------------------------------------------- geometry


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.0, 0.5, 0.5), (3.0, 0.7, 0.8)])
def test_levels_lie_on_one_another(tmp_path, small_levels, spacing):
    image, _ = image_of(grid((1, 12, 24, 40), spacing))
    cm.save(image, tmp_path / "a.zarr")
    root = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())["attributes"]["ome"]
    (multiscale,) = root["multiscales"]
    assert [entry["path"] for entry in multiscale["datasets"]] == [
        f"{i}/image" for i in range(len(multiscale["datasets"]))
    ]
    edges = []
    for level, entry in enumerate(multiscale["datasets"]):
        scale, translation = entry["coordinateTransformations"]
        found = cm.open(tmp_path / "a.zarr", level=level)
        for axis, name in enumerate("zyx", start=1):
            assert float(found[name][0]) == pytest.approx(translation["translation"][axis])
            assert found.cm.spacing[name] == pytest.approx(scale["scale"][axis])
        edges.append(np.array(translation["translation"][1:]) - np.array(scale["scale"][1:]) / 2)
        # The same point of the patient at every level.
        assert grid_of(found).fingerprint == grid_of(image).fingerprint
    np.testing.assert_allclose(edges, np.broadcast_to(edges[0], np.shape(edges)), atol=1e-5)


def test_a_point_keeps_its_place(tmp_path, small_levels):
    """A bright cube is found at the same millimetres at every level."""
    on = grid((1, 16, 16, 16))
    values = np.zeros(on.shape, np.float32)
    values[:, 4:8, 8:12, 4:12] = 8
    cm.save(attach(sourced(values, (1, 8, 8, 8)), on), tmp_path / "a.zarr")
    for level in (0, 1):
        image = cm.open(tmp_path / "a.zarr", level=level)
        table = cm.measure(image > 4, image, ["center_of_mass_mm", "volume_mm3"])
        np.testing.assert_allclose(table["center_of_mass_mm"].squeeze(), [5.5, 9.5, 7.5])
        assert float(table["volume_mm3"].squeeze()) == 4 * 4 * 8


def test_levels_by_number(tmp_path, small_levels):
    image, _ = image_of(grid((1, 4, 16, 16)))
    cm.save(image, tmp_path / "a.zarr")
    assert cm.open(tmp_path / "a.zarr", level=-1).shape == (1, 2, 8, 8)
    for level in (2, -3):
        with pytest.raises(InputError) as refused:
            cm.open(tmp_path / "a.zarr", level=level)
        assert refused.value.kind == "no-level" and "0 to 1" in str(refused.value)


def test_xarray_opens_the_levels(tmp_path, small_levels):
    image, values = image_of(grid((1, 4, 16, 16)))
    cm.save(image, tmp_path / "a.zarr")
    with xr.open_datatree(tmp_path / "a.zarr", engine="zarr") as tree:
        np.testing.assert_array_equal(tree["1"]["image"].values, shrink_mean(values, (2, 2, 2), PADDING))
        np.testing.assert_allclose(tree["1"]["x"], np.arange(8) * 2 + 0.5)


def test_without_a_pyramid(tmp_path, small_levels):
    image, _ = image_of(grid((1, 4, 16, 16)))
    cm.save(image, tmp_path / "a.zarr", pyramid=False)
    assert rooms.open_image(tmp_path / "a.zarr").levels == 1
