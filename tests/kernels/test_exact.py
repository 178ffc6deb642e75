"""Sums that are exact until they are rounded once: the same in any order."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunkmed.kernels.exact import Sums, number

KINDS = ("total", "mean", "variance", "minimum", "maximum")
DTYPES = ("bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64")


def sums_of(*parts, squares=True):
    out = Sums.of_nothing(1)
    for part in parts:
        one = Sums.of_nothing(1)
        one.add(np.asarray(part)[None], squares)
        out.merge(one, slice(0, 1))
    return out


def truth(values, kind, ddof=0):
    exact = [Fraction(float(value)) for value in values]
    total = sum(exact)
    if kind == "total":
        return total
    if kind in ("minimum", "maximum"):
        return Fraction((min if kind == "minimum" else max)(exact))
    mean = total / len(exact)
    return mean if kind == "mean" else sum((value - mean) ** 2 for value in exact) / (len(exact) - ddof)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spread", [1.0, 1e-20, 1e6])
def test_numbers_are_rounded_once(dtype, spread):
    rng = np.random.default_rng(3)
    values = rng.normal(size=3000) * 10.0 ** rng.integers(-3, 4, 3000)
    floats = np.dtype(dtype).kind == "f"
    with np.errstate(invalid="ignore"):
        values = (values * spread if floats else np.clip(values, 0, 127)).astype(dtype)
    sums = sums_of(*np.array_split(values, 7))
    backwards = sums_of(*np.array_split(values[::-1], 3))
    for kind in KINDS:
        for ddof in (0, 1):
            found = number(sums, 0, kind, False, ddof)
            assert found == float(truth(values, kind, ddof)), (kind, ddof)
            assert found == number(backwards, 0, kind, False, ddof)


@given(
    st.lists(st.floats(width=64, allow_nan=False, allow_infinity=False), min_size=1, max_size=40),
    st.randoms(),
)
def test_any_order_gives_the_same_bits(values, random):
    shuffled = list(values)
    random.shuffle(shuffled)
    cut = random.randrange(len(values))
    one, other = sums_of(values, squares=False), sums_of(shuffled[:cut], shuffled[cut:], squares=False)
    try:
        wanted = float(sum(map(Fraction, values)))
    except OverflowError:
        wanted = np.inf if sum(map(Fraction, values)) > 0 else -np.inf
    assert number(one, 0, "total", False) == number(other, 0, "total", False)
    assert float(number(one, 0, "total", False)) == wanted


def test_float32_of_any_size_together():
    values = np.array([3e38, 1e-45, -3e38, 1.5, 2**-120] * 700, np.float32)
    assert number(sums_of(values), 0, "total", False) == float(truth(values, "total"))
    assert number(sums_of(values), 0, "variance", False) == float(truth(values, "variance"))


def test_no_numbers():
    some = np.array([np.nan, 2.0, np.nan, 4.0])
    assert number(sums_of(some), 0, "mean", True) == 3
    assert np.isnan(number(sums_of(some), 0, "mean", False))
    for kind in ("mean", "variance", "minimum", "maximum"):
        assert np.isnan(number(sums_of([np.nan]), 0, kind, True))
    assert number(sums_of([np.nan]), 0, "total", True) == 0
    assert np.isnan(number(sums_of([1.0]), 0, "variance", False, 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_infinity_as_numpy(dtype):
    for values in ([1, np.inf], [-np.inf, 2], [np.inf, -np.inf]):
        array = np.array(values, dtype)
        sums = sums_of(array)
        with np.errstate(invalid="ignore"):
            wanted = [array.sum(), array.mean(), array.var(), array.min(), array.max()]
        np.testing.assert_equal([number(sums, 0, kind, False) for kind in KINDS], [float(w) for w in wanted])


def test_rows_are_apart():
    values = np.arange(24, dtype=np.int16).reshape(3, 8)
    sums = Sums.of_nothing(3)
    sums.add(values, True)
    np.testing.assert_array_equal([number(sums, r, "total", False) for r in range(3)], values.sum(1))
    np.testing.assert_array_equal([number(sums, r, "variance", False) for r in range(3)], values.var(1))


def test_many_values_do_not_overflow_a_word():
    values = np.full(1 << 22, -1.7e38, np.float32)
    assert number(sums_of(values, squares=False), 0, "total", False) == float(values[0]) * 2.0**22
    integers = np.full(1 << 22, -(2**15), np.int16)
    assert number(sums_of(integers), 0, "variance", False) == 0
