"""Random expressions over images: in any chunks and any blocks they hold what NumPy and scipy say."""

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.testing.strategies as cst
from chunkmed.coords import attach
from chunkmed.graph.box import chunk_boxes, sides, whole
from chunkmed.graph.evaluate import evaluate, opaque_keys, recording
from chunkmed.graph.lift import lift
from chunkmed.graph.plan import make_plan
from chunkmed.graph.views import view
from chunkmed.grid import Grid
from chunkmed.testing.expressions import filtered, source
from chunkmed.testing.steps import STEPS, expressions

RUN = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
DIMS = ("t", "z", "y", "x")
DTYPES = ("uint8", "int16", "int32", "float32", "float64", "bool")
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@st.composite
def sources(draw, shape, named, opaque):
    """Draw one or two images of a shape, in blocks of their own, with NaN in some."""
    out = []
    for number in range(draw(st.integers(1, 2))):
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        dtype = np.dtype(draw(st.sampled_from(DTYPES)))
        values = rng.integers(0, 60, shape)
        level = draw(st.sampled_from([3, 30, 54]))
        values = values > level if dtype.kind == "b" else values.astype(dtype)
        if dtype.kind == "f":
            values /= 8
            values[rng.random(shape) < draw(st.sampled_from([0.0, 0.2]))] = np.nan
        if opaque and draw(st.booleans()):
            lazy = da.from_array(values, chunks=draw(cst.chunkings(shape)))
        else:
            lazy = sourced(values, draw(st.tuples(*[st.integers(1, 4)] * 4)))
        pair = [xr.DataArray(part, dims=DIMS) if named else part for part in (lazy, values)]
        out.append(source("ab"[number], *pair))
    return out


@st.composite
def cases(draw, last=None, named=None, opaque=True):
    """Draw an expression; long in time or large in space."""
    shape = (*draw(st.sampled_from([(10, 3), (2, 9), (1, 12), (3, 6)])), draw(st.integers(1, 6)), 7)
    named = draw(st.booleans()) if named is None else named
    made = draw(expressions(draw(sources(shape, named, opaque)), last))
    for trait in made.traits:
        event(trait)
    return made


def check(found, made, box=None):
    """Whatever is exact is equal in every bit; sums of floats are taken in another order."""
    wanted = made.values[tuple(slice(*span) for span in box or whole(made.values.shape))]
    assert found.dtype == made.lazy.dtype == wanted.dtype
    if made.exact:
        np.testing.assert_array_equal(found, wanted)
    else:
        # Cancellation leaves errors of the values it began with.
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6 * made.scale)


def draw_box(draw, shape):
    starts = [draw(st.integers(0, n - 1)) for n in shape]
    return tuple((a, draw(st.integers(a + 1, n))) for a, n in zip(starts, shape, strict=True))


def blocks_of(requests):
    """Return the blocks of opaque arrays as dask makes them."""
    return {key: dask.get(node.graph.to_dict(), [key])[0] for key, node in opaque_keys(requests).items()}


@settings(max_examples=20, **RUN)
@given(data=st.data(), made=cases())
def test_views_hold_what_numpy_says(data, made):
    node = lift(made.lazy).node
    assert node.shape == made.lazy.shape == made.values.shape
    check(np.asarray(made.lazy.compute(scheduler="synchronous")), made)
    check(view(node, data.draw(cst.chunkings(node.shape))).compute(scheduler="synchronous"), made)


@pytest.mark.parametrize("last", STEPS)
@settings(max_examples=7, **RUN)
@given(data=st.data())
def test_every_box_holds_what_numpy_says(last, data):
    made = data.draw(cases(last))
    node = lift(made.lazy).node
    for _ in range(3):
        box = draw_box(data.draw, node.shape)
        (found,) = evaluate([(node, box)], blocks_of([(node, box)]))
        assert found.shape == sides(box)
        check(found, made, box)


@settings(max_examples=12, **RUN)
@given(data=st.data(), made=cases())
def test_every_block_of_a_small_plan_holds_what_numpy_says(data, made):
    node = lift(made.lazy).node
    unit = data.draw(st.tuples(*[st.integers(1, 3)] * len(node.shape)))
    with small_blocks():
        boxes = list(make_plan([node], unit=unit).boxes)
    seen = np.zeros(node.shape, int)
    for box in boxes[::-7][:12]:
        check(evaluate([(node, box)], blocks_of([(node, box)]))[0], made, box)
    for box in boxes:
        seen[tuple(slice(*span) for span in box)] += 1
    assert np.all(seen == 1)


@pytest.mark.parametrize("last", ["gaussian", "median", "morphology", "reduced", "sliced", "arithmetic"])
@settings(max_examples=10, **RUN)
@given(data=st.data())
def test_a_task_reads_its_box_and_the_halo_once(last, data):
    made = data.draw(cases(last, opaque=False))
    node = lift(made.lazy).node
    box = draw_box(data.draw, node.shape)
    # Images in different chunks are rechunked by dask, and what slices or reduces that is dask's.
    assume(not opaque_keys([(node, box)]))
    with recording() as readings:
        evaluate([(node, box)])
    allowed = made.reads(tuple(frozenset(range(*span)) for span in box))
    # What else is read are vectors of times and zeros that the nodes carry.
    images = [reading for reading in readings if reading.source in allowed]
    assert {reading.source for reading in images} == set(allowed)
    for reading in images:
        for (start, stop), near in zip(reading.box, allowed[reading.source], strict=True):
            # Parts that lie apart are read as one piece.
            filled = set(range(min(near), max(near) + 1)) if "slice" in made.traits else near
            assert set(range(start, stop)) <= filled, (reading, sorted(near))
    if not made.traits & {"wrap", "reduce"}:
        for token in allowed:
            seen = np.zeros((12, 12, 12, 12), int)
            for reading in images:
                seen[tuple(slice(*span) for span in reading.box)] += reading.source == token
            assert seen.max() == 1, "a voxel was read twice"


@pytest.mark.parametrize("origin", [-1, 1])
@pytest.mark.parametrize("name", ["binary_erosion", "binary_dilation", "binary_opening", "binary_closing"])
def test_morphology_with_an_origin(name, origin):
    """Neither full nor empty: what noise of any density becomes is hardly ever so by chance."""
    for density in (0.05, 0.5, 0.95):
        values = np.random.default_rng(3).random((4, 12, 7)) < density
        made = filtered(name, source("a", sourced(values, (2, 3, 2)), values), 0, origin=origin)
        for _, box in chunk_boxes(made.lazy.chunks):
            check(evaluate([(lift(made.lazy).node, box)])[0], made, box)


def on_a_grid(image):
    times, *space = (tuple(float(i) for i in range(n)) for n in image.shape)
    return attach(image.data, Grid(*space, time_ms=times))


@settings(max_examples=12, **RUN)
@given(data=st.data(), made=cases(named=True))
def test_saved_images_hold_what_numpy_says(data, made, tmp_path_factory):
    lazy, path = made.lazy, tmp_path_factory.mktemp("saved") / "image.zarr"
    lazy = lazy if lazy.ndim == 4 else lazy.expand_dims("t")
    with small_blocks(data.draw(st.tuples(*[st.integers(2, 4)] * 3))), cm.config("8 GB", workers=2):
        saved = cm.save(on_a_grid(lazy), path, pyramid=data.draw(st.booleans()))
    check(saved.compute(scheduler="synchronous").values.reshape(made.values.shape), made)


def test_the_checks_can_fail():
    made = source("a", sourced(np.ones((1, 2, 3, 4)), (1, 1, 2, 2)), np.ones((1, 2, 3, 4)))
    check(made.lazy.compute(), made)
    with pytest.raises(AssertionError):
        check(made.lazy.compute() + 1e-9, made)
