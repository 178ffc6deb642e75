"""Distance transforms: scipy's for any mask, sampling, chunking, and whatever is kept on disk on the way."""

from unittest.mock import patch

import dask
import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
import chunkmed.testing.strategies as cst
from chunkmed.coords import attach
from chunkmed.errors import InputError
from chunkmed.graph.budget import Budget
from chunkmed.graph.evaluate import walk
from chunkmed.graph.lift import lift
from chunkmed.graph.passes import make_program
from chunkmed.graph.spill import Spill
from chunkmed.grid import Grid

RUN = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
METRICS = {
    "edt": dict,
    "bf": lambda: {"metric": "euclidean"},
    "bf taxicab": lambda: {"metric": "taxicab"},
    "cdt": lambda: {"metric": "chessboard"},
}


@pytest.fixture(autouse=True)
def _one_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def gathered(image):
    """Evaluate an image as a sink does, pass by pass."""
    out = np.empty(image.shape, image.dtype)

    def keep(box, arrays):
        assert arrays[0].dtype == image.dtype
        out[tuple(slice(a, b) for a, b in box)] = arrays[0]

    for _ in make_program([lift(image).node]).run(keep, name="gathering"):
        pass
    return out


@st.composite
def masks(draw):
    """Draw a mask, dense or sparse or without background, and lazy in random chunks."""
    shape = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    mask = rng.random(shape) < draw(st.sampled_from([0.5, 0.9, 0.98, 2.0]))
    return mask, da.from_array(mask, chunks=draw(cst.chunkings(shape)))


@settings(max_examples=25, **RUN)
@given(data=st.data(), case=masks())
def test_any_chunking_is_scipys_to_the_last_bit(data, case):
    mask, lazy = case
    name = data.draw(st.sampled_from(sorted(METRICS)))
    arguments = METRICS[name]()
    # Brute force sums differently where fractions are not exact.
    values = [0.25, 1.0, 1.5, 3.0] if name == "bf" else [0.3, 0.7, 1.0, 1.1, 2.5]
    if name in ("edt", "bf"):
        sampling = st.lists(st.sampled_from(values), min_size=mask.ndim, max_size=mask.ndim)
        arguments["sampling"] = data.draw(st.one_of(st.none(), st.sampled_from(values), sampling))
    indexed = data.draw(st.booleans())
    function = f"distance_transform_{name.split()[0]}"
    wanted = getattr(scipy.ndimage, function)(mask, return_indices=indexed, **arguments)
    found = getattr(ndi, function)(lazy, return_indices=indexed, **arguments)
    for ours, theirs in zip(found, wanted, strict=True) if indexed else [(found, wanted)]:
        for values in (ours.compute(), gathered(ours)):
            np.testing.assert_array_equal(values, theirs)
            assert values.dtype == ours.dtype == theirs.dtype


def blobs(shape=(2, 9, 40, 45)):
    rng = np.random.default_rng(3)
    return scipy.ndimage.gaussian_filter(rng.random(shape), [0, 2, 2, 2][-len(shape) :]) > 0.49


@pytest.mark.parametrize("function", ["edt", "cdt"])
def test_passes_through_disk_give_the_same(function):
    mask = blobs()
    image = xr.DataArray(sourced(mask, (1, 4, 16, 16)), dims=("t", "z", "y", "x"))
    found = getattr(ndi, f"distance_transform_{function}")(image)
    free = {"PASS_NS": 0.0, "TASK_NS": 0.0}
    with small_blocks((4, 16, 16)), patch.multiple("chunkmed.graph.passes", **free):
        program = make_program([lift(found).node])
        assert program.plan.tasks > 9 and {type(each) for each in program.early} == {Spill}
        values = gathered(found)
    reference = getattr(scipy.ndimage, f"distance_transform_{function}")
    np.testing.assert_array_equal(values, [reference(frame) for frame in mask])


def test_dask_makes_nothing_twice():
    mask, counted = blobs((9, 40, 45)), []

    def counting(block, block_info=None):
        counted.append(block_info[0]["chunk-location"])
        return block

    lazy = da.from_array(mask, chunks=(3, 20, 15)).map_blocks(counting, dtype=bool, meta=np.zeros(0, bool))
    found = ndi.distance_transform_edt(lazy).compute()
    np.testing.assert_array_equal(found, scipy.ndimage.distance_transform_edt(mask))
    assert len(counted) == len(set(counted)) == 18


@pytest.mark.parametrize("share", [0.5, 0.98, 0.99995])
@pytest.mark.parametrize("sampling", [None, 0.7, (1.5, 0.7, 0.7)])
def test_near_and_far_background(share, sampling):
    # Equal steps that are no binary fractions: many are as near but for rounding.
    mask = np.random.default_rng(2).random((20, 50, 60)) < share
    found = ndi.distance_transform_edt(da.from_array(mask, chunks=40), sampling)
    np.testing.assert_array_equal(found, scipy.ndimage.distance_transform_edt(mask, sampling))
    for metric in ("taxicab", "chessboard"):
        found = ndi.distance_transform_cdt(da.from_array(mask, chunks=40), metric)
        np.testing.assert_array_equal(found, scipy.ndimage.distance_transform_cdt(mask, metric))


@pytest.mark.parametrize("name", sorted(METRICS))
def test_scipy_does_it_all_where_it_is_asked_to(name, monkeypatch):
    monkeypatch.setenv("CHUNKMED_KERNELS", "scipy")
    mask = blobs((2, 4, 9, 7))
    mask[1] = True
    image = xr.DataArray(da.from_array(mask, chunks=3), dims=("t", "z", "y", "x"))
    function = f"distance_transform_{name.split()[0]}"
    found = getattr(ndi, function)(image, return_indices=True, **METRICS[name]())
    assert any("(along 1 2 3)" in node.label for node in walk([lift(found[0]).node]))
    for t in range(2):
        wanted = getattr(scipy.ndimage, function)(mask[t], return_indices=True, **METRICS[name]())
        np.testing.assert_array_equal(found[0][t], wanted[0])
        np.testing.assert_array_equal(found[1][:, t], wanted[1])


def on_grid(mask, z_mm, **more):
    """Return a mask as an image with positions in mm."""
    axes = [tuple(np.arange(n) * step) for n, step in zip(mask.shape[-2:], (0.7, 1.25), strict=True)]
    grid = Grid(tuple(z_mm), *axes, time_ms=tuple(range(len(mask))), **more)
    return attach(da.from_array(mask, chunks=(1, 4, 9, 7)), grid, name="mask")


def test_spacing_comes_from_the_coordinates():
    mask = blobs((2, 9, 12, 15))
    image = on_grid(mask, np.arange(9) * 2.5)
    found = ndi.distance_transform_edt(image)
    wanted = [scipy.ndimage.distance_transform_edt(frame, (2.5, 0.7, 1.25)) for frame in mask]
    np.testing.assert_array_equal(found.compute(), wanted)
    assert found.dims == image.dims and found.name == "mask" and "grid" in found.coords
    in_voxels = ndi.distance_transform_edt(image, sampling=1)
    np.testing.assert_array_equal(in_voxels[1].compute(), scipy.ndimage.distance_transform_edt(mask[1]))


@pytest.mark.parametrize("dims", [("t", "z", "y", "x"), ("t", "y", "z", "x"), ("t", "x", "y", "z")])
def test_slices_at_uneven_distances_lie_where_they_lie(dims):
    mask = blobs((1, 8, 7, 6))
    z_mm = np.array([0, 1, 2, 4, 7, 7.5, 12, 13.0])
    image = on_grid(mask, z_mm).transpose(*dims)
    grid = np.stack(np.meshgrid(z_mm, np.arange(7) * 0.7, np.arange(6) * 1.25, indexing="ij"), axis=-1)
    away = np.linalg.norm(grid[..., None, :] - grid[~mask[0]], axis=-1).min(axis=-1)
    found = ndi.distance_transform_edt(image).transpose("t", "z", "y", "x")
    np.testing.assert_allclose(found[0], np.where(mask[0], away, 0), rtol=1e-14)
    found, indices = ndi.distance_transform_edt(image, return_indices=True)
    z, y, x = (indices.sel(axis=axis).transpose("t", "z", "y", "x")[0].values for axis in "zyx")
    place = grid[z, y, x]
    np.testing.assert_allclose(np.linalg.norm(place - grid, axis=-1), np.where(mask[0], away, 0), rtol=1e-14)
    assert not mask[0][z, y, x].any()


def test_indices_of_a_time_series():
    mask = blobs((2, 5, 9, 7))
    image = xr.DataArray(da.from_array(mask, chunks=4), dims=("t", "z", "y", "x"))
    indices = ndi.distance_transform_edt(image, return_distances=False, return_indices=True)
    assert indices.dims == ("axis", "t", "z", "y", "x") and indices.axis.values.tolist() == ["z", "y", "x"]
    for t in range(2):
        wanted = scipy.ndimage.distance_transform_edt(mask[t], return_distances=False, return_indices=True)
        np.testing.assert_array_equal(indices[:, t], wanted)


def test_a_long_line():
    mask = np.ones(40000, bool)
    mask[[3, 39000]] = False
    found = ndi.distance_transform_edt(da.from_array(mask, chunks=9000))
    np.testing.assert_array_equal(found.compute(), scipy.ndimage.distance_transform_edt(mask))
    tall = np.ones((17000, 2), bool)
    tall[0, 1] = False
    found = ndi.distance_transform_edt(da.from_array(tall, chunks=9000), sampling=(0.7, 3))
    np.testing.assert_array_equal(found, scipy.ndimage.distance_transform_edt(tall, (0.7, 3)))


@pytest.mark.parametrize("shape", [(0, 4), (3, 0, 2), (0,)])
@pytest.mark.parametrize("name", ["edt", "cdt", "bf"])
def test_images_without_voxels(shape, name):
    empty = np.zeros(shape)
    found = getattr(ndi, f"distance_transform_{name}")(da.from_array(empty, chunks=2), return_indices=True)
    wanted = getattr(scipy.ndimage, f"distance_transform_{name}")(empty, return_indices=True)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.compute().shape == theirs.shape and ours.dtype == theirs.dtype


def test_one_voxel_without_axes_is_scipys():
    found = ndi.distance_transform_edt(da.from_array(np.array(1)))
    np.testing.assert_array_equal(found, scipy.ndimage.distance_transform_edt(np.array(1)))


@settings(max_examples=20, **RUN)
@given(data=st.data(), case=masks())
def test_signed_distances_are_those_of_both_sides(data, case):
    mask, lazy = case
    step = data.draw(st.sampled_from([0.7, 1.0, 2.5]))
    image = xr.DataArray(lazy, dims=("t", "z", "y", "x")[4 - mask.ndim :])
    found = cm.masks.signed_distance(image, sampling=step)
    for t in range(len(mask)) if mask.ndim == 4 else [()]:
        if mask[t].all() or not mask[t].any():
            wanted = np.full(mask[t].shape, -np.inf if mask[t].all() else np.inf)
        else:
            outside, inside = (
                scipy.ndimage.distance_transform_edt(m, [step] * m.ndim) for m in (~mask[t], mask[t])
            )
            wanted = outside - inside
        for values in (found.values, gathered(found)):
            np.testing.assert_array_equal(values[t], wanted)


def test_signed_distances_of_a_ball_in_millimetres(tmp_path):
    z, y, x = np.meshgrid(np.arange(31) * 2.0, np.arange(60) * 0.7, np.arange(40) * 1.25, indexing="ij")
    radius = np.sqrt((z - 30) ** 2 + (y - 20) ** 2 + (x - 25) ** 2)
    image = on_grid((radius <= 15)[None], np.arange(31) * 2.0)
    with small_blocks((8, 16, 16)):
        cm.save(cm.masks.signed_distance(image), tmp_path / "signed.zarr")
    found = cm.open(tmp_path / "signed.zarr")[0].values
    assert ((found < 0) == (radius <= 15)).all()
    # To the rim of the ball, but for the size of the voxels there.
    assert np.abs(found - (radius - 15)).max() < 2.2


SHEARED = ((1.0, 0.0, 0.3), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
WRONG = {
    "output-array": lambda m: ndi.distance_transform_edt(m, distances=np.zeros(m.shape)),
    "sequence-length": lambda m: ndi.distance_transform_edt(m, sampling=(1, 2)),
    "bad-sampling": lambda m: ndi.distance_transform_edt(m, sampling=(1, -1, 2)),
    "bad-metric": lambda m: ndi.distance_transform_cdt(m, metric=None),
    "sheared": lambda m: ndi.distance_transform_edt(
        on_grid(blobs((1, 3, 4, 5)), [0, 1, 2], direction=SHEARED)
    ),
    "bad-axis": lambda m: ndi.distance_transform_edt(m.isel(z=0, y=0, x=0)),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_said_at_once(kind):
    mask = xr.DataArray(da.from_array(blobs((2, 3, 4, 5)), chunks=3), dims=("t", "z", "y", "x"))
    with pytest.raises(InputError) as refused:
        WRONG[kind](mask)
    assert refused.value.kind == kind


def test_scipys_own_errors():
    mask = da.ones((3, 4), chunks=2)
    with pytest.raises(RuntimeError, match="at least one"):
        ndi.distance_transform_edt(mask, return_distances=False)
    with pytest.raises(RuntimeError, match="not supported"):
        ndi.distance_transform_bf(mask, metric="fine")


def test_the_plan_keeps_two_bytes_a_voxel_on_disk():
    mask = da.zeros((512, 512, 512), chunks=128, dtype=bool)
    image = xr.DataArray(mask, dims=("z", "y", "x"))
    found = ndi.distance_transform_edt(image)
    roomy = make_program([lift(found).node], budget=Budget(16 * 10**9, 1, 1, 250 << 20))
    little = Budget(600 * 10**6, 1, 1, 250 << 20)
    small = make_program([lift(found).node], unit=(64, 256, 256), budget=little)
    assert small.peak_bytes <= 600e6 and roomy.peak_bytes > small.peak_bytes
    assert small.early and small.early[0].written_bytes == 2 * 512**3
    assert cm.explain(found).passes
