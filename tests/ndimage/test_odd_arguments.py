"""Measurements with arguments that few give: scipy's answers, or a refusal."""

import dask.array as da
import numpy as np
import pytest
import scipy.ndimage

import chunkmed.ndimage as ndi
from chunkmed.errors import InputError

VALUES = np.array([[1.0, 2.0], [3.0, 10.0]])
LABELS = np.array([[1, 1], [1, 2]])


def lazy(array):
    return da.from_array(array, chunks=1)


@pytest.mark.parametrize("name", ["minimum", "maximum", "mean", "sum", "variance"])
def test_one_number_for_all_voxels(name):
    found = getattr(ndi, name)(2.5, lazy(LABELS), [1, 2, 3])
    wanted = getattr(scipy.ndimage, name)(2.5, LABELS, [1, 2, 3])
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", ["minimum_position", "maximum_position"])
@pytest.mark.parametrize("index", [[[1], [2]], [2, 1], 1, None])
def test_positions_come_as_scipys(name, index):
    found = getattr(ndi, name)(lazy(VALUES), lazy(LABELS), index)
    assert found == getattr(scipy.ndimage, name)(VALUES, LABELS, index)


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i2"])
def test_medians_of_other_byte_orders(dtype):
    found = ndi.median(lazy(VALUES.astype(dtype)), lazy(LABELS), [1, 2])
    np.testing.assert_array_equal(found, [2.0, 10.0])


def test_splines_of_nothing():
    assert ndi.spline_filter1d(da.zeros((3, 2, 0)), 3, 0).compute().shape == (3, 2, 0)


@pytest.mark.parametrize("dtype", ["complex128", "complex64"])
def test_complex_values_are_not_measured(dtype):
    with pytest.raises(InputError) as refused:
        ndi.sum(lazy(VALUES.astype(dtype) + 5j))
    assert refused.value.kind == "bad-dtype"
