"""What the engine looks into and what it leaves to dask, both by name; and that both are right."""

import operator
import pickle
import threading

import dask
import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
import xarray as xr
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.coords import attach
from chunkmed.errors import InputError
from chunkmed.graph.evaluate import walk
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Opaque, Source
from chunkmed.graph.trace import ELEMENTWISE, is_elementwise, trace
from chunkmed.graph.views import view
from chunkmed.grid import Grid

SHAPE = (4, 6, 7)
DIMS = ("t", "y", "x")
RNG = np.random.default_rng(5)
INTEGERS = RNG.integers(1, 50, SHAPE).astype(np.int16)
FLOATS = np.where(RNG.random(SHAPE) < 0.1, np.nan, RNG.normal(size=SHAPE)).astype(np.float32)
I = xr.DataArray(sourced(INTEGERS, (1, 2, 3)), dims=DIMS, name="i")  # noqa: E741
F = xr.DataArray(sourced(FLOATS, (1, 2, 3)), dims=DIMS, name="f")
PER_TIME = xr.DataArray(np.array([1.0, 2.0, 3.0, 4.0]), dims="t")

TRACED = {
    "abs": lambda: abs(F),
    "add": lambda: I + 1,
    "add reversed": lambda: 1 + I,
    "add images": lambda: I + F,
    "and": lambda: (I > 3) & (F < 9),
    "compare": lambda: I >= 4,
    "equal": lambda: I == 4,
    "floordiv": lambda: I // 3,
    "invert": lambda: ~I,
    "less": lambda: I < 4,
    "mod": lambda: I % 3,
    "mul": lambda: I * 2.5,
    "neg": lambda: -I,
    "not equal": lambda: F != I,
    "or": lambda: (I > 3) | (F < 9),
    "pos": lambda: +I,
    "pow": lambda: I**2,
    "shift bits": lambda: (I << 1) >> 2,
    "sub": lambda: 7 - I,
    "truediv": lambda: I / 3,
    "xor": lambda: (I > 3) ^ (F < 9),
    "ufunc arctan2": lambda: np.arctan2(F, I),
    "ufunc isfinite": lambda: np.isfinite(F),
    "ufunc logical_not": lambda: np.logical_not(I > 3),
    "ufunc maximum": lambda: np.maximum(I, 9),
    "ufunc sqrt": lambda: np.sqrt(I),
    "da.nan_to_num": lambda: da.nan_to_num(F.data),
    "da.round": lambda: da.round(F.data, 1),
    "da.where": lambda: da.where(I.data > 3, I.data, 0),
    "xr.where": lambda: xr.where(I > 3, I, F),
    "method where": lambda: I.where(F > 0),
    "method where other": lambda: I.where(F > 0, -1),
    "astype": lambda: I.astype("float32"),
    "astype to integer": lambda: (F.fillna(0) * 10).astype("int16"),
    "clip": lambda: I.clip(3, 9),
    "clip below": lambda: F.clip(min=0),
    "da.clip": lambda: da.clip(I.data, 3, 9),
    "isnull": lambda: F.isnull(),
    "notnull": lambda: F.notnull(),
    "fillna": lambda: F.fillna(-5),
    "per-time vector": lambda: I - PER_TIME,
    "per-time vector of numpy": lambda: I.data * np.arange(4)[:, None, None],
    "per-x vector": lambda: I + xr.DataArray(np.arange(7), dims="x"),
    "broadcast frame": lambda: I - I.isel(t=0, drop=True),
    "slice inside blocks": lambda: I[:, 1:, :5],
    "slice of whole blocks": lambda: I[:, :, 0:3],
    "slice through blocks": lambda: I[1:, 1:5, 2:],
    "slice of all": lambda: I[:],
    "slice of slice": lambda: I[:, 1:][:, 1:, 2:6],
    "isel integer": lambda: I.isel(t=2),
    "isel negative": lambda: I.isel(t=-1, x=-2),
    "isel slice": lambda: I.isel(y=slice(1, 4)),
    "chunk": lambda: I.chunk({"t": 3, "y": 4}),
    "rechunk": lambda: I.data.rechunk((4, 6, 7)),
    "diff": lambda: I.diff("t"),
    "slice then rechunk": lambda: I.data[1:, 2:5].rechunk((3, 1, 7)),
    "expand_dims": lambda: I.isel(t=0).expand_dims("z"),
    "new axis": lambda: I.data[:, None],
    "own filter": lambda: ndi.gaussian_filter(I, 1.0) > 20,
    "long chain": lambda: (
        (np.sqrt(ndi.median_filter(I * 2, 3) + PER_TIME) - F.fillna(0)).astype("f4").isel(t=3)
    ),
    "mean over t": lambda: I.mean("t"),
    "minus mean over t": lambda: I - I.mean("t"),
    "transpose": lambda: I.transpose("x", "t", "y"),
    "transpose of equal sizes": lambda: I[:, :, :6].transpose("t", "x", "y"),
    "transpose of a slice, filtered": lambda: ndi.median_filter(I[1:].transpose("x", "t", "y"), 3),
}


def _minus_block_mean(block):
    return block - int(block.mean())


OPAQUE = {
    "median over t": lambda: I.median("t"),
    "map_blocks": lambda: I.data.map_blocks(_minus_block_mean, dtype=np.int16),
    "map_blocks then operators": lambda: I.data.map_blocks(_minus_block_mean, dtype=np.int16) * 2 + I.data,
    "apply_ufunc": lambda: xr.apply_ufunc(
        _minus_block_mean, I, dask="parallelized", output_dtypes=[np.int16]
    ),
    "map_overlap": lambda: I.data.map_overlap(lambda b: b * 2, depth=1, boundary="reflect", dtype=np.int16),
    "blockwise": lambda: da.blockwise(lambda a: a - a.min(), "tyx", I.data, "tyx", dtype=np.int16),
    "from_array": lambda: da.from_array(INTEGERS, chunks=(2, 3, 4)) + 1,
    "concatenate": lambda: da.concatenate([I.data, I.data]),
    "stack": lambda: da.stack([I.data, I.data]),
    "cumsum": lambda: I.cumsum("y"),
    "rechunk then slice": lambda: I.data.rechunk((2, 6, 7))[1:, 2:5],
    "fancy index": lambda: I.isel(y=[4, 0, 2]),
    "flip": lambda: I[:, ::-1],
    "isin": lambda: I.isin([3, 4, 5]),
    "pad": lambda: I.pad(x=1, constant_values=0),
    "reshape": lambda: I.data.reshape((4, 42)),
    "roll": lambda: I.roll(x=2),
    "shift": lambda: I.shift(t=1),
    "strided slice": lambda: I[:, ::2],
    "topk": lambda: da.topk(I.data, 2, axis=1),
}


def array_of(made):
    return made.data if isinstance(made, xr.DataArray) else made


def opaque_nodes(array):
    return [node for node in walk([trace(array)]) if isinstance(node, Opaque)]


def random_chunks(shape, rng):
    cuts = [
        np.sort(rng.choice(np.arange(1, n), min(n - 1, 2), replace=False)) if n > 1 else [] for n in shape
    ]
    return tuple(tuple(np.diff([0, *cut, n]).tolist()) for cut, n in zip(cuts, shape, strict=True))


def check_reblocked(array):
    wanted, rng = np.asarray(array.compute(scheduler="synchronous")), np.random.default_rng(2)
    node = trace(array)
    assert node.shape == array.shape and node.dtype == array.dtype
    for _ in range(3):
        found = view(node, random_chunks(array.shape, rng)).compute(scheduler="synchronous")
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", TRACED)
def test_traced(name):
    array = array_of(TRACED[name]())
    assert not opaque_nodes(array)
    check_reblocked(array)


@pytest.mark.parametrize("name", OPAQUE)
def test_opaque(name):
    array = array_of(OPAQUE[name]())
    assert opaque_nodes(array)
    check_reblocked(array)


@pytest.mark.parametrize("name", OPAQUE)
def test_opaque_below_own_filters(name):
    """A filter over what dask made: the filter is traced, what is below it is not."""
    below = array_of(OPAQUE[name]()).astype("float32")
    check_reblocked(ndi.gaussian_filter(below, 0.6) * 2 + 1)


def test_elementwise_list():
    assert all(is_elementwise(function) for function in ELEMENTWISE)
    for function in (operator.add, operator.invert, np.where, np.clip, np.sqrt, np.maximum, np.isnan):
        assert is_elementwise(function)
    for function in (
        np.sort,
        np.cumsum,
        np.mean,
        operator.getitem,
        np.transpose,
        np.take,
        len,
        operator.matmul,
    ):
        assert not is_elementwise(function)


@pytest.mark.parametrize("function", [np.matmul, np.vecdot], ids=["matmul", "vecdot"])
def test_ufuncs_with_a_signature_are_not_elementwise(function):
    """Generalised ufuncs mix the voxels of a block: re-blocked they would be silently wrong."""
    assert not is_elementwise(function)


def test_blockwise_matmul_is_right_when_reblocked():
    array = da.map_blocks(np.matmul, I.data[..., :6].rechunk((1, 3, 3)), I.data[..., :6].rechunk((1, 3, 3)))
    check_reblocked(array)


def test_two_functions_of_one_name_are_two():
    """NumPy names all of frompyfunc's lambdas alike; their tokens must still differ."""
    more, twice = np.frompyfunc(lambda a: a + 1, 1, 1), np.frompyfunc(lambda a: a * 2, 1, 1)
    check_reblocked(more(I.data).astype(float) + twice(I.data).astype(float))


def test_an_empty_slice():
    found = ndi.gaussian_filter(da.from_array(INTEGERS, chunks=3)[:, 1:1], 1.0)
    assert found.shape == (4, 0, 7) and found.compute().shape == (4, 0, 7)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint16", "float32"])
@pytest.mark.parametrize("scalar", [2, 2.5])
def test_nested_dtypes_below_opaque_nodes(dtype, scalar):
    array = da.from_array((INTEGERS > 20) if dtype == "bool" else INTEGERS.astype(dtype), chunks=(2, 3, 4))
    for made in (
        array,
        array * scalar,
        (array + array[:1]) * scalar,
        da.where(array > 3, array, scalar),
        (array * scalar)[1:, 2:],
        (array * scalar).rechunk((4, 1, 7))[:, :, 1:4] - 1,
    ):
        assert opaque_nodes(made)
        check_reblocked(made)
        filtered = ndi.median_filter(made, 3)
        assert filtered.dtype == made.dtype == filtered.compute(scheduler="synchronous").dtype
        wanted = scipy.ndimage.median_filter(made.compute(scheduler="synchronous"), 3)
        np.testing.assert_array_equal(filtered.compute(scheduler="synchronous"), wanted)


def test_size_one_operand_below_opaque_nodes():
    row = da.from_array(INTEGERS[:, :1], chunks=(2, 1, 4)) * 2
    check_reblocked(da.from_array(INTEGERS, chunks=(2, 3, 4)) - row)


def token(image):
    return lift(image).node.token


def test_equal_content_has_equal_tokens():
    def made():
        source = sourced(INTEGERS.copy(), (1, 2, 3))
        return ndi.binary_closing(ndi.gaussian_filter(source * 2, (1.0, 1.0, 2.0))[1:] > 3, iterations=2)

    assert token(made()) == token(made())
    assert made().name == made().name


def test_other_content_has_other_tokens():
    other = INTEGERS.copy()
    other[0, 0, 0] += 1
    source = sourced(INTEGERS, (1, 2, 3))
    images = [
        source,
        sourced(other, (1, 2, 3)),
        sourced(INTEGERS.astype(np.int32), (1, 2, 3)),
        source + 1,
        source + 1.0,
        source + True,
        1 - source,
        source - 1,
        source[1:],
        source[:-1],
        source[1],
        source.astype("float32"),
        source.astype("float64"),
        ndi.gaussian_filter(source, 1.0),
        ndi.gaussian_filter(source, 1.0, mode="wrap"),
        ndi.gaussian_filter(source, 1.0, truncate=3.0),
        ndi.gaussian_filter(source, 1.0, output="float32"),
        ndi.gaussian_filter(source, (1.0, 1.0, 0.9)),
        ndi.gaussian_filter(source, 1.0, axes=(1, 2)),
        ndi.median_filter(source, 3),
        ndi.median_filter(source, footprint=np.ones((3, 3, 1))),
        ndi.median_filter(source, footprint=np.ones((3, 1, 3))),
        ndi.binary_erosion(source),
        ndi.binary_dilation(source),
        ndi.binary_dilation(source, border_value=1),
        ndi.binary_dilation(source, iterations=2),
        ndi.label(source > 30)[0],
        ndi.label(source > 40)[0],
    ]
    assert len({token(image) for image in images}) == len(images)


@pytest.mark.parametrize(
    "name", ["long chain", "per-time vector", "slice inside blocks", "own filter", "isnull"]
)
def test_nodes_pickle(name):
    node = trace(array_of(TRACED[name]()))
    copy = pickle.loads(pickle.dumps(node))
    assert copy.token == node.token and copy.shape == node.shape and copy.dtype == node.dtype
    chunks = tuple((n,) for n in node.shape)
    found = view(copy, chunks).compute(scheduler="synchronous")
    np.testing.assert_array_equal(found, view(node, chunks).compute(scheduler="synchronous"))


def test_labels_pickle_while_they_live():
    with small_blocks((3, 4, 5)):
        labels, _ = ndi.label(I > 25)
    node = lift(labels).node
    copy = view(pickle.loads(pickle.dumps(node)), ((4,), (6,), (7,)))
    np.testing.assert_array_equal(copy.compute(scheduler="synchronous"), labels.compute().values)


def test_an_image_over_opaque_dask_pickles():
    image = ndi.gaussian_filter(da.from_array(INTEGERS, chunks=(2, 3, 4)), 0.6)
    copy = pickle.loads(pickle.dumps(image))
    np.testing.assert_array_equal(copy.compute(), image.compute())
    assert ndi.sum(copy) == ndi.sum(image)


def test_dask_may_optimise_and_persist_a_view():
    image = ndi.gaussian_filter(I, 1.0) * 2
    wanted = image.compute()
    (optimised,) = dask.optimize(image)
    for copy in (optimised, image.persist(), image.chunk({"y": 6})):
        xr.testing.assert_equal(copy.compute(), wanted)
        xr.testing.assert_equal((copy[:, 1:4] + 1).compute(), wanted[:, 1:4] + 1)
        found = ndi.median_filter(copy, 3).compute()
        frames = [scipy.ndimage.median_filter(frame, 3) for frame in wanted.values]
        np.testing.assert_array_equal(found, np.stack(frames))


def test_query_planning_is_refused():
    source = Source(lift(I).node.reader)
    with dask.config.set({"array.query-planning": True}), pytest.raises(InputError) as refused:
        view(source)
    assert refused.value.kind == "query-planning"
    assert view(source).shape == SHAPE


GRID = Grid(
    z_mm=(0.0, 2.0, 4.0, 6.0, 8.0),
    y_mm=tuple(1.5 * i for i in range(6)),
    x_mm=tuple(0.5 * i for i in range(7)),
    time_ms=(0.0, 40.0),
)


def run_everything(folder):
    """A lazy result and each kind of sink on whatever scheduler is set."""
    values = np.random.default_rng(1).integers(0, 99, GRID.shape).astype(np.int16)
    image = attach(sourced(values, (1, 2, 3, 4)), GRID)
    mixed = attach(da.from_array(values, chunks=(1, 2, 3, 4)), GRID)
    with small_blocks((2, 3, 4)):
        smooth = ndi.gaussian_filter(image, 1.0) + mixed
        labels, count = ndi.label(smooth > 100)
        table = cm.measure(labels, smooth, ["volume_mm3", "mean", "center_of_mass"])
        saved = cm.save(labels, folder / "labels.zarr")
    smoothed = np.stack([scipy.ndimage.gaussian_filter(v, 1.0) for v in values]) + values
    wanted = [scipy.ndimage.label(v > 100) for v in smoothed]
    names = np.stack([found for found, _ in wanted])
    np.testing.assert_array_equal(smooth.compute().values, smoothed)
    np.testing.assert_array_equal(labels.compute().values, names)
    np.testing.assert_array_equal(saved.compute().values, names)
    assert count.values.tolist() == [number for _, number in wanted]
    for t in range(2):
        index = np.arange(1, wanted[t][1] + 1)
        sums = scipy.ndimage.sum(1, names[t], index) * 2.0 * 1.5 * 0.5
        row = table.isel(t=t).sel(label=index)
        np.testing.assert_allclose(row.volume_mm3, sums)
        np.testing.assert_allclose(row["mean"], scipy.ndimage.mean(smoothed[t], names[t], index), rtol=1e-9)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_local_schedulers(scheduler, tmp_path):
    with dask.config.set(scheduler=scheduler):
        run_everything(tmp_path)


def test_processes(tmp_path):
    with dask.config.set(scheduler="processes", num_workers=1):
        run_everything(tmp_path)


def test_distributed(tmp_path):
    distributed = pytest.importorskip("distributed", reason="the cluster extra is not installed")
    options = {"processes": False, "n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        run_everything(tmp_path)


def test_a_sink_runs_its_tasks_on_the_workers_of_the_budget():
    seen = set()

    def note(block):
        seen.add(threading.get_ident())
        return block

    image = da.from_array(np.ones((40, 4)), chunks=(1, 4)).map_blocks(note, meta=np.empty((0, 0)))
    with small_blocks(), cm.config(memory="8 GB", workers=1):
        assert ndi.sum(image) == 160
    assert len(seen) == 1
