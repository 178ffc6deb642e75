"""Reductions along one axis: traced, right in any blocks, in one read, in memory that is flat in t."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from many_blocks import small_blocks, sourced

import chunkmed as cm
from chunkmed.coords import attach
from chunkmed.graph.budget import Budget
from chunkmed.graph.evaluate import evaluate, recording, walk
from chunkmed.graph.nodes import Opaque
from chunkmed.graph.plan import make_plan
from chunkmed.graph.trace import node_of, trace
from chunkmed.graph.views import from_reader
from chunkmed.grid import Grid

SHAPE = (11, 6, 7, 8)
#: What is traced, by name.
TRACED = {
    "mean": lambda x: x.mean("t"),
    "mean keeping NaN": lambda x: x.mean("t", skipna=False),
    "mean along z": lambda x: x.mean("z"),
    "std": lambda x: x.std("t"),
    "std of a sample": lambda x: x.std("t", ddof=1),
    "var": lambda x: x.var("t"),
    "var of a sample": lambda x: x.var("t", ddof=1),
    "var keeping NaN": lambda x: x.var("t", skipna=False),
    "min": lambda x: x.min("t"),
    "min keeping NaN": lambda x: x.min("t", skipna=False),
    "max": lambda x: x.max("t"),
    "max along x": lambda x: x.max("x"),
    "tSNR": lambda x: x.mean("t") / x.std("t"),
    "centred": lambda x: x - x.mean("t"),
    "of an expression": lambda x: (x * 2 + 1).mean("t"),
    "range of a part": lambda x: x.isel(t=slice(2, 7)).max("t") - x.isel(t=slice(2, 7)).min("t"),
}
#: What is not, and is right all the same.
OPAQUE = {
    "median": lambda x: x.median("t"),
    "two axes": lambda x: x.mean(("t", "z")),
    "everything": lambda x: x.mean(),
    "argmax": lambda x: x.fillna(0).argmax("t"),
    "product": lambda x: (x * 0.01).prod("t"),
}


def values_of(dtype, seed=0):
    rng = np.random.default_rng(seed)
    values = (rng.random(SHAPE) * 50).astype(dtype)
    if np.dtype(dtype).kind == "f":
        values[rng.random(SHAPE) < 0.1] = np.nan
        values[:, 3, 3, 3] = np.nan
    return values


def named(data):
    return xr.DataArray(data, dims=["t", "z", "y", "x"])


def opaque(node):
    return [item for item in walk([node]) if isinstance(item, Opaque)]


def part(shape):
    return tuple((1, n) if n > 2 else (0, n) for n in shape)


def close(found, wanted):
    wanted = np.asarray(wanted)
    atol = 1e-4 if wanted.dtype == np.float32 else 1e-10
    np.testing.assert_allclose(found, wanted, rtol=1e-5 if atol == 1e-4 else 1e-12, atol=atol)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("name", sorted(TRACED))
def test_traced_and_right(name, dtype):
    if dtype == "bool" and name in ("centred", "range of a part", "of an expression"):
        pytest.skip("NumPy has no difference of booleans")
    values = values_of(dtype)
    lazy = TRACED[name](named(sourced(values, (2, 3, 4, 4))))
    node = trace(lazy.data)
    assert opaque(node) == []
    box = part(node.shape)
    (found,) = evaluate([(node, box)])
    assert found.dtype == lazy.dtype
    wanted = TRACED[name](named(values)).values
    close(found, wanted[tuple(slice(a, b) for a, b in box)])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["int16", "int64", "float32"])
@pytest.mark.parametrize("name", sorted(OPAQUE))
def test_not_traced_and_right(name, dtype):
    values = values_of(dtype)
    lazy = OPAQUE[name](named(sourced(values, (2, 3, 4, 4))))
    assert opaque(trace(lazy.data))
    if lazy.ndim:
        saved = lazy.compute(scheduler="synchronous")
        close(saved, OPAQUE[name](named(values)))


@pytest.mark.parametrize("dtype", ["int64", "uint64", "float16", "complex64"])
def test_dtypes_that_float64_does_not_hold_stay_with_dask(dtype):
    lazy = named(sourced(np.ones(SHAPE, dtype), (2, 3, 4, 4))).mean("t")
    assert opaque(trace(lazy.data))
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), np.ones(SHAPE[1:]))


def test_a_reduction_with_functions_of_ones_own_is_opaque():
    data = sourced(values_of("int16"), (2, 3, 4, 4))
    own = da.reduction(
        data,
        chunk=lambda x, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims),
        aggregate=lambda x, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims) + 1,
        axis=0,
        dtype=np.int64,
    )
    assert opaque(trace(own))


def test_integers_are_exact():
    values = np.random.default_rng(1).integers(-(2**31), 2**31 - 1, SHAPE).astype(np.int32)
    image = named(sourced(values, (2, 3, 4, 4)))
    for lazy, wanted in (
        (image.mean("t"), values.mean(0)),
        (image.sum("t"), values.sum(0)),
        (image.min("t"), values.min(0)),
        (image.max("t"), values.max(0)),
    ):
        node = trace(lazy.data)
        assert opaque(node) == []
        np.testing.assert_array_equal(evaluate([(node, part(node.shape))])[0], wanted[1:, 1:, 1:])


def test_a_spread_far_from_zero_does_not_cancel():
    values = np.random.default_rng(2).normal(1e9, 1.0, SHAPE)
    node = trace(named(sourced(values, (2, 3, 4, 4))).std("t").data)
    np.testing.assert_allclose(evaluate([(node, part(node.shape))])[0], values.std(0)[1:, 1:, 1:], rtol=1e-6)


def test_all_of_them_in_one_read():
    image = named(sourced(values_of("int16"), (2, 3, 4, 4)))
    nodes = [trace(f(image).data) for f in (TRACED["mean"], TRACED["std"], TRACED["min"], TRACED["max"])]
    box = ((0, 3), (0, 4), (0, 4))
    with recording() as readings:
        evaluate([(node, box) for node in nodes])
    read = sum(np.prod([b - a for a, b in reading.box]) for reading in readings)
    assert read == SHAPE[0] * 3 * 4 * 4


def test_a_view_of_it_reduces_again():
    """chunkmed's own layer above a reduction, dask's above that."""
    import chunkmed.ndimage as ndi

    values = values_of("int16")
    image = named(sourced(values, (2, 3, 4, 4)))
    lazy = ndi.gaussian_filter(image.mean("t"), sigma=1)
    wanted = ndi.gaussian_filter(values.mean(0), sigma=1)
    np.testing.assert_allclose(lazy.compute(scheduler="synchronous"), wanted)
    assert opaque(trace((lazy.max("x") + 1).data)) == []


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_chunking_and_any_block(data):
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    values = np.random.default_rng(data.draw(st.integers(0, 99))).integers(-9, 9, shape).astype(np.int16)
    axis = data.draw(st.integers(0, 2))
    keepdims = data.draw(st.booleans())
    function = data.draw(st.sampled_from(["mean", "std", "var", "min", "max", "sum"]))
    array = getattr(sourced(values, chunks), function)(axis=axis, keepdims=keepdims)
    node = trace(array)
    assert opaque(node) == []
    spans = []
    for n in node.shape:
        start = data.draw(st.integers(0, n - 1))
        spans.append((start, data.draw(st.integers(start + 1, n))))
    (found,) = evaluate([(node, tuple(spans))])
    wanted = getattr(values, function)(axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(found, wanted[tuple(slice(a, b) for a, b in spans)], atol=1e-12)


def test_they_are_saved_with_their_grid(tmp_path):
    on = Grid(
        z_mm=(0.0, 2.0, 4.0, 6.0),
        y_mm=tuple(map(float, range(9))),
        x_mm=tuple(map(float, range(8))),
        time_ms=tuple(40.0 * i for i in range(11)),
    )
    values = np.random.default_rng(3).integers(1, 99, on.shape).astype(np.int16)
    image = attach(sourced(values, (1, 2, 3, 4)), on)
    with small_blocks((2, 3, 4)), recording() as readings:
        saved = cm.save(image.mean("t") / image.std("t"), tmp_path / "tsnr.zarr")
    np.testing.assert_allclose(saved.values[0], values.mean(0) / values.std(0))
    np.testing.assert_array_equal(saved.z, image.z)
    # Every voxel of the series was read once.
    sizes = [np.prod([b - a for a, b in r.box]) for r in readings]
    assert sum(sizes) == values.size
    assert cm.measure(image.max("t") > 50, image.mean("t"), ["mean"]).sizes["label"] == 1


class Long:
    """A series of any length that makes its values when they are read."""

    def __init__(self, times):
        self.shape, self.dtype, self.token = (times, 64, 256, 256), np.dtype(np.int16), f"long {times}"
        self.chunks = (1, 64, 256, 256)

    def read(self, box):
        return np.full([b - a for a, b in box], box[0][0], np.int16)


def test_memory_is_flat_in_time():
    budget = Budget.of("16 GB", 2)
    plans = [make_plan([node_of(from_reader(Long(n)).std(0))], budget=budget) for n in (20, 2000)]
    assert plans[0].task_bytes == plans[1].task_bytes
    assert plans[1].read_bytes == 100 * plans[0].read_bytes == 2000 * 64 * 256 * 256 * 2
    assert plans[0].block == plans[1].block
