"""Numbers of a whole image inside of an expression: counted once, in a pass of its own, exactly."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.coords import attach
from chunkmed.graph.budget import Budget
from chunkmed.graph.evaluate import recording
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Opaque
from chunkmed.graph.passes import make_program
from chunkmed.graph.totals import MOST_NUMBERS, Counting, Total
from chunkmed.graph.trace import trace
from chunkmed.grid import Grid

SHAPE = (4, 9, 10, 11)
DIMS = ("t", "z", "y", "x")
VALUES = (np.random.default_rng(4).normal(size=SHAPE) * 900).astype(np.float32)
GRID = Grid(*(tuple(float(i) for i in range(n)) for n in SHAPE[1:]), time_ms=tuple(range(SHAPE[0])))


def image(values=VALUES, chunks=(1, 4, 5, 6)):
    return xr.DataArray(sourced(values, chunks), dims=DIMS)


def made(expression):
    """Return the values that a sink makes."""
    node = lift(expression).node
    out = np.empty(node.shape, node.dtype)

    def fill(box, arrays):
        out[tuple(slice(*span) for span in box)] = arrays[0]

    for _ in make_program([node]).run(fill, name="filling"):
        pass
    return out


def exact(values, axes, function):
    return function(values.astype(np.longdouble), axis=axes, keepdims=True)


def test_the_image_is_read_twice_and_no_more():
    centred = image() - image().mean()
    with small_blocks(), recording() as readings:
        found = made(centred)
    np.testing.assert_allclose(found, VALUES - VALUES.mean(dtype=float), rtol=1e-6)
    image_token = lift(image()).node.token
    read = sum(np.prod([b - a for a, b in r.box]) for r in readings if r.source == image_token)
    assert read == 2 * VALUES.size


def test_numbers_of_one_image_share_a_pass():
    smooth = ndi.gaussian_filter(image(), 1)
    scaled = (smooth - smooth.mean()) / (smooth.std() + smooth.max() - smooth.min())
    program = make_program([lift(scaled).node])
    assert [type(each) for each in program.early] == [Counting]
    assert len(program.early[0].totals) == 4 and program.lasting
    told = cm.explain(scaled)
    assert not told.opaque and len(told.passes) == 2
    assert "counted, for what follows needs numbers of all of it" in str(told)


def test_numbers_of_numbers_take_a_pass_each():
    centred = image() - image().mean()
    program = make_program([lift(centred / np.sqrt((centred**2).mean())).node])
    assert len(program.early) == 2


def test_what_dask_made_below_a_number_is_named():
    below = image(chunks=SHAPE).data.map_blocks(np.flip, dtype=np.float32)
    below = ndi.gaussian_filter(below, 1)
    told = cm.explain(below - below.mean())
    assert told.opaque == ("dask flip",)
    assert not make_program([trace(below - below.mean())]).lasting


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_any_blocks_give_the_same_bits(data):
    axes = data.draw(st.sets(st.integers(0, 3), min_size=2, max_size=4))
    name = data.draw(st.sampled_from(["mean", "std", "var", "sum", "min", "max"]))
    chunks = [data.draw(st.integers(min(n, 3), n)) for n in SHAPE]
    blocks = [data.draw(st.integers(2, 9)) for _ in range(3)]
    lazy = image(chunks=tuple(chunks))
    found = getattr(lazy, name)([DIMS[axis] for axis in axes])
    with small_blocks(blocks):
        values = made(lazy * 0 + found)
    whole = made(image(chunks=SHAPE) * 0 + getattr(image(chunks=SHAPE), name)([DIMS[a] for a in axes]))
    np.testing.assert_array_equal(values, whole)
    wanted = exact(VALUES, tuple(axes), getattr(np, name))
    np.testing.assert_allclose(values, np.broadcast_to(wanted, SHAPE), rtol=3e-7, atol=1e-4)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("name", ["mean", "std", "sum", "min", "max"])
def test_dtypes_and_missing_values(dtype, name):
    values = (VALUES > 0) if dtype == "bool" else np.abs(VALUES % 100).astype(dtype)
    if dtype.startswith("float"):
        values[0, :3] = np.nan
    for settings_ in ({}, {"skipna": False}):
        lazy, eager = (
            getattr(a, name)(**settings_) for a in (image(values), xr.DataArray(values, dims=DIMS))
        )
        found = made(lazy + xr.zeros_like(image(values), dtype=lazy.dtype))
        assert lift(lazy).node.dtype == lazy.dtype == found.dtype
        np.testing.assert_allclose(found, np.broadcast_to(eager.values, SHAPE), rtol=1e-5)


def test_sums_of_integers_go_round_as_numpys():
    values = np.full((4, 4, 4, 4), 2**32 - 1, np.uint32)
    found = made(
        image(values).astype("u8") * 0 + image(values).sum(dtype="uint32", skipna=False).astype("u8")
    )
    assert (found == values.sum(dtype="uint32")).all()


def test_too_many_numbers_are_dasks():
    wide = da.zeros((3, 2, MOST_NUMBERS + 1), chunks=(3, 1, 4096))
    node = trace(wide.sum((0, 1)))
    assert isinstance(node, Opaque) and not isinstance(node, Total)


def test_dask_computes_each_number_once():
    """Where no sink does, a number stays what dask has: one task, whatever number of blocks uses it."""
    lazy = ndi.gaussian_filter(image() - image().mean(), 1)
    with recording() as readings:
        found = lazy.compute(scheduler="synchronous")
    wanted = ndi.gaussian_filter(VALUES - VALUES.mean(dtype=float).astype("f4"), (0, 1, 1, 1))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-2)
    blocks = int(np.prod(lazy.data.numblocks))
    assert len(readings) <= 2 * blocks


def test_saved_and_resumed_with_the_same_number(tmp_path):
    lazy = attach(image().data, GRID)
    scaled = (lazy - lazy.mean()) / lazy.std()
    with small_blocks():
        first = cm.save(scaled, tmp_path / "a.zarr").values
    with small_blocks((5, 3, 9)):
        second = cm.save(scaled, tmp_path / "b.zarr").values
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(
        first, (VALUES - VALUES.mean(dtype=float)) / VALUES.std(dtype=float), rtol=1e-4, atol=1e-6
    )


def test_the_budget_holds_for_the_counting_pass():
    node = lift(image() - image().mean()).node
    program = make_program([node], budget=Budget(500 * 10**6, 2, 1, 250 << 20))
    assert all(plan.peak_bytes <= 500 * 10**6 for plan in program.plans)
