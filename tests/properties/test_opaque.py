"""By name: what is dask's to evaluate and what is traced, both right in any blocks and when saved."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from many_blocks import small_blocks, sourced

import chunkmed as cm
from chunkmed.coords import attach
from chunkmed.graph.box import regular_chunks
from chunkmed.graph.lift import lift
from chunkmed.graph.trace import trace
from chunkmed.graph.views import view
from chunkmed.grid import Grid

# The same read backwards: a transpose has the same shape.
SHAPE = (4, 6, 6, 4)
DIMS = ("t", "z", "y", "x")
RNG = np.random.default_rng(8)
INTEGERS = RNG.integers(1, 50, SHAPE).astype(np.int16)
FLOATS = np.where(RNG.random(SHAPE) < 0.1, np.nan, RNG.normal(size=SHAPE)).astype(np.float32)
COORDS = {dim: np.arange(n) * 1.0 for dim, n in zip(DIMS, SHAPE, strict=True)}
BLOCKS = ((2, 4, 5, 3), (3, 5, 2, 4))
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def both(array):
    """Return an array as a view in blocks and in memory."""
    return sourced(array, (1, 2, 3, 2)), array


def images(array):
    return [xr.DataArray(data, dims=DIMS, coords=COORDS) for data in both(array)]


#: Functions of dask and of NumPy arrays: what they are called in ``explain``, m is the module.
OPAQUE_ARRAYS = {
    "swapaxes": ("rechunk-merge", lambda m, a: m.swapaxes(a, 1, 2) - a),
    "isin": ("any-aggregate", lambda m, a: m.isin(a, [3, 4, 5])),
    "cumsum": ("cumsum", lambda m, a: m.cumsum(a, axis=2) + a),
    "cumprod": ("cumprod", lambda m, a: m.cumprod(a % 3, axis=0)),
    "reversed": ("getitem", lambda m, a: a[:, ::-1] - a),
    "reversed and shortened": ("getitem", lambda m, a: a[:, 4:1:-1]),
    "strided": ("getitem", lambda m, a: a[:, :, ::2] * 2),
    "strided over whole blocks": ("getitem", lambda m, a: a[:, :, ::3]),
    "indices": ("getitem", lambda m, a: a[:, [4, 0, 2]]),
    "indices that swap whole blocks": ("getitem", lambda m, a: a[:, [2, 3, 0, 1, 4, 5]]),
    "indices that repeat": ("getitem", lambda m, a: a[[0, 0, 1, 1]]),
    "mask of an axis": ("getitem", lambda m, a: a[:, np.arange(6) % 2 == 0]),
    "concatenate": ("concatenate", lambda m, a: m.concatenate([a, a * 2], axis=0)),
    "stack": ("stack", lambda m, a: m.stack([a[0], a[1] + 1, a[0]])),
    "roll": ("concatenate", lambda m, a: m.roll(a, 2, axis=3)),
    "roll over blocks": ("concatenate", lambda m, a: m.roll(a, 3, axis=2) + a),
    "repeat": ("concatenate", lambda m, a: m.repeat(a, 2, axis=3)),
    "tile": ("concatenate", lambda m, a: m.tile(a, (1, 1, 1, 2))),
    "pad": ("concatenate", lambda m, a: m.pad(a, ((0, 0), (1, 1), (0, 2), (0, 0)), mode="reflect")),
    "tensordot": ("getitem", lambda m, a: m.tensordot(a, a[0, 0], axes=((2, 3), (0, 1)))[..., None, None]),
    "matmul": ("_chunk_sum-aggregate", lambda m, a: m.matmul(a, m.swapaxes(a, 2, 3))),
    "einsum": ("sum-aggregate", lambda m, a: m.einsum("tzyx,tzvx->tzyv", a, a)),
    "modf": ("modf1-modf", lambda m, a: m.modf(a / 4)[0]),
    "broadcast_to": ("rechunk-merge", lambda m, a: m.broadcast_to(a[:1], SHAPE) - a),
    "argmax": ("arg_agg-aggregate", lambda m, a: a - m.argmax(a, axis=0)),
    "tril": ("arange", lambda m, a: m.tril(a)),
    "gradient": ("_trim", lambda m, a: m.gradient(a * 1.0, axis=1)),
}
#: Functions of DataArrays.
OPAQUE_IMAGES = {
    "rolling mean": ("rechunk-merge", lambda x: x.rolling(x=3, center=True, min_periods=1).mean()),
    "rolling maximum over t": ("sum-aggregate", lambda x: x.rolling(t=2).max()),
    "shift": ("rechunk-merge", lambda x: x.shift(x=1, fill_value=0) - x),
    "roll": ("rechunk-merge", lambda x: x.roll(y=2) + x),
    "pad": ("concatenate", lambda x: x.pad(z=1, constant_values=0)),
    "coarsen": ("mean_agg-aggregate", lambda x: x.coarsen(x=2).mean()),
    "interp": ("interpnd", lambda x: x.interp(x=[0.5, 1.25, 2.0])),
    "quantile over t": ("rechunk-merge", lambda x: x * 0.0 + x.quantile(0.5, "t", skipna=False)),
    "cumsum": ("cumsum", lambda x: x.cumsum("z") + x),
    "concat": ("concatenate", lambda x: xr.concat([x, x + 1], "t")),
    "sortby": ("getitem", lambda x: x.sortby("z", ascending=False)),
    "dot": ("getitem", lambda x: x + x.dot(xr.DataArray(np.arange(4), dims="t"))),
    "differentiate": ("_trim", lambda x: x.astype("f8").differentiate("y")),
}
TRACED = {
    "operators": lambda x: -(x * 2 - 3) // 4 + x % 5 - x**2 / 7,
    "masks": lambda x: ((x > 9) & ~(x == 12)) | (x <= 3) ^ (x != 5),
    "ufuncs": lambda x: np.hypot(np.sqrt(abs(x)), np.arctan2(x, 3)) + np.maximum(x, 4),
    "where": lambda x: xr.where(x > 9, x, -x).where(x < 40).where(x > 2, 7),
    "astype and clip": lambda x: xr.where(x > -9, x, 0).clip(-2, 20).astype("int16").astype("float32"),
    "isnull and fillna": lambda x: (x / 2).isnull() + (x / 2).fillna(2) * (x * 1.0).notnull(),
    "scalars": lambda x: np.float64(0.1) * x + np.int16(3) - np.array(2.5),
    "per-time vector": lambda x: x * xr.DataArray([1, 2, 4, 8], dims="t") - xr.DataArray([1.0] * 4, dims="t"),
    "vectors of two axes": lambda x: x + xr.DataArray(np.arange(24.0).reshape(4, 6), dims=["t", "y"]),
    "slices": lambda x: x[1:, 1:5].isel(x=slice(1, 3), y=slice(0, 4))[:, :, 1:] * 2,
    "neighbours": lambda x: x.isel(y=slice(1, None)) - x.isel(y=slice(None, -1)).values.max(),
    "difference": lambda x: x.diff("z", label="lower") + x.isel(z=slice(0, -1)),
    "count over t": lambda x: x * x.count("t") + x.sum("t"),
    "frame": lambda x: x - x.isel(t=2, drop=True),
    "z-score": lambda x: (x - x.mean("t")) / (x.std("t") + 1),
    "range over t": lambda x: x + (x.max("t") - x.min("t")) / (x.var("t", ddof=1) + 1),
    "reduced, sliced, reduced": lambda x: x - x.mean("t")[1:].max("z"),
    "reduced over z": lambda x: x - x.mean("t").max("z"),
    "other order": lambda x: x.transpose("x", "t", "y", "z") * 2 - x,
    "x.T + x": lambda x: x + x.data.T,
    "minus mean over x": lambda x: x - x.mean("x"),
    "minus mean": lambda x: x - x.mean(),
    "minus highest": lambda x: x * 2 - x.max(),
    "normalised per time point": lambda x: (x - x.mean(("z", "y", "x"))) / (x.std(("z", "y", "x")) + 1),
    "numbers of numbers": lambda x: (x - x.mean()) / ((x - x.mean()) ** 2).sum(),
    "to one number per slice": lambda x: x - x.sum(("t", "y", "x"), skipna=False) + x.min(("y", "x")),
    "rechunked": lambda x: (x.chunk({"t": 2, "z": 5}) if x.chunks else x) + 1,
}


def check(lazy, wanted, traced=False, word=""):
    """Compute as it is and in other blocks; what is not traced is named."""
    array, wanted = getattr(lazy, "data", lazy), np.asarray(wanted)
    explained = cm.explain(lazy)
    assert traced == (not explained.opaque)
    assert any(word in name for name in explained.opaque) or traced
    assert all(f"{name} is evaluated by dask" in str(explained) for name in explained.opaque)
    close(array.compute(scheduler="synchronous"), wanted)
    node = trace(array)
    for block in BLOCKS:
        close(
            view(node, regular_chunks(array.shape, block[-array.ndim :])).compute(scheduler="synchronous"),
            wanted,
        )


def check_saved(lazy, wanted, path):
    times, *space = (tuple(float(i) for i in range(n)) for n in lazy.shape)
    with small_blocks((2, 4, 3)), cm.config(memory="8 GB", workers=2):
        saved = cm.save(attach(getattr(lazy, "data", lazy), Grid(*space, time_ms=times)), path)
    close(saved.compute().values, np.asarray(wanted))


def close(found, wanted):
    assert found.shape == wanted.shape
    # float32 sums are taken in another order than NumPy's.
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if found.dtype.kind == "f" else {"rtol": 0}
    np.testing.assert_allclose(found, wanted, **tolerance)


@pytest.mark.parametrize("name", OPAQUE_ARRAYS)
def test_opaque_arrays(name, tmp_path):
    word, function = OPAQUE_ARRAYS[name]
    lazy, eager = both(INTEGERS)
    lazy, wanted = function(da, lazy), function(np, eager)
    check(lazy, wanted, word=word)
    check_saved(lazy, wanted, tmp_path / "image.zarr")


@pytest.mark.parametrize("name", OPAQUE_IMAGES)
def test_opaque_images(name, tmp_path):
    word, function = OPAQUE_IMAGES[name]
    lazy, eager = images(INTEGERS)
    lazy, wanted = function(lazy), function(eager)
    check(lazy, wanted, word=word)
    check_saved(lazy.transpose(*DIMS), wanted.transpose(*DIMS), tmp_path / "image.zarr")


@pytest.mark.parametrize("array", [INTEGERS, FLOATS], ids=["int16", "float32"])
@pytest.mark.parametrize("name", TRACED)
def test_traced_images(name, array, tmp_path):
    lazy, eager = (TRACED[name](image) for image in images(array))
    assert lazy.dtype == lift(lazy).node.dtype
    check(lazy, eager, traced=True)
    check_saved(lazy.transpose(*DIMS), eager.transpose(*DIMS), tmp_path / "image.zarr")
