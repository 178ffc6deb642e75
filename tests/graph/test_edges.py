"""What was found to be wrong once, with the least that shows it."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed import store
from chunkmed.errors import InputError
from chunkmed.graph.box import box_size, sides
from chunkmed.graph.budget import Budget
from chunkmed.graph.evaluate import evaluate, recording
from chunkmed.graph.lift import lift
from chunkmed.graph.plan import make_plan, task_bytes
from chunkmed.graph.trace import trace
from chunkmed.graph.views import from_reader, view
from chunkmed.store import files
from chunkmed.store.arrays import create_array

DIMS = ("t", "z", "y", "x")
SHAPE = (4, 6, 6, 4)
CHUNKS = (1, 2, 3, 2)
INTEGERS = np.random.default_rng(8).integers(1, 50, SHAPE).astype(np.int16)


def rechunk(block):
    """A user's function with a name that dask uses too."""
    return block - int(block.mean())


@pytest.mark.parametrize("settings", [{}, {"name": "rechunk-mine"}], ids=["function", "name"])
def test_a_function_by_the_name_of_a_layer_of_dask(settings):
    array = sourced(INTEGERS, CHUNKS).map_blocks(rechunk, dtype=np.int16, **settings)
    wanted = da.from_array(INTEGERS, chunks=CHUNKS).map_blocks(rechunk, dtype=np.int16)
    found = view(trace(array), tuple((n,) for n in SHAPE))
    np.testing.assert_array_equal(found.compute(scheduler="synchronous"), wanted.compute())


@pytest.mark.parametrize("name", ["sum over t", "fillna of integers"])
def test_what_xarray_puts_zeros_into_is_traced(name):
    image = xr.DataArray(sourced(INTEGERS, CHUNKS), dims=DIMS)
    made = image.astype("float32").sum("t") if name == "sum over t" else image.fillna(0)
    assert cm.explain(made).opaque == ()


WITH_INFINITY = np.array(
    [[np.inf, 1.0, 2.0], [1.0, 2.0, -np.inf], [-np.inf, np.inf, 1.0], [1.0, np.inf, np.inf]]
).T


@pytest.mark.parametrize("name", ["mean", "sum"])
def test_reductions_of_infinity(name):
    node = trace(getattr(sourced(WITH_INFINITY, (1, 4)), name)(axis=0))
    found = view(node, ((4,),)).compute(scheduler="synchronous")
    np.testing.assert_array_equal(found, getattr(WITH_INFINITY, name)(axis=0))


def test_variance_with_as_many_degrees_of_freedom_as_values():
    node = trace(sourced(INTEGERS, CHUNKS).var(axis=0, ddof=4))
    found = view(node, ((6,), (6,), (4,))).compute(scheduler="synchronous")
    np.testing.assert_array_equal(found, INTEGERS.var(axis=0, ddof=4))


def test_reductions_of_foreign_byte_order():
    node = trace(sourced(INTEGERS.astype(">i2"), CHUNKS).max(axis=0))
    found = view(node, ((6,), (6,), (4,))).compute(scheduler="synchronous")
    np.testing.assert_array_equal(found, INTEGERS.max(axis=0))


class Series:
    """A long series that is never read whole."""

    def __init__(self, times):
        self.shape, self.dtype, self.token = (times, 8, 64, 64), np.dtype(np.int16), f"series of {times}"
        self.chunks = (1, 8, 64, 64)

    def read(self, box):
        return np.zeros(sides(box), self.dtype)


def test_a_difference_from_one_frame_reads_two_frames():
    image = xr.DataArray(from_reader(Series(40)), dims=DIMS)
    node = lift(image - image.isel(t=0)).node
    with recording() as readings:
        evaluate([(node, ((39, 40), (0, 8), (0, 64), (0, 64)))])
    assert sum(box_size(reading.box) for reading in readings) == 2 * 8 * 64 * 64


def test_no_block_of_a_plan_holds_more_than_was_predicted():
    image = xr.DataArray(from_reader(Series(400)), dims=DIMS)
    node = lift(image - image.isel(t=0)).node
    plan = make_plan([node], unit=(1, 8, 64, 64), budget=Budget.of("16 GB", 1))
    assert max(task_bytes([node], box) for box in plan.boxes) <= plan.task_bytes


def test_labels_of_one_mask_have_one_token():
    """A process that was killed while it saved labels goes on only where they have the same token."""
    with small_blocks((2, 3, 2)):
        first, second = (ndi.label(sourced(INTEGERS > 25, CHUNKS))[0] for _ in range(2))
    assert lift(first).node.token == lift(second).node.token


def test_a_worker_that_is_late_does_no_harm(tmp_path):
    """A task that was given up for lost is done elsewhere while it still writes."""
    writer, _ = create_array(tmp_path / "array", (3, 4), np.int16, commit="c")
    values, box, late = np.ones((3, 4), np.int16), ((0, 3), (0, 4)), []

    def watcher(when, name, path):
        if (when, name) == ("before", "rename") and not late:
            late.append(path)
            writer.write(box, values)

    with files.watch(watcher):
        writer.write(box, values)
    np.testing.assert_array_equal(store.open_array(tmp_path / "array", "c").read(box), values)


@pytest.mark.parametrize("origin", [-2, 2])
@pytest.mark.parametrize("name", ["binary_erosion", "binary_dilation", "binary_opening", "binary_closing"])
def test_an_origin_outside_of_the_structure_is_refused(name, origin):
    """scipy reads what is not there, and may end the process."""
    with pytest.raises(InputError, match="invalid origin"):
        getattr(ndi, name)(sourced(INTEGERS > 25, CHUNKS), origin=origin)
