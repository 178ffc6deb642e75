"""Weights along axes: to the last bit what scipy.ndimage makes, sums in float32 included."""

import numpy as np
import pytest
import scipy.ndimage

from chunkmed.kernels import along, linear, rounded, slabs
from chunkmed.kernels.steps import Step, gaussian_weights

GAUSSIAN = gaussian_weights(2.0, 0, 8)


def lines(array, steps, output=None, cval=0.0):
    keep = tuple(slice(None) for _ in array.shape)
    return linear.lines(array, steps=steps, cval=cval, output=output or array.dtype, keep=keep)


def scipys(array, steps, output=None, cval=0.0):
    for each in steps:
        settings = {"axis": each.axis, "mode": each.mode, "cval": cval, "origin": each.origin}
        array = scipy.ndimage.correlate1d(array, each.weights, output=output or array.dtype, **settings)
    return array


@pytest.mark.parametrize("weights", [GAUSSIAN, gaussian_weights(1.5, 1, 6), (0.2, -1.7, 0.4, 0.9)])
@pytest.mark.parametrize("spread", [0, 3, 1000, 32000])
def test_small_integers(weights, spread):
    # Even ones give integers, or nearly: nothing can be left to float32.
    array = np.random.default_rng(0).integers(-spread, spread + 1, (9, 300, 41)).astype(np.int16)
    for axis in range(3):
        steps = [Step(axis, weights, "mirror")]
        np.testing.assert_array_equal(lines(array, steps), scipys(array, steps))


def test_what_float32_is_trusted_with(monkeypatch):
    array = np.random.default_rng(0).integers(-30000, 30000, (64, 70, 50)).astype(np.int16)
    steps = [Step(axis, GAUSSIAN, "reflect") for axis in range(3)]
    expected = scipys(array, steps)
    np.testing.assert_array_equal(lines(array, steps), expected)
    # Were it trusted with everything, some of the results would be wrong.
    monkeypatch.setattr(along, "error_of", lambda *_: 0.0)
    assert 0 < (lines(array, steps) != expected).mean() < 0.01


@pytest.mark.parametrize("weights", [GAUSSIAN, gaussian_weights(1.0, 2, 4), (3.0, 0.1, -8.0)])
def test_error_is_an_upper_bound(weights):
    step = Step(0, weights, "reflect")
    values = np.random.default_rng(1).integers(-(1 << 15), 1 << 15, (len(weights), 4000))
    exact = np.asarray(weights) @ values
    made = np.zeros(4000, np.float32)
    for line, weight in zip(values, np.float32(weights), strict=True):
        made = np.float32(made + np.float32(np.float32(line) * weight))
    bound = rounded.error_of(weights, step.kind) * (1 << 15)
    assert np.abs(made - exact).max() <= bound < 40 * np.abs(made - exact).max()


@pytest.mark.parametrize("cval", [0.0, 0.1, -1000.0, 1e9, np.inf, np.nan])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
def test_constants_beyond_the_border(dtype, cval):
    array = np.random.default_rng(2).integers(0, 120, (5, 40, 33)).astype(dtype)
    steps = [Step(1, GAUSSIAN, "constant"), Step(2, (1.0, 2.0, 1.0), "constant"), Step(0, (0.3, 0.7), "wrap")]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(lines(array, steps, cval=cval), scipys(array, steps, cval=cval))


def test_random_steps():
    rng = np.random.default_rng(3)
    # Each pair is compiled apart.
    pairs = [("int16", "int16"), ("float32", "float32"), ("int16", "float32"), ("float64", "uint8")]
    for _ in range(150):
        ndim = int(rng.integers(1, 5))
        shape = tuple(int(n) for n in rng.integers(1, (70, 50, 30, 14)[ndim - 1] + 1, ndim))
        dtype, output = pairs[rng.integers(len(pairs))]
        array = rng.integers(0, 127, shape).astype(dtype)
        modes = rng.choice(["reflect", "constant", "nearest", "mirror", "wrap"], ndim)
        weights = [tuple(rng.normal(size=int(rng.integers(1, 12)))) for _ in shape]
        steps = [Step(k, w, str(m)) for k, (w, m) in enumerate(zip(weights, modes, strict=True))]
        np.testing.assert_array_equal(lines(array, steps, output), scipys(array, steps, output), str(steps))


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2), (2, 1, 0)])
def test_slabs(monkeypatch, dtype, order):
    """What is made a few planes at a time is what is made at once."""
    rng = np.random.default_rng(4)
    array = rng.integers(-900, 900, (1, 23, 40, 37)).astype(dtype)
    keep = slice(0, 1), slice(3, 20), slice(2, 38), slice(1, 36)
    for mode in ("reflect", "mirror", "nearest", "constant"):
        for weights in [(-1.0, 0.0, 1.0), (1.0, 2.0, 1.0)]:
            steps = [Step(1 + axis, weights, mode) for axis in order]
            for mean in (False, True):
                if mean:
                    steps = [Step(s.axis, (1.0,) * 5, mode, origin=1, mean=True) for s in steps]
                settings = {"steps": steps, "cval": 3.0, "output": array.dtype, "keep": keep}
                whole = linear.lines(array, **settings)
                for size in (100, 20_000, 50_000):
                    monkeypatch.setattr(slabs, "_SLAB", size)
                    assert slabs.takes(array, steps, array.dtype, 3.0) == (4 * size < array.nbytes)
                    np.testing.assert_array_equal(linear.lines(array, **settings), whole)
                monkeypatch.undo()
                if not mean:
                    np.testing.assert_array_equal(whole, scipys(array, steps, cval=3.0)[keep])
