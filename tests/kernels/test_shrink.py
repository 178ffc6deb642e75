"""Coarser levels: means and most frequent values of windows, against NumPy and SciPy."""

import itertools
import warnings

import numpy as np
import pytest
from scipy import stats

from chunkmed.kernels.shrink import shrink_mean, shrink_mode

FACTORS = list(itertools.product((1, 2), repeat=3))
SHAPES = [(2, 5, 6, 7), (1, 1, 4, 9), (1, 2, 2, 2)]


def windows(values, factors):
    """Return the voxels of every window on a last axis, NaN beyond the end of the image."""
    full = [values.shape[0], *(-(-n // f) * f for n, f in zip(values.shape[1:], factors, strict=True))]
    padded = np.full(full, np.nan)
    padded[tuple(slice(0, n) for n in values.shape)] = values
    (t, z, y, x), (fz, fy, fx) = full, factors
    split = padded.reshape(t, z // fz, fz, y // fy, fy, x // fx, fx).transpose(0, 1, 3, 5, 2, 4, 6)
    return split.reshape(*split.shape[:4], -1)


def mean_of(values, factors, padding):
    plain = values.astype(float)
    if padding is not None:
        plain[plain == padding] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mean = np.nanmean(windows(plain, factors), axis=-1)
    mean = np.rint(mean) if values.dtype.kind in "iu" else mean
    return mean if padding is None else np.where(np.isnan(mean), padding, mean)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("padding", [None, 3, -2000, 1.5])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64"])
def test_mean_of_integers_is_rounded_like_numpy(dtype, padding, shape):
    values = np.random.default_rng(1).integers(0, 9, shape).astype(dtype)
    for factors in FACTORS:
        found = shrink_mean(values, factors, padding)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, mean_of(values, factors, padding))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("padding", [None, 3.0])
def test_mean_of_floats_leaves_nan_and_padding_out(dtype, padding):
    rng = np.random.default_rng(2)
    values = (rng.integers(0, 9, SHAPES[0]) + rng.random(SHAPES[0])).astype(dtype)
    values[rng.random(values.shape) < 0.4] = np.nan
    values[rng.random(values.shape) < 0.2] = 3
    for factors in FACTORS:
        found = shrink_mean(values, factors, padding)
        assert found.dtype == dtype
        rtol = 2e-3 if dtype == "float16" else 1e-6
        np.testing.assert_allclose(found, mean_of(values, factors, padding), rtol=rtol)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32"])
def test_sums_of_extreme_values_do_not_wrap(dtype):
    for extreme in (np.iinfo(dtype).min, np.iinfo(dtype).max):
        values = np.full((1, 4, 4, 4), extreme, dtype)
        assert (shrink_mean(values, (2, 2, 2)) == extreme).all()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "uint64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_mode_is_scipys(dtype, shape):
    values = np.random.default_rng(3).integers(0, 3, shape).astype(dtype)
    for factors in FACTORS:
        found = shrink_mode(values, factors)
        assert found.dtype == dtype
        wanted = stats.mode(windows(values, factors), axis=-1, nan_policy="omit").mode
        np.testing.assert_array_equal(found, wanted)
