"""Filters made in the memory of what was read for them: never where somebody else needs it."""

import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
import xarray as xr

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.coords import attach
from chunkmed.graph import elementwise
from chunkmed.graph.constant import ArrayReader
from chunkmed.graph.evaluate import evaluate
from chunkmed.graph.lift import lift
from chunkmed.graph.memory import task_bytes
from chunkmed.graph.nodes import Stencil
from chunkmed.graph.views import from_reader
from chunkmed.grid import Grid

VALUES = np.random.default_rng(0).integers(-900, 900, (1, 40, 50, 60)).astype(np.int16)
WHOLE = tuple((0, n) for n in VALUES.shape)
SIGMA = 1.7
FILTERED = scipy.ndimage.gaussian_filter(VALUES, (0, SIGMA, SIGMA, SIGMA))


class Kept:
    """Reads new arrays, and keeps them to look at."""

    shape, dtype, chunks, token = VALUES.shape, VALUES.dtype, (1, 20, 50, 60), "kept"

    def __init__(self, fresh):
        self.fresh, self.arrays = fresh, []

    def read(self, box):
        array = VALUES[tuple(slice(a, b) for a, b in box)].copy()
        self.arrays.append(array)
        return array


def image_of(reader):
    return xr.DataArray(from_reader(reader), dims=("t", "z", "y", "x"))


def made(image, box=WHOLE):
    (array,) = evaluate([(lift(image).node, box)])
    return array


@pytest.mark.parametrize("fresh", [True, False])
def test_only_what_was_read_for_it(fresh):
    reader = Kept(fresh)
    array = made(ndi.gaussian_filter(image_of(reader), SIGMA))
    np.testing.assert_array_equal(array, FILTERED)
    assert np.may_share_memory(array, reader.arrays[0]) == fresh
    assert np.array_equal(reader.arrays[0], VALUES) != fresh


@pytest.mark.parametrize("size", [None, 3, 20])
def test_parts_of_blocks(size):
    box = ((0, 1), (9, 31), (0, 50), (5, 50))
    step = ndi.uniform_filter if size else ndi.gaussian_filter
    expected = made(step(image_of(Kept(fresh=False)), size or SIGMA))[:, 9:31, :, 5:50]
    np.testing.assert_array_equal(made(step(image_of(Kept(fresh=True)), size or SIGMA), box), expected)


@pytest.mark.parametrize(
    "expression",
    [
        lambda x: x - ndi.gaussian_filter(x, SIGMA),
        lambda x: ndi.gaussian_filter(x, SIGMA) + ndi.gaussian_filter(x, 2 * SIGMA),
        lambda x: ndi.gaussian_filter(x, SIGMA) + x.isel(z=slice(0, 1)).values,
        lambda x: xr.where(ndi.gaussian_filter(x, SIGMA) > 0, x, -x),
        lambda x: ndi.gaussian_filter(x.isel(t=0), SIGMA) + x.isel(t=0),
        lambda x: ndi.median_filter(x, 3) - ndi.gaussian_filter(x, SIGMA),
        lambda x: ndi.gaussian_filter(ndi.gaussian_filter(x, SIGMA), SIGMA),
    ],
)
def test_shared_inputs_are_left_alone(expression):
    np.testing.assert_array_equal(
        made_any(expression(image_of(Kept(fresh=True)))), made_any(expression(image_of(Kept(fresh=False))))
    )


def made_any(image):
    return made(image, tuple((0, n) for n in image.shape))


def test_other_dtypes_have_memory_of_their_own():
    reader = Kept(fresh=True)
    array = made(ndi.gaussian_filter(image_of(reader), SIGMA, output=np.float32))
    assert not np.may_share_memory(array, reader.arrays[0])
    np.testing.assert_array_equal(reader.arrays[0], VALUES)


def test_less_memory_is_planned():
    one, two = (
        task_bytes([lift(ndi.gaussian_filter(image_of(Kept(fresh)), SIGMA)).node], WHOLE)
        for fresh in (True, False)
    )
    # Reading takes a piece of half the size beside the block.
    assert two - one >= VALUES.nbytes // 2


@pytest.mark.parametrize("name", ["binary_erosion", "binary_dilation", "binary_opening", "binary_closing"])
def test_masks_made_for_one(monkeypatch, name):
    monkeypatch.setattr(elementwise, "_PIECE", 1000)
    seen = []
    monkeypatch.setattr(Stencil, "compute_over", _watched(Stencil.compute_over, seen))
    filtered = getattr(ndi, name)(image_of(Kept(fresh=False)) > 100, iterations=2)
    structure = scipy.ndimage.generate_binary_structure(3, 1)[np.newaxis]
    expected = getattr(scipy.ndimage, name)(VALUES > 100, structure, iterations=2)
    np.testing.assert_array_equal(made(filtered), expected)
    ((given, result),) = seen
    assert np.may_share_memory(given, result)
    seen.clear()
    mask = image_of(Kept(fresh=False)) > 100
    np.testing.assert_array_equal(
        made(mask ^ getattr(ndi, name)(mask, iterations=2)), (VALUES > 100) ^ expected
    )
    assert not seen


def _watched(method, seen):
    def call(self, box, array):
        out = method(self, box, array)
        seen.append((array, out))
        return out

    return call


def test_a_mask_in_one_piece_may_be_somebody_elses():
    values = VALUES > 100
    image = xr.DataArray(from_reader(ArrayReader(values)), dims=("t", "z", "y", "x"))
    before = values.copy()
    made(ndi.binary_closing(image.astype(bool), iterations=2))
    np.testing.assert_array_equal(values, before)


def test_a_store_is_read_for_one(tmp_path):
    grid = Grid(*(tuple(np.arange(n) * 1.5) for n in VALUES.shape[1:]), time_ms=(0.0,))
    cm.save(attach(da.from_array(VALUES, chunks=(1, 20, 50, 60)), grid), tmp_path / "a.zarr")
    image = cm.open(tmp_path / "a.zarr")
    assert lift(image).node.fresh
    np.testing.assert_array_equal(ndi.gaussian_filter(image, SIGMA).values, FILTERED)
    np.testing.assert_array_equal(image.values, VALUES)
