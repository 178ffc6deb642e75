"""Recipes: what is accepted, what is refused and how, and the published schema."""

from __future__ import annotations

import importlib.resources
import json
import tomllib

import jsonschema
import numpy as np
import pytest
import scipy.ndimage
import xarray as xr

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed import masks
from chunkmed.coords import attach
from chunkmed.errors import InputError, SourceError, StoreError
from chunkmed.grid import Grid
from chunkmed.outputs import Outputs
from chunkmed.recipe import Pipeline, json_schema, load, shipped
from chunkmed.recipe.model import parse

GOOD = """
schema = 1
[parameters]
level = 50
[input]
padding = "include"
[[step]]
name = "smooth"
do = "gaussian_filter"
of = "image"
sigma = "2 mm"
[[step]]
name = "mask"
do = "threshold"
of = "smooth"
above = "$level"
[[measure]]
labels = "mask"
of = "image"
what = ["mean"]
[output]
save = ["mask"]
picture = "mask"
"""


def image(padding=None, **attrs):
    values = np.random.default_rng(0).integers(0, 100, (2, 4, 9, 8)).astype(np.int16)
    grid = Grid(
        z_mm=(0.0, 4.0, 8.0, 12.0),
        y_mm=tuple(np.arange(9) * 2.0),
        x_mm=tuple(np.arange(8) * 2.0),
        time_ms=(0.0, 40.0),
    )
    more = {} if padding is None else {"padding_value": padding}
    return attach(values, grid, attrs={"modality": "MR", **more, **attrs})


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_recipes_are_valid(name):
    assert load(name).description
    jsonschema.validate(tomllib.loads(shipped()[name]), json_schema())


def test_schema_accepts_what_the_loader_accepts_and_refuses_misspelt_keys():
    jsonschema.Draft202012Validator.check_schema(json_schema())
    good = tomllib.loads(GOOD)
    jsonschema.validate(good, json_schema())
    good["step"][0]["sigmaa"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(good, json_schema())
    assert json.loads(json.dumps(json_schema())) == json_schema()


def test_the_published_schema_is_the_one_of_the_code():
    published = importlib.resources.files("chunkmed.recipe") / "recipe.schema.json"
    assert json.loads(published.read_text()) == json_schema()


def test_pipeline_equals_scipy():
    source = image()
    pipeline = Pipeline(parse(GOOD, "good"), source)
    expected = [scipy.ndimage.gaussian_filter(v, (0.5, 1, 1)) > 50 for v in source.values]
    np.testing.assert_array_equal(pipeline["mask"].values, expected)
    table = pipeline.measure(pipeline.recipe.measurements[0])
    means = [v[m].mean() for v, m in zip(source.values, np.array(expected), strict=True)]
    np.testing.assert_allclose(table["mean"].sel(label=1).values, means)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sigma =", "sigmma =", "did you mean 'sigma'?"),
        ("[output]", "[outputs]", "did you mean 'output'?"),
        ('do = "threshold"', 'do = "treshold"', "did you mean 'threshold'?"),
        ('of = "smooth"', 'of = "smoth"', "did you mean 'smooth'?"),
        ('"$level"', '"$levl"', "did you mean 'level'?"),
        ('what = ["mean"]', 'what = ["men"]', "did you mean 'mean'?"),
        ("schema = 1", "schema = 2", "schema = 1"),
        ("schema = 1", "schema = = 1", "not TOML"),
        ('name = "mask"', 'name = "smooth"', "two steps"),
        ('save = ["mask"]', 'save = ["musk"]', "did you mean 'mask'?"),
        ('do = "threshold"', 'do = "os:nothing"', "os:nothing"),
        ('padding = "include"', 'padding = "ignore"', '"exclude"'),
        ("[[measure]]", "[measure]", "[[measure]]"),
        ('labels = "mask"\n', "", "lacks 'labels'"),
        ('do = "gaussian_filter"\n', "", "lacks 'do'"),
    ],
)
def test_mistakes_are_named(old, new, said):
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        parse(GOOD.replace(old, new), "mine.toml")
    message = str(caught.value)
    assert said in message
    assert "mine.toml" in message
    assert "\n" not in message


def test_unknown_parameter_and_required_parameter():
    with pytest.raises(InputError, match="did you mean 'level'"):
        parse(GOOD, "good").with_parameters({"levl": 3})
    recipe = load("ejection-fraction")
    with pytest.raises(InputError, match="needs 'seed'") as caught:
        recipe.check_parameters()
    assert caught.value.kind == "parameter-missing"
    # Given labels, the steps that need the seed are not asked for.
    recipe.check_parameters({"ventricle"})


def test_padding_is_excluded_unless_included():
    source = image(padding=99)
    text = GOOD.replace('sigma = "2 mm"', "sigma = 0")
    included = Pipeline(parse(text, "a"), source)["mask"].values
    excluded = Pipeline(parse(text.replace('"include"', '"exclude"'), "b"), source)["mask"].values
    np.testing.assert_array_equal(included, source.values > 50)
    np.testing.assert_array_equal(excluded, (source.values > 50) & (source.values != 99))
    assert (source.values == 99).any()


def test_modality_is_checked():
    text = GOOD.replace("[input]", '[input]\nmodality = "CT"')
    with pytest.raises(SourceError, match="for CT, the series is MR"):
        Pipeline(parse(text, "ct"), image())


def double(values: xr.DataArray, times: float = 2) -> xr.DataArray:
    return values * times


def test_a_function_of_the_users(tmp_path, monkeypatch):
    (tmp_path / "users_steps.py").write_text("def double(image, times=2):\n    return image * times\n")
    monkeypatch.syspath_prepend(tmp_path)
    text = GOOD.replace('do = "gaussian_filter"', 'do = "users_steps:double"').replace(
        'sigma = "2 mm"', "times = 3"
    )
    source = image()
    np.testing.assert_array_equal(Pipeline(parse(text, "own"), source)["smooth"].values, source.values * 3)
    with pytest.raises(InputError, match="did you mean 'times'"):
        parse(text.replace("times = 3", "tims = 3"), "own")


CONNECTED = """
schema = 1
[input]
padding = "include"
[[step]]
name = "bright"
do = "hysteresis"
of = "image"
low = 40
high = 90
[[step]]
name = "solid"
do = "fill"
of = "bright"
axes = ["y", "x"]
[[step]]
name = "large"
do = "remove_small"
of = "solid"
size = "40 mm3"
[[step]]
name = "round"
do = "closing"
of = "large"
radius = "2 mm"
[[step]]
name = "reached"
do = "binary_propagation"
of = "bright"
mask = "round"
[[step]]
name = "main"
do = "keep_largest"
of = "reached"
connectivity = 3
[output]
save = ["main"]
"""


def test_connected_masks_are_steps():
    jsonschema.validate(tomllib.loads(CONNECTED), json_schema())
    source = image()
    made = Pipeline(parse(CONNECTED, "mine"), source)
    bright = masks.hysteresis(source, 40, 90)
    large = masks.remove_small(masks.fill(bright, ("y", "x")), "40 mm3")
    reached = ndi.binary_propagation(bright, mask=masks.closing(large, "2 mm"))
    wanted = masks.keep_largest(reached, connectivity=3).values
    assert wanted.any()
    np.testing.assert_array_equal(made["main"].values, wanted)


@pytest.mark.parametrize(("key", "wrong"), [("size", "sise"), ("radius", "radious"), ("mask", "masc")])
def test_settings_of_connected_masks_are_checked(key, wrong):
    text = CONNECTED.replace(f"{key} =", f"{wrong} =")
    with pytest.raises(InputError, match=key):
        parse(text, "mine")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text), json_schema())


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ('do = "threshold"\nof = "image"\nabove = nan', "bad-level"),
        ('do = "threshold"\nof = "image"\nabove = 2020-01-01', "bad-recipe"),
        ('do = "threshold"\nof = ["image", "image", "image"]\nabove = 1', "bad-recipe"),
        ('do = "label"\nof = "image"\nstructure = 3', "bad-recipe"),
        ('do = "keep_largest"\nof = "image"\ncount = 1.5', "bad-count"),
    ],
)
def test_settings_of_the_wrong_kind_are_told(step, kind):
    recipe = parse(f'schema = 1\n[[step]]\nname = "mask"\n{step}\n[output]\nsave = ["mask"]', "odd")
    with pytest.raises(InputError) as refused:
        _ = Pipeline(recipe, image())["mask"]
    assert refused.value.kind == kind and "'mask'" in str(refused.value)


def test_results_do_not_go_into_a_store(tmp_path):
    cm.save(image(), tmp_path / "a.zarr")
    for out in (tmp_path / "a.zarr", tmp_path / "a.zarr" / "results"):
        with pytest.raises(StoreError) as refused:
            Outputs(out)
        assert refused.value.kind == "inside-a-store"
