"""Label images of others on an image's grid: turned exactly, or refused; names in tables and recipes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from many_blocks import sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.coords import attach
from chunkmed.errors import ChunkmedError, InputError
from chunkmed.grid import Grid
from chunkmed.job import run_job
from chunkmed.recipe import plan_recipe
from chunkmed.recipe.model import parse

nib = pytest.importorskip("nibabel", reason="the test extra is not installed")

SHAPE = (2, 6, 30, 22)
GRID = Grid(
    tuple(2.5 * np.arange(6)),
    tuple(0.8984 * np.arange(30).round(6)),
    tuple(0.7 * np.arange(22).round(6)),
    time_ms=(0.0, 40.0),
    direction=((0.8, -0.6, 0.0), (0.6, 0.8, 0.0), (0.0, 0.0, 1.0)),
    origin_mm=(-174.699997, 12.123457, 901.25),
)
LABELS = np.zeros(SHAPE, np.int16)
LABELS[0, 1:3, 3:9, 5:9], LABELS[1, 1:3, 3:8, 5:9], LABELS[:, 4, 20:25, 12:15] = 1, 1, 3


@pytest.fixture(scope="module")
def image():
    values = np.random.default_rng(0).integers(0, 100, SHAPE).astype(np.int16)
    return attach(sourced(values, (1, 2, 16, 16)), GRID)


def theirs(tmp_path, values=LABELS, *, affine=None, dtype=None):
    """Write labels as another program does: without our extension."""
    affine = np.diag([-1, -1, 1, 1]) @ GRID.affine if affine is None else affine
    path = tmp_path / "theirs.nii.gz"
    nib.save(nib.Nifti1Image(np.ascontiguousarray(values.T), affine, dtype=dtype), path)
    return path


def test_labels_get_the_coordinates_of_the_image(image, tmp_path):
    found = cm.open_labels(theirs(tmp_path), like=image)
    np.testing.assert_array_equal(found, LABELS)
    for name in ("t", "z", "y", "x", "grid"):
        np.testing.assert_array_equal(found[name], image[name])
    assert not cm.explain(found * 2).opaque


@pytest.mark.parametrize("code", ["RAS", "LPS", "ASL", "PIR", "SRP", "ILA"])
def test_any_order_and_direction_of_axes(image, tmp_path, code):
    path = theirs(tmp_path)
    loaded = nib.load(path)
    wanted = nib.orientations.axcodes2ornt(code)
    turn = nib.orientations.ornt_transform(nib.io_orientation(loaded.affine), wanted)
    nib.save(loaded.as_reoriented(turn), path)
    np.testing.assert_array_equal(cm.open_labels(path, like=image), LABELS)


def _moved(change):
    return np.diag([-1, -1, 1, 1]) @ GRID.affine @ change


TURN = np.array(
    [[np.cos(0.02), -np.sin(0.02), 0, 0], [np.sin(0.02), np.cos(0.02), 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
)
SHIFT = np.eye(4)
SHIFT[0, 3] = 0.4
OTHERS = {
    "shifted by 0.4": (LABELS, _moved(SHIFT)),
    "steps 2.5, 1.797": (LABELS, _moved(np.diag([1, 2, 1, 1]))),
    "turned by a little": (LABELS, TURN @ _moved(np.eye(4))),
    r"shape \(5, 30, 22\)": (LABELS[:, :5], None),
    "3 time points": (LABELS[[0, 1, 1]], None),
}


@pytest.mark.parametrize("why", OTHERS)
def test_other_grids_are_refused_by_what_differs(image, tmp_path, why):
    values, affine = OTHERS[why]
    with pytest.raises(InputError, match=why) as refused:
        cm.open_labels(theirs(tmp_path, values, affine=affine), like=image)
    assert refused.value.kind == "other-grid" and "resample_like" in str(refused.value)


def test_rounding_to_single_precision_is_the_same_grid(image, tmp_path):
    nudge = np.eye(4)
    nudge[:3, 3] = 0.01
    np.testing.assert_array_equal(cm.open_labels(theirs(tmp_path, affine=_moved(nudge)), like=image), LABELS)


def test_labels_of_one_time_stand_for_all(image, tmp_path):
    found = cm.open_labels(theirs(tmp_path, LABELS[:1]), like=image, names={1: "LV"})
    assert found.dims == ("z", "y", "x")
    table = cm.measure(found, image, ["mean"])
    for t in range(2):
        wanted = image.values[t][LABELS[0] == 1].mean()
        assert float(table["mean"].isel(t=t).sel(label="LV")) == pytest.approx(wanted)
    one = image.isel(t=1)
    assert cm.open_labels(theirs(tmp_path, LABELS[:1]), like=one).dims == one.dims


def test_floats_are_labels_where_they_are_whole(image, tmp_path):
    found = cm.open_labels(theirs(tmp_path, LABELS.astype("f4")), like=image)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, LABELS)
    for wrong in (0.5, np.nan, 1e20):
        values = LABELS.astype("f4")
        values[1, 2, 3, 4] = wrong
        with pytest.raises(InputError) as refused:
            cm.open_labels(theirs(tmp_path, values), like=image).compute()
        assert refused.value.kind == "not-labels"


def test_names_are_coordinates_of_tables(image, tmp_path):
    found = cm.open_labels(theirs(tmp_path), like=image, names={1: "LV"})
    table = cm.measure(found, image, ["volume_ml"])
    assert table.label.values.tolist() == ["LV", "3"] and table.number.values.tolist() == [1, 3]
    voxel_ml = 2.5 * 0.8984 * 0.7 / 1000
    np.testing.assert_allclose(table.volume_ml.sel(label="LV"), [48 * voxel_ml, 40 * voxel_ml], rtol=1e-6)
    curve = cm.follow(found, at={"voxel": (1, 4, 6)}, table=table).volume_ml
    np.testing.assert_allclose(curve, table.volume_ml.sel(label="LV"))
    assert cm.cardiac.ejection_fraction(curve) == pytest.approx(1 / 6)


def test_names_are_of_these_labels_and_of_nothing_made_of_them(image, tmp_path):
    found = cm.open_labels(theirs(tmp_path), like=image, names={1: "LV"})
    for view in (found, found.isel(z=slice(1, 4)), cm.reorient(found, "RAS"), found.isel(t=0)):
        assert "LV" in cm.measure(view).label.values
    for made in (found == 3, found * 1, ndi.label(found > 0)[0], found.astype("i4")):
        assert "LV" not in cm.measure(made).label.values


def test_names_are_stored_with_the_labels(image, tmp_path):
    cm.save(image, tmp_path / "a.zarr")
    found = cm.open_labels(theirs(tmp_path), like=image, names={1: "LV", 3: "RV"})
    cm.save(found, tmp_path / "a.zarr", name="hearts")
    again = cm.open_labels(tmp_path / "a.zarr", "hearts", like=image)
    assert cm.measure(again).label.values.tolist() == ["LV", "RV"]
    assert cm.measure(cm.open_labels(tmp_path / "a.zarr", names={1: "left"})).label.values.tolist() == [
        "left",
        "3",
    ]


@pytest.mark.parametrize("names", [{0: "a"}, {1: ""}, {1: "a", 2: "a"}, {"x": "a"}, ["a"]])
def test_names_that_are_none(image, tmp_path, names):
    with pytest.raises(InputError) as refused:
        cm.open_labels(theirs(tmp_path), like=image, names=names)
    assert refused.value.kind == "bad-names"


def test_arrays_are_taken_by_their_shape(image):
    np.testing.assert_array_equal(cm.open_labels(LABELS, like=image), LABELS)
    with pytest.raises(InputError) as refused:
        cm.open_labels(LABELS[:, 1:], like=image)
    assert refused.value.kind == "other-grid"


def test_what_is_no_label_image(image, tmp_path):
    (tmp_path / "a.txt").write_text("LV")
    cm.save(image.astype("f4"), tmp_path / "a.zarr")
    for name, kind in (("a.txt", "not-labels"), ("gone.nrrd", "no-such-path"), ("a.zarr", "not-labels")):
        with pytest.raises(ChunkmedError) as refused:
            cm.open_labels(tmp_path / name, like=image)
        assert refused.value.kind == kind


RECIPE = """
schema = 1
[input]
labels = "lv"
names = { 1 = "LV" }
[[step]]
name = "rim"
do = "binary_dilation"
of = "lv"
[[measure]]
labels = "lv"
of = "image"
what = ["volume_ml", "mean"]
[output]
save = ["lv"]
"""


@pytest.mark.parametrize("times", [1, 2])
def test_recipes_take_label_images(image, tmp_path, times):
    cm.save(image, tmp_path / "a.zarr")
    recipe = parse(RECIPE, "lv.toml")
    path = theirs(tmp_path, LABELS[:times])
    result = run_job(recipe, tmp_path / "a.zarr", tmp_path / "out", labels={"lv": path})
    assert "LV" in result.table.label.values
    stored = cm.open_labels(tmp_path / "out" / "image.zarr", "lv")
    np.testing.assert_array_equal(stored, np.broadcast_to(LABELS[:times], SHAPE))
    assert json.loads((tmp_path / "out" / "provenance.json").read_text())["recipe"]["name"] == "lv.toml"
    assert [each.name for each in plan_recipe(recipe, image)][-1] == "measure lv"


def test_recipes_say_which_label_image_is_missing(image, tmp_path):
    cm.save(image, tmp_path / "a.zarr")
    with pytest.raises(InputError, match="--labels lv=FILE") as refused:
        run_job(parse(RECIPE, "lv.toml"), tmp_path / "a.zarr", tmp_path / "out")
    assert refused.value.kind == "labels-missing"
    for wrong in ('labels = "image"', 'labels = ["lv", "lv"]', "names = { x = 'a' }\nlabels = 'lv'"):
        text = RECIPE.replace('labels = "lv"\nnames = { 1 = "LV" }', wrong)
        with pytest.raises(InputError) as refused:
            parse(text, "lv.toml")
        assert refused.value.kind == "bad-recipe"
