"""Coarser levels: means and most frequent values of windows, against NumPy and SciPy."""

import itertools
import warnings
from fractions import Fraction

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
    has_padding = (windows(values, factors) == padding).any(axis=-1)
    return np.where(np.isnan(mean) & has_padding, padding, mean) if padding is not None else mean


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


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("padding", [None, 7])
def test_wide_integers_are_exact(dtype, padding):
    """Against Python's own integers and fractions: float64 holds neither the values nor their sums."""
    info = np.iinfo(dtype)
    rng = np.random.default_rng(4)
    pool = np.array([info.min, info.max, info.max - 1, 2**53 + 1, 7, 0, 3], dtype)
    for values in (rng.choice(pool, (1, 3, 4, 5)), np.full((1, 2, 2, 2), 2**53 + 1, dtype)):
        for factors in FACTORS:
            found = shrink_mean(values, factors, padding)
            for index in np.ndindex(found.shape):
                cut = tuple(slice(i * f, (i + 1) * f) for i, f in zip(index[1:], factors, strict=True))
                kept = [int(v) for v in values[0][cut].ravel() if padding is None or v != padding]
                # Python rounds halves to the even one, too.
                wanted = round(Fraction(sum(kept), len(kept))) if kept else padding
                assert int(found[index]) == wanted


@pytest.mark.parametrize("dtype", [">i2", ">f4", ">i8", ">u4"])
def test_big_endian(dtype):
    values = np.random.default_rng(5).integers(0, 9, SHAPES[0]).astype(dtype)
    native = values.astype(values.dtype.newbyteorder("="))
    np.testing.assert_array_equal(shrink_mean(values, (2, 2, 2)), shrink_mean(native, (2, 2, 2)))
    if values.dtype.kind != "f":
        np.testing.assert_array_equal(shrink_mode(values, (1, 2, 2)), shrink_mode(native, (1, 2, 2)))


@pytest.mark.parametrize("padding", [[0, 1], 2**70, "none", float("nan"), None])
def test_what_is_no_padding_value_is_none(padding):
    values = np.random.default_rng(6).integers(0, 9, SHAPES[0]).astype(np.int16)
    np.testing.assert_array_equal(shrink_mean(values, (2, 2, 2), padding), shrink_mean(values, (2, 2, 2)))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("padding", [-1000.1, np.float64(-1000.1)])
def test_padding_is_compared_as_the_image_holds_it(dtype, padding):
    values = np.array([10, padding, padding, padding, np.nan, np.nan, padding, np.nan], dtype)
    found = shrink_mean(values.reshape(1, 1, 2, 4), (1, 1, 2), padding).ravel()
    pad = values[1]
    np.testing.assert_array_equal(found, np.array([10, pad, np.nan, pad], dtype))
