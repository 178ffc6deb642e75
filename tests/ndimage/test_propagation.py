"""Masks that depend on the whole image, beyond the rows of the parity table: masks, axes, refusals."""

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
from chunkmed.errors import InputError
from chunkmed.ndimage.refused import REFUSED

DIMS = ("t", "z", "y", "x")


@pytest.fixture(autouse=True)
def _many_blocks():
    with small_blocks(), dask.config.set(scheduler="synchronous"):
        yield


def noise(seed, share, shape=(2, 6, 7, 8)):
    return np.random.default_rng(seed).random(shape) < share


def named(array):
    return xr.DataArray(sourced(array, (1, 2, 3, 5)[-array.ndim :]), dims=DIMS[-array.ndim :])


@pytest.mark.parametrize("structure", [None, np.ones((3, 3, 3)), [[[1, 1, 0]]], np.ones((1, 1, 5))])
@pytest.mark.parametrize("border", [0, 1])
def test_propagation_within_a_mask(structure, border):
    """Seeds lie inside the mask, beside it, and far from it: those outside stay."""
    seeds, mask = noise(1, 0.03), noise(2, 0.5)
    found = ndi.binary_propagation(named(seeds), structure, named(mask), border_value=border)
    wanted = [
        scipy.ndimage.binary_propagation(s, structure, m, border_value=border)
        for s, m in zip(seeds, mask, strict=True)
    ]
    assert found.dtype == bool and isinstance(found.data, da.Array)
    np.testing.assert_array_equal(found.values, wanted)
    assert (seeds & ~mask).any() and not found.values.all()


@pytest.mark.parametrize("name", ["binary_erosion", "binary_opening", "binary_closing"])
def test_a_mask_until_nothing_changes(name):
    image, mask = noise(3, 0.9), noise(4, 0.6)[0]
    arguments = {"iterations": -1, "border_value": 1}
    found = getattr(ndi, name)(named(image), mask=named(mask), **arguments)
    wanted = [getattr(scipy.ndimage, name)(frame, mask=mask, **arguments) for frame in image]
    np.testing.assert_array_equal(found.values, wanted)


def test_a_mask_of_numbers():
    seeds, mask = noise(1, 0.05)[0], noise(2, 0.6)[0]
    found = ndi.binary_propagation(named(seeds), mask=named(mask.astype(np.float32) / 3))
    np.testing.assert_array_equal(found.values, scipy.ndimage.binary_propagation(seeds, mask=mask))


def test_a_spiral_across_many_blocks():
    """One way leads through all blocks; a structure that reaches one way takes a pass for each turn."""
    corridor = np.zeros((9, 11), bool)
    for row in range(0, 9, 2):
        corridor[row] = True
        corridor[row + 1 : row + 2, -1 if row % 4 == 0 else 0] = True
    seed = np.zeros_like(corridor)
    seed[0, 0] = True
    found = ndi.binary_propagation(named(seed), mask=named(corridor))
    np.testing.assert_array_equal(found.values, corridor)
    right = [[0, 0, 0], [1, 1, 0], [0, 1, 0]]
    found = ndi.binary_propagation(named(seed), right, named(corridor))
    wanted = scipy.ndimage.binary_propagation(seed, right, corridor)
    np.testing.assert_array_equal(found.values, wanted)


def test_through_time_and_by_name():
    mask = ~noise(5, 0.3, (5, 6, 7, 8))
    found = ndi.binary_fill_holes(named(mask), axes=DIMS)
    np.testing.assert_array_equal(found.values, scipy.ndimage.binary_fill_holes(mask))
    found = ndi.binary_fill_holes(named(mask), axes=("y", "x"))
    wanted = np.stack([[scipy.ndimage.binary_fill_holes(s) for s in frame] for frame in mask])
    np.testing.assert_array_equal(found.values, wanted)


def test_dtypes_of_results():
    mask = named(noise(6, 0.8)[0])
    found = ndi.binary_fill_holes(mask, output="uint8")
    assert found.dtype == found.compute().dtype == np.uint8
    np.testing.assert_array_equal(found.values, scipy.ndimage.binary_fill_holes(mask.values))
    with pytest.raises(TypeError, match="omplex"):
        ndi.binary_fill_holes(mask, output="complex64")
    with pytest.raises(TypeError, match="omplex"):
        ndi.binary_fill_holes(mask.astype("complex64"))


def test_images_without_voxels_or_axes():
    assert ndi.binary_fill_holes(da.zeros((0, 3), dtype=bool)).compute().shape == (0, 3)
    assert ndi.binary_fill_holes(da.zeros((), dtype=bool)).compute()
    assert ndi.binary_propagation(da.ones((), dtype=bool)).compute()
    with pytest.raises(InputError) as refused:
        ndi.label(da.ones(()))
    assert refused.value.kind == "no-axes"


def test_a_structure_that_never_rests():
    seeds = named(noise(1, 0.1)[0])
    for arguments in ({"structure": [[[1, 0, 1]]]}, {"structure": [[[1, 1, 1]]], "origin": (0, 0, 1)}):
        if "origin" in arguments:
            # All three hold the voxel itself: scipy's result.
            wanted = scipy.ndimage.binary_propagation(seeds.values, **arguments)
            np.testing.assert_array_equal(ndi.binary_propagation(seeds, **arguments).values, wanted)
            continue
        with pytest.raises(InputError) as refused:
            ndi.binary_propagation(seeds, **arguments)
        assert refused.value.kind == "no-center"


def test_other_arguments_that_are_none():
    mask = named(noise(1, 0.5)[0])
    with pytest.raises(RuntimeError):
        ndi.binary_fill_holes(mask, np.ones((3, 3)))
    with pytest.raises(RuntimeError):
        ndi.binary_propagation(mask, mask=mask.isel(z=slice(0, 3)).drop_vars("z", errors="ignore").data)
    with pytest.raises(InputError) as refused:
        ndi.binary_fill_holes(mask, origin=2)
    assert refused.value.kind == "bad-origin"


def test_what_has_no_exact_form_is_refused_by_name():
    image, markers = noise(1, 0.5)[0].astype(np.uint8), noise(2, 0.01)[0].astype(np.int16)
    wanted = scipy.ndimage.watershed_ift(image, markers)
    np.testing.assert_array_equal(ndi.watershed_ift(image, markers), wanted)
    for given_ in ((named(image), markers), (image, named(markers))):
        with pytest.raises(InputError) as refused:
            ndi.watershed_ift(*given_)
        assert refused.value.kind == "refused" and REFUSED["watershed_ift"][0] in str(refused.value)


def rested(step, image, mask, structure, border):
    """Repeat one iteration in the middle of a larger image: scipy's own loop is unsafe on tiny ones."""
    room, border = 6, bool(border)
    image, mask = np.pad(image, room, constant_values=border), np.pad(mask, room)
    while True:
        after = step(image, structure, 1, mask=mask, border_value=border)
        if (after == image).all():
            return image[(slice(room, -room),) * image.ndim]
        image = after


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_structure_and_any_blocks(data):
    shape = data.draw(st.tuples(*[st.integers(1, 7)] * data.draw(st.integers(1, 3))))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    image, mask = rng.random(shape) < 0.3, rng.random(shape) < 0.6
    structure = data.draw(cst.structures(len(shape), symmetric=data.draw(st.booleans())))
    structure = structure[..., data.draw(st.integers(0, 1)) :].copy()
    structure[tuple(n // 2 for n in structure.shape)] = True
    border = data.draw(st.integers(0, 1))
    chunks = data.draw(st.tuples(*[st.integers(1, 4)] * len(shape)))
    with small_blocks(data.draw(st.tuples(*[st.integers(2, 5)] * 3))):
        lazy, where = sourced(image, chunks), sourced(mask, chunks)
        for step in (scipy.ndimage.binary_dilation, scipy.ndimage.binary_erosion):
            found = getattr(ndi, step.__name__)(lazy, structure, 0, where, border_value=border)
            np.testing.assert_array_equal(found.compute(), rested(step, image, mask, structure, border))
        holes = ndi.binary_fill_holes(where, structure).compute()
    outside = rested(scipy.ndimage.binary_dilation, np.zeros_like(mask), ~mask, structure, 1)
    np.testing.assert_array_equal(holes, ~outside)
