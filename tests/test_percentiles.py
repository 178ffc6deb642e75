"""Percentiles of labels are NumPy's, of any dtype and for any blocks."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr
from many_blocks import small_blocks, sourced

import chunkmed as cm
from chunkmed.ndimage import label

SHAPE = (3, 4, 9, 10)
DIMS = ("t", "z", "y", "x")
WHAT = ["median", "percentile_0", "percentile_12.5", "percentile_90", "percentile_100"]
PERCENTS = [50, 0, 12.5, 90, 100]


def pair(dtype, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=SHAPE) * 1000
    if np.dtype(dtype).kind == "u":
        values = abs(values)
    values = np.round(values) if np.dtype(dtype).kind in "iu" else np.round(values, 1)
    labels = rng.integers(0, 6, SHAPE).astype(np.int32)
    # One that a time point lacks, one of a single voxel, one that no time point has.
    labels[1][labels[1] == 2] = 0
    labels[labels == 4] = 0
    labels[2, 0, 0, 0] = 9
    return values.astype(dtype), labels


def images(values, labels):
    shards = (1, 2, 4, 5)
    return [xr.DataArray(sourced(array, shards), dims=DIMS) for array in (labels, values)]


def expected(values, labels, names):
    out = np.full((len(PERCENTS), len(values), len(names)), np.nan)
    for t in range(len(values)):
        for column, name in enumerate(names):
            inside = values[t][labels[t] == name].astype(np.float64)
            if inside.size:
                out[:, t, column] = np.percentile(inside, PERCENTS)
    return out


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "uint32", "float32", "float64"])
def test_of_every_dtype(dtype):
    values, labels = pair(dtype)
    with small_blocks((2, 4, 5)):
        found = cm.measure(*images(values, labels), [*WHAT, "mean"])
    names = [1, 2, 3, 5, 9]
    assert found["label"].values.tolist() == names
    wanted = expected(values, labels, names)
    for name, values_wanted in zip(WHAT, wanted, strict=True):
        np.testing.assert_allclose(found[name].values, values_wanted, rtol=1e-12)
    for t in range(SHAPE[0]):
        inside = [values[t][labels[t] == name] for name in names]
        means = [part.mean(dtype=np.float64) if part.size else np.nan for part in inside]
        np.testing.assert_allclose(found["mean"][t], means, rtol=1e-6)


def test_nan_of_a_label_is_its_percentile():
    values, labels = pair("float32")
    values[0][labels[0] == 3] = np.nan
    values[2][labels[2] == 1] = np.where(np.arange((labels[2] == 1).sum()) == 0, np.nan, 1)
    found = cm.measure(*images(values, labels), ["median", "count"])
    assert np.isnan(found["median"].sel(label=3)[0]) and np.isnan(found["median"].sel(label=1)[2])
    assert np.isfinite(found["median"].sel(label=3)[1]) and np.isfinite(found["median"].sel(label=5)).all()
    assert found["count"].sel(label=3)[0] == (labels[0] == 3).sum()


def test_of_a_mask_of_nothing_and_without_time(tmp_path):
    values, labels = pair("float32")
    mask, image = xr.DataArray(labels[0] == 1, dims=DIMS[1:]), xr.DataArray(values[0], dims=DIMS[1:])
    found = cm.measure(mask, image, ["median"])
    assert found["median"].item() == pytest.approx(np.median(values[0][labels[0] == 1].astype(float)))
    nothing = cm.measure(mask & ~mask, image, ["median", "count"])
    assert nothing.sizes["label"] == 0 and nothing["median"].dtype == np.float64
    path = cm.measure(mask, image, ["median"], out=tmp_path / "table.parquet")
    assert pq.read_table(path)["median"].to_pylist() == [found["median"].item()]


def test_of_objects():
    """Labelled and measured together: the same numbers as of labels."""
    values, labels = pair("float64", 5)
    mask = xr.DataArray(labels == 1, dims=DIMS)
    image = xr.DataArray(values, dims=DIMS)
    found = cm.measure_objects(mask, image, ["median", "percentile_90"], structure=np.ones((3, 3, 3)))
    objects, _ = label(mask, np.ones((3, 3, 3)))
    xr.testing.assert_equal(found, cm.measure(objects, image, ["median", "percentile_90"]))
    first = found["median"].isel(t=0).sel(label=1).item()
    assert first == np.median(values[0][np.asarray(objects)[0] == 1])
