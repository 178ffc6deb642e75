"""Images on other scales against the formulas that define them; lazy ones stay lazy."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from many_blocks import sourced

import chunkmed as cm
from chunkmed.coords import attach
from chunkmed.errors import InputError
from chunkmed.graph.evaluate import recording
from chunkmed.graph.lift import lift
from chunkmed.grid import Grid
from chunkmed.intensity import scales
from chunkmed.recipe import Pipeline
from chunkmed.recipe.model import parse
from chunkmed.recipe.planning import plan_recipe

SHAPE = (2, 5, 6, 7)
GRID = Grid(*(tuple(float(i) for i in range(n)) for n in SHAPE[1:]), time_ms=(0.0, 40.0))
DIMS = ("t", "z", "y", "x")


def drawn(dtype="int16", seed=0):
    return np.random.default_rng(seed).normal(0, 400, SHAPE).astype(dtype)


def image_of(values, **attrs):
    return xr.DataArray(sourced(values, (1, 2, 3, 4)), dims=DIMS, name="ct", attrs={"units": "HU", **attrs})


VALUES = drawn()


def by_standard(x, center, width, low, high):
    """DICOM PS3.3 C.11.2.1.2.1, word by word."""
    x = x.astype(float)
    inside = ((x - (center - 0.5)) / (width - 1) + 0.5) * (high - low) + low
    out = np.where(x <= center - 0.5 - (width - 1) / 2, low, inside)
    return np.where(x > center - 0.5 + (width - 1) / 2, high, out)


@pytest.mark.parametrize("name", ["lung", "bone", "brain"])
def test_windows_by_name(name):
    center, width = cm.intensity.WINDOWS[name]
    found = cm.intensity.window(image_of(VALUES, modality="CT"), name)
    wanted = np.clip((VALUES - (center - width / 2)) / width, 0, 1)
    assert found.dtype == np.float32 and found.attrs["units"] == "1" and found.name == "ct"
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("center", "width"), [(40, 400), (-600.5, 1501), (0, 2)])
def test_linear_is_dicoms(center, width):
    found = cm.intensity.window(
        image_of(VALUES), center=center, width=width, out_range=(10, 245), function="linear", dtype="float64"
    )
    np.testing.assert_allclose(found, by_standard(VALUES, center, width, 10, 245), rtol=1e-12)


def test_window_of_one_value_and_sigmoid():
    found = cm.intensity.window(image_of(VALUES), center=3, width=1, function="LINEAR")
    np.testing.assert_array_equal(found, VALUES > 2.5)
    found = cm.intensity.window(image_of(VALUES), center=40, width=300, function="SIGMOID", dtype="float64")
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-4 * (VALUES - 40.0) / 300)), rtol=1e-12)


def test_window_as_bytes():
    found = cm.intensity.window(image_of(VALUES), "bone", out_range=(0, 255), dtype="uint8")
    wanted = np.round(np.clip((VALUES + 500.0) / 1800, 0, 1) * 255)
    np.testing.assert_array_equal(found, wanted.astype("uint8"))


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"preset": "lungs"}, "bad-window"),
        ({"center": 3}, "bad-window"),
        ({"preset": "lung", "center": 3}, "bad-window"),
        ({"center": 3, "width": 0}, "bad-window"),
        ({"center": 3, "width": 0.5, "function": "LINEAR"}, "bad-window"),
        ({"center": 3, "width": 5, "function": "CUBIC"}, "bad-window"),
        ({"preset": "lung"}, "other-modality"),
    ],
)
def test_windows_that_are_none(arguments, kind):
    with pytest.raises(InputError) as refused:
        cm.intensity.window(image_of(VALUES, modality="MR"), **arguments)
    assert refused.value.kind == kind


def test_a_misspelt_window_is_told_the_nearest():
    with pytest.raises(InputError, match="did you mean 'soft-tissue'"):
        cm.intensity.window(image_of(VALUES), "Soft tissues")


@pytest.mark.parametrize("dtype", ["int16", "uint8", "float32"])
@pytest.mark.parametrize(("low", "high"), [(-10.5, 30.2), (None, 12), (7, None), (-1e9, 1e9)])
def test_clip_keeps_the_dtype(dtype, low, high):
    values = np.abs(drawn()).astype(dtype) if dtype == "uint8" else drawn(dtype)
    found = cm.intensity.clip(image_of(values), low, high)
    assert found.dtype == dtype and found.compute().dtype == dtype and found.attrs["units"] == "HU"
    whole = dtype != "float32"
    ends = (
        (None if low is None else np.ceil(low) if whole else low),
        (None if high is None else np.floor(high) if whole else high),
    )
    np.testing.assert_array_equal(found, np.clip(values.astype(float), *ends).astype(dtype))


def test_padding_is_no_longer_marked_after_clipping():
    image = image_of(VALUES, padding_value=-2000)
    assert "padding_value" not in cm.intensity.clip(image, -100, 100).attrs
    with pytest.raises(InputError):
        cm.intensity.clip(image)
    with pytest.raises(InputError):
        cm.intensity.clip(image, 3, 2)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_rescale(dtype):
    values = drawn(dtype)
    plain, low, high = values.astype(float), float(values.min()), float(values.max())
    found = cm.intensity.rescale(image_of(values), (-1, 1), dtype="float64")
    np.testing.assert_allclose(found, (plain - low) / (high - low) * 2 - 1, rtol=1e-12, atol=1e-12)
    found = cm.intensity.rescale(image_of(values), in_range=(-100, 100))
    np.testing.assert_allclose(found, (np.clip(values, -100, 100) + 100) / 200, rtol=1e-5, atol=1e-7)
    found = cm.intensity.rescale(image_of(values), mask=image_of(values > 0), per="time")
    for t in range(2):
        low = plain[t][plain[t] > 0].min()
        wanted = np.clip((plain[t] - low) / (plain[t].max() - low), 0, 1)
        np.testing.assert_allclose(found[t], wanted, rtol=1e-5, atol=1e-7)


def test_one_value_only_becomes_the_lowest():
    image = image_of(np.full(SHAPE, 7, np.int16))
    for function in (cm.intensity.rescale, cm.intensity.normalize):
        assert not np.any(function(image)) and not np.any(function(image, per="time"))


@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
def test_zscore(dtype):
    values = drawn(dtype)
    inside = values > -100
    plain = values.astype(float)
    found = cm.intensity.normalize(image_of(values), mask=image_of(inside), dtype="float64")
    np.testing.assert_allclose(
        found, (plain - plain[inside].mean()) / plain[inside].std(), rtol=1e-9, atol=1e-9
    )
    found = cm.intensity.normalize(image_of(values), per="time")
    for t in range(2):
        np.testing.assert_allclose(
            found[t], (plain[t] - plain[t].mean()) / plain[t].std(), rtol=1e-5, atol=1e-6
        )


def test_normalize_between_percentiles():
    low, high = np.percentile(VALUES, (5, 90))
    found = cm.intensity.normalize(image_of(VALUES), "percentile", percentiles=(5, 90), dtype="float64")
    np.testing.assert_allclose(found, np.clip((VALUES - low) / (high - low), 0, 1), rtol=1e-12, atol=1e-15)
    found = cm.intensity.normalize(image_of(VALUES), "minmax", dtype="float64")
    np.testing.assert_allclose(found, (VALUES - float(VALUES.min())) / np.ptp(VALUES.astype(float)))
    with pytest.raises(InputError, match="zscore"):
        cm.intensity.normalize(image_of(VALUES), "z-score")


def test_padding_does_not_count():
    values = VALUES.copy()
    values[:, :, 0] = -3000
    inside = values > -3000
    found = cm.intensity.normalize(image_of(values, padding_value=-3000), dtype="float64")
    plain = values.astype(float)
    np.testing.assert_allclose(found, (plain - plain[inside].mean()) / plain[inside].std(), rtol=1e-9)
    found = cm.intensity.equalize(image_of(values, padding_value=-3000))
    assert not np.any(np.asarray(found)[~inside])


@pytest.mark.parametrize("dtype", ["int16", "uint8", "float16", "bool"])
def test_equalized_values_are_the_part_that_is_not_higher(dtype):
    values = VALUES > 0 if dtype == "bool" else np.abs(VALUES // 8).astype(dtype)
    found = cm.intensity.equalize(image_of(values), dtype="float64")
    wanted = np.searchsorted(np.sort(values.ravel()), values, side="right") / values.size
    np.testing.assert_array_equal(found, wanted)
    found = cm.intensity.equalize(image_of(values), per="time", mask=image_of(VALUES > -50))
    for t in range(2):
        order = np.sort(values[t][VALUES[t] > -50])
        wanted = np.searchsorted(order, values[t], side="right") / order.size
        np.testing.assert_array_equal(found[t], wanted.astype("float32"))


@pytest.mark.parametrize(("dtype", "bins"), [("float32", None), ("int16", 64), ("float64", 256)])
def test_equalized_by_bins(dtype, bins):
    values = drawn(dtype)
    found = cm.intensity.equalize(image_of(values), bins, dtype="float64")
    counts, edges = np.histogram(values, bins or 1024)
    wanted = np.interp(values, (edges[:-1] + edges[1:]) / 2, counts.cumsum() / counts.sum())
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", ["int16", "uint8", "float16"])
def test_a_table_of_all_values_gives_the_same(dtype, monkeypatch):
    values = np.abs(drawn()).astype(dtype) if dtype == "uint8" else drawn(dtype)

    def results():
        image = image_of(values)
        yield cm.intensity.window(image, "bone", out_range=(0, 255), dtype="uint8")
        yield cm.intensity.window(image, center=40, width=300, function="SIGMOID")
        yield cm.intensity.window(image, center=3, width=1, function="LINEAR")
        yield cm.intensity.normalize(image, per="time")
        yield cm.intensity.rescale(image, (2, -3), per="time", dtype="float64")

    monkeypatch.setattr(scales, "_pays", lambda source: False)
    wanted = [each.compute() for each in results()]
    monkeypatch.setattr(scales, "_pays", lambda source: True)
    for found, each in zip(results(), wanted, strict=True):
        assert len(lift(found).node.inputs) == 1
        xr.testing.assert_identical(found.compute(), each)


LAZY = {
    "window": lambda i: cm.intensity.window(i, "lung"),
    "clip": lambda i: cm.intensity.clip(i, -100, 100),
    "rescale": lambda i: cm.intensity.rescale(i, in_range=(0, 9)),
}


@pytest.mark.parametrize("name", LAZY)
def test_nothing_is_read_before_it_is_asked_for(name):
    with recording() as readings:
        out = LAZY[name](image_of(VALUES))
        assert isinstance(out.data, da.Array) and out.dims == DIMS
        assert not cm.explain(out).opaque
    assert not readings


@pytest.mark.parametrize("per", ["image", "time"])
@pytest.mark.parametrize("name", ["normalize", "equalize", "rescale"])
def test_numbers_are_counted_in_one_pass_and_the_image_stays_lazy(name, per):
    with recording() as readings:
        out = getattr(cm.intensity, name)(image_of(VALUES), per=per)
    assert sum(np.prod([b - a for a, b in reading.box]) for reading in readings) == VALUES.size
    assert isinstance(out.data, da.Array) and not cm.explain(out).opaque
    assert out.dtype == out.compute().dtype == np.float32


RECIPE = """
schema = 1
[[step]]
name = "mask"
do = "threshold"
of = "image"
above = 0
[[step]]
name = "scaled"
do = "normalize"
of = "image"
mask = "mask"
[[step]]
name = "even"
do = "equalize"
of = "scaled"
bins = 100
[[step]]
name = "seen"
do = "window"
of = "image"
center = 40
width = 400
[[step]]
name = "part"
do = "rescale"
of = "seen"
out_range = [0, 255]
[[step]]
name = "cut"
do = "clip"
of = "part"
high = 200
[output]
save = ["even", "cut"]
"""


def test_a_recipe():
    source = image_of(VALUES, padding_value=int(VALUES.max()))
    recipe = parse(RECIPE, "scales")
    pipeline = Pipeline(recipe, source)
    inside = (VALUES > 0) & (VALUES.max() > VALUES)
    plain = VALUES.astype(float)
    wanted = (plain - plain[inside].mean()) / plain[inside].std()
    np.testing.assert_allclose(pipeline["scaled"], wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        pipeline["cut"], np.clip(np.clip((plain + 160) / 400, 0, 1) * 255, None, 200), rtol=1e-5, atol=1e-4
    )
    assert pipeline["even"].dtype == np.float32


def test_passes_of_a_recipe_are_known_before():
    source = attach(sourced(VALUES, (1, 2, 3, 4)), GRID)
    names = [each.name for each in plan_recipe(parse(RECIPE, "scales"), source)]
    assert names[0] == "scaled (mean and deviation)" and "even (range of values)" in names
    assert any(name.startswith("save cut") for name in names)
