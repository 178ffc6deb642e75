"""Where shards of the usual thickness do not fit the budget, an image is stored in thinner ones."""

import dask.array as da
import numpy as np
import pytest
import scipy.ndimage

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed import store
from chunkmed.coords import attach, grid_of
from chunkmed.errors import PlanError
from chunkmed.graph.lift import lift
from chunkmed.grid import Grid
from chunkmed.levels import plan_levels

SHAPE = (1, 70, 300, 280)


@pytest.fixture(scope="module")
def mask():
    values = np.random.default_rng(0).random(SHAPE) < 0.999
    grid = Grid(*(tuple(np.arange(n) * 1.0) for n in SHAPE[1:]), time_ms=(0.0,))
    return attach(da.from_array(values, chunks=(1, 35, 150, 140)), grid)


@pytest.fixture(scope="module")
def distances(mask):
    return scipy.ndimage.distance_transform_edt(mask.values[0])[np.newaxis]


def smallest_mb(image, path):
    with pytest.raises(PlanError, match="does not fit") as refused, cm.config(memory="1 MB", workers=1):
        cm.save(image, path)
    return int(str(refused.value).split('memory="')[1].split(" MB")[0])


def thickness(path, level=0):
    return store.open_image(path, level=level).array.grid.shard[1]


@pytest.mark.parametrize("pyramid", [True, False])
def test_as_thin_as_the_budget_asks(tmp_path, mask, distances, pyramid):
    image = ndi.distance_transform_edt(mask)
    least = smallest_mb(image, tmp_path / "none.zarr")
    assert not (tmp_path / "none.zarr").exists()
    found = {}
    for extra in (0, 200):
        path = tmp_path / f"{extra}.zarr"
        with cm.config(memory=f"{least + extra} MB", workers=1):
            out = cm.save(image, path, pyramid=pyramid)
        np.testing.assert_allclose(out.values, distances, rtol=1e-12)
        found[extra] = thickness(path)
        if pyramid:
            np.testing.assert_allclose(
                cm.open(path, level=1).values, cm.open(tmp_path / "0.zarr", level=1).values
            )
    assert found[0] < found[200] == 64


def test_planned_as_it_is_done(tmp_path, mask):
    image = ndi.distance_transform_edt(mask)
    with cm.config(memory=f"{smallest_mb(image, tmp_path / 'a.zarr')} MB", workers=1):
        planned = plan_levels(lift(image).node, grid_of(image), pyramid=False).passes
        cm.save(image, tmp_path / "a.zarr", pyramid=False)
    assert planned[-1].program.plan.block[1] % thickness(tmp_path / "a.zarr") == 0


def test_a_write_of_another_thickness_is_not_taken_up(tmp_path, mask, distances, monkeypatch):
    image = ndi.distance_transform_edt(mask)
    least = smallest_mb(image, tmp_path / "a.zarr")
    write = store.ArrayWriter.write
    done = []

    def cut_off(self, box, values):
        if done and "a.zarr" in str(self.path):
            raise KeyboardInterrupt
        out = write(self, box, values)
        done.extend([box] if "a.zarr" in str(self.path) else [])
        return out

    monkeypatch.setattr(store.ArrayWriter, "write", cut_off)
    with cm.config(memory=f"{least} MB", workers=1), pytest.raises(KeyboardInterrupt):
        cm.save(image, tmp_path / "a.zarr", pyramid=False)
    monkeypatch.undo()
    with cm.config(memory=f"{least + 300} MB", workers=1):
        out = cm.save(image, tmp_path / "a.zarr", pyramid=False)
    np.testing.assert_allclose(out.values, distances, rtol=1e-12)
    assert thickness(tmp_path / "a.zarr") == 64
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []
