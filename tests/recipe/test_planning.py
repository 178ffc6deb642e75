"""``plan_recipe``: the passes that a run then takes, known before it reads a voxel."""

import numpy as np
import pytest
from many_blocks import sourced
from recipe.test_recipe import CONNECTED

import chunkmed as cm
from chunkmed.coords import attach
from chunkmed.errors import InputError, PlanError
from chunkmed.graph.evaluate import recording
from chunkmed.graph.run import observing
from chunkmed.grid import Grid
from chunkmed.recipe import Pipeline, load, plan_recipe
from chunkmed.recipe.model import parse

RECIPE = """
schema = 1
[input]
padding = "include"
[[step]]
name = "smooth"
do = "gaussian_filter"
of = "image"
sigma = 1
[[step]]
name = "mask"
do = "threshold"
of = "smooth"
above = {level}
[[step]]
name = "parts"
do = "label"
of = "mask"
[[measure]]
labels = "parts"
of = "image"
what = ["mean", "volume_ml"]
[output]
save = ["parts"]
"""


def image():
    values = np.random.default_rng(0).integers(0, 100, (2, 6, 9, 8)).astype(np.int16)
    axes = [tuple(np.arange(n) * 2.0) for n in values.shape]
    return attach(sourced(values, (1, 3, 4, 5)), Grid(axes[1], axes[2], axes[3], axes[0]))


class Names:
    def __init__(self):
        self.seen, self.tasks = [], []

    def start(self, name, tasks, plan):
        self.seen.append(name)
        self.tasks.append(tasks)

    def advance(self, voxels, nbytes):
        pass

    def finish(self):
        pass


@pytest.mark.parametrize("level", ["50", '"otsu"'])
def test_the_passes_are_those_of_a_run(level, tmp_path):
    recipe = parse(RECIPE.replace("{level}", level), "mine")
    with recording() as readings:
        planned = plan_recipe(recipe, image())
    assert readings == []
    seen = Names()
    with observing(seen):
        pipeline = Pipeline(recipe, image())
        pipeline.replace("parts", cm.save(pipeline["parts"], tmp_path / "out.zarr", pyramid=False))
        pipeline.measure(recipe.measurements[0])
    names = [each.name for each in planned]
    wanted = ["parts (labelling)", "save parts", "measure parts"]
    assert [name for name in names if not name.startswith("mask")] == wanted
    # Otsu's level takes one pass for the range and one for the histogram; a run counts both.
    assert [name for name in seen.seen if name in ("labelling", "measuring")] == ["labelling", "measuring"]
    assert planned[-1].cost.plan.tasks == seen.tasks[-1]
    assert all(each.cost.plan.peak_bytes > 0 for each in planned)


def test_parameters_are_asked_for():
    with pytest.raises(InputError, match="seed"):
        plan_recipe(load("ejection-fraction"), image())


def test_what_does_not_fit_is_said_with_its_step():
    recipe = parse(RECIPE.replace("{level}", "50"), "mine")
    with cm.config(memory="50 MB", workers=1), pytest.raises(PlanError, match="step 'parts'"):
        plan_recipe(recipe, image())


def test_coarser_levels_are_passes_too(tmp_path, monkeypatch):
    """Where a block does not hold whole shards of a coarser level."""
    values = np.zeros((1, 2, 300, 1100), np.uint8)
    axes = [tuple(np.arange(n) * 1.0) for n in values.shape]
    wide = attach(sourced(values, (1, 2, 300, 256)), Grid(axes[1], axes[2], axes[3], axes[0]))
    recipe = parse(RECIPE.format(level=50), "mine")
    monkeypatch.setattr("chunkmed.graph.plan.MAX_BLOCK_BYTES", 1)
    seen = Names()
    planned = [each.name for each in plan_recipe(recipe, wide)]
    with observing(seen):
        pipeline = Pipeline(recipe, wide)
        cm.save(pipeline["parts"], tmp_path / "out.zarr")
    assert "save parts, level 2" in planned
    saves = [name.partition(", ")[2] for name in planned if name.startswith("save")]
    assert saves == [name.partition(", ")[2] for name in seen.seen if name.startswith("writing")]


def test_masks_are_planned_as_they_run():
    recipe = parse(CONNECTED, "mine")
    planned = plan_recipe(recipe, image())
    seen = Names()
    with observing(seen):
        assert Pipeline(recipe, image())["main"].dtype == np.int32
    names = [each.name for each in planned if not each.name.startswith("save")]
    assert names == [
        "bright (connecting)",
        "solid (finding holes)",
        "large (sizing objects)",
        "reached (spreading)",
        "main (sizing objects)",
    ]
    assert seen.seen == [name.partition("(")[2].rstrip(")") for name in names]
