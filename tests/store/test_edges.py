"""What users do to stores that nobody expects: transposed images, links, other people's folders."""

import itertools
import os
import threading
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from many_blocks import small_blocks, sourced

import chunkmed as cm
from chunkmed import store as rooms
from chunkmed.coords import attach
from chunkmed.errors import ChunkmedError, InputError, StoreError
from chunkmed.graph.nodes import Source
from chunkmed.graph.views import view
from chunkmed.grid import Grid
from chunkmed.store import files


def grid(shape, **more):
    t, z, y, x = (tuple(float(i) for i in range(n)) for n in shape)
    return Grid(**{"time_ms": t, "z_mm": z, "y_mm": y, "x_mm": x, **more})


def image_of(shape=(3, 4, 6, 6), seed=0, dtype="int16", **more):
    values = np.random.default_rng(seed).integers(0, 99, shape).astype(dtype)
    return attach(sourced(values, (1, 2, 3, 3)), grid(shape), **more)


def refused(kind, call, error=ChunkmedError):
    with pytest.raises(error) as found:
        call()
    assert found.value.kind == kind, found.value
    return found.value


# ------------------------------------------------------------------------------ order of dims


@pytest.mark.parametrize("dims", list(itertools.permutations("tzyx"))[::5])
@pytest.mark.parametrize("shape", [(3, 4, 6, 6), (4, 4, 4, 4), (2, 3, 5, 6)])
def test_an_image_is_saved_by_the_names_of_its_dims(tmp_path, dims, shape):
    times = np.arange(shape[0] * shape[1], dtype=float).reshape(shape[:2])
    image = image_of(shape, trigger_time_ms=times)
    cm.save(image.transpose(*dims), tmp_path / "a.zarr")
    found = cm.open(tmp_path / "a.zarr")
    np.testing.assert_array_equal(found.values, image.values)
    np.testing.assert_array_equal(found.trigger_time_ms, times)
    cm.save((image > 50).transpose(*dims), tmp_path / "a.zarr", name="body")
    np.testing.assert_array_equal(cm.open(tmp_path / "a.zarr", label="body").values, image.values > 50)


# ------------------------------------------------------------------- what is not ours is kept


@pytest.mark.parametrize("what", ["folder", "file", "folder with a manifest of its own", "link to a folder"])
def test_overwrite_replaces_only_what_chunkmed_wrote(tmp_path, what):
    target, real = tmp_path / "patients", tmp_path / "real"
    if what == "file":
        target.write_text("notes")
    else:
        folder = real if what.startswith("link") else target
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "scan.dcm").write_bytes(b"precious")
        if "manifest" in what:
            (folder / "manifest.json").write_text('{"name": "an app", "commit": "x", "objects": {}}')
        if folder is real:
            target.symlink_to(real)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    refused("not-a-store", lambda: cm.save(image_of(), target, overwrite=True), StoreError)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_an_empty_folder_may_be_replaced(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    cm.save(image_of(), tmp_path / "a.zarr", overwrite=True)
    assert rooms.verify(tmp_path / "a.zarr") == []


def test_stores_with_names_like_leftovers_are_kept(tmp_path):
    cm.save(image_of(seed=1), tmp_path / "heart.partial-left")
    (tmp_path / "heart.replaced-me").mkdir()
    cm.save(image_of(seed=2), tmp_path / "heart")
    np.testing.assert_array_equal(cm.open(tmp_path / "heart.partial-left").values, image_of(seed=1).values)
    assert (tmp_path / "heart.replaced-me").is_dir()


@pytest.mark.parametrize("name", ["zarr.json", "manifest.json", "zarr.json.draft", "a.lock", "a.ledger"])
def test_names_of_the_stores_own_files(tmp_path, name):
    cm.save(image_of(), tmp_path / "a.zarr")
    refused("bad-name", lambda: cm.save(image_of() > 5, tmp_path / "a.zarr", name=name), InputError)
    assert rooms.label_names(tmp_path / "a.zarr") == []


# -------------------------------------------------------------------------------------- links


def test_a_link_is_the_store_it_leads_to(tmp_path):
    cm.save(image_of(seed=1), tmp_path / "real.zarr")
    (tmp_path / "alias.zarr").symlink_to(tmp_path / "real.zarr")
    for _ in range(2):
        cm.save(image_of(seed=2), tmp_path / "alias.zarr", overwrite=True)
        assert (tmp_path / "alias.zarr").is_symlink()
        np.testing.assert_array_equal(cm.open(tmp_path / "real.zarr").values, image_of(seed=2).values)
    assert cm.open(tmp_path / "real.zarr").data.name == cm.open(tmp_path / "alias.zarr").data.name
    second = []

    def watcher(when, name, path):
        if not second:
            second.append(None)
            kind = refused("locked", lambda: cm.save(image_of() > 3, tmp_path / "alias.zarr", name="b")).kind
            second[0] = kind

    # The second operation is under the lock.
    calls = itertools.count()
    with files.watch(lambda *words: watcher(*words) if next(calls) > 6 else None):
        cm.save(image_of() > 5, tmp_path / "real.zarr", name="a")
    assert second == ["locked"]


# ------------------------------------------------------------------------------------- resume


class FailsLate:
    """An image in sixty blocks; the 55th read fails."""

    shape, chunks, dtype, token = (60, 2, 4, 4), (1, 2, 4, 4), np.dtype(np.int16), "fails late"

    def __init__(self):
        self.reads, self.broken = [], True

    def read(self, box):
        self.reads.append(box)
        if self.broken and len(self.reads) == 55:
            raise RuntimeError("no such luck")
        return np.full([b - a for a, b in box], box[0][0], np.int16)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_blocks_are_kept_as_they_are_done(tmp_path, scheduler):
    """A run that is cut off loses what is under way, not the whole window of tasks."""
    reader = FailsLate()
    image = attach(view(Source(reader)), grid(reader.shape))
    with small_blocks((2, 4, 4)), cm.config("16 GB", 2), dask.config.set(scheduler=scheduler):
        with pytest.raises(RuntimeError):
            cm.save(image, tmp_path / "a.zarr")
        reader.broken, reader.reads = False, []
        found = cm.save(image, tmp_path / "a.zarr")
    assert 6 <= len(reader.reads) <= 10
    np.testing.assert_array_equal(found.values[:, 0, 0, 0], np.arange(60))


def test_what_dask_made_is_never_resumed(tmp_path):
    """dask keeps the name of a function that was changed: its blocks are made anew."""
    state = {"broken": True, "value": 1}

    def make(block, block_info=None):
        if state["broken"] and block_info[0]["chunk-location"][0] == 2:
            raise RuntimeError("no such luck")
        return block * 0 + np.int16(state["value"])

    values = np.ones((3, 4, 6, 6), np.int16)
    data = da.from_array(values, chunks=(1, 2, 3, 3)).map_blocks(make, dtype=np.int16, name="named-by-hand")
    image = attach(data, grid(values.shape))
    with small_blocks((2, 3, 3)), cm.config("16 GB", 1), dask.config.set(scheduler="synchronous"):
        with pytest.raises(RuntimeError):
            cm.save(image, tmp_path / "a.zarr")
        state.update(broken=False, value=2)
        assert (cm.save(image, tmp_path / "a.zarr").values == 2).all()
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_a_label_that_was_not_listed_is_listed_by_the_same_call(tmp_path):
    cm.save(image_of(), tmp_path / "a.zarr")

    def stop(when, name, path):
        if when == "before" and name == "write" and path.parts[-2:] == ("labels", "zarr.json"):
            raise OSError(28, os.strerror(28))

    with files.watch(stop):
        refused("unwritable", lambda: cm.save(image_of() > 5, tmp_path / "a.zarr", name="body"))
    assert rooms.verify(tmp_path / "a.zarr")
    found = cm.save(image_of() > 5, tmp_path / "a.zarr", name="body")
    np.testing.assert_array_equal(found.values, image_of().values > 5)
    assert rooms.verify(tmp_path / "a.zarr") == []
    with xr.open_datatree(tmp_path / "a.zarr", engine="zarr") as tree:
        assert set(tree["labels"].children) == {"body"}
    refused("exists", lambda: cm.save(image_of() > 5, tmp_path / "a.zarr", name="body"))


def test_readers_see_old_or_new_while_it_is_overwritten(tmp_path):
    path, stop, errors, opened = tmp_path / "a.zarr", threading.Event(), [], []
    cm.save(image_of(), path)

    def read():
        while not stop.is_set():
            try:
                opened.append(rooms.open_image(path).about["commit"])
            except ChunkmedError as error:
                errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for seed in range(60):
            cm.save(image_of(seed=seed), path, overwrite=True)
    finally:
        stop.set()
        reader.join(60)
    assert errors == [] and len(set(opened)) > 5


# ------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_positions_that_are_no_numbers(tmp_path, bad, axis):
    image = image_of()
    positions = image[axis].values.copy()
    positions[-1] = bad
    refused("bad-positions", lambda: cm.save(image.assign_coords({axis: positions}), tmp_path / "a.zarr"))
    assert list(tmp_path.iterdir()) == []


def test_steps_below_what_is_stored(tmp_path):
    image = image_of((1, 2, 2, 300)).assign_coords(x=np.arange(300) * 1e-7)
    refused("not-ascending", lambda: cm.save(image, tmp_path / "a.zarr"))


@pytest.mark.parametrize("axis", ["t", "z", "y", "x"])
def test_an_empty_image(tmp_path, axis):
    refused("empty-image", lambda: cm.save(image_of().isel({axis: slice(0, 0)}), tmp_path / "a.zarr"))


@pytest.mark.parametrize(
    "attributes",
    [
        {"scale_factor": 2.0},
        {"add_offset": 5},
        {"_FillValue": 3},
        {"coordinates": "a b"},
        {"slope": float("nan")},
        {"table": {(1, 2): 3}},
        {"table": {1: 2, "a": 3}},
        {"object": {1, 2}},
    ],
    ids=str,
)
def test_attributes_that_cannot_be_stored(tmp_path, attributes):
    image = image_of().assign_attrs(attributes)
    refused("bad-attribute", lambda: cm.save(image, tmp_path / "a.zarr"), InputError)
    assert not (tmp_path / "a.zarr").exists()


def test_a_path_below_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ChunkmedError):
        cm.open(tmp_path / "file" / "x.zarr")


def test_saving_onto_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "precious").write_text("x")
    refused("exists", lambda: cm.save(image_of(), "."))
    refused("not-a-store", lambda: cm.save(image_of(), ".", overwrite=True))
    refused("bad-path", lambda: cm.save(image_of(), "", overwrite=True))
    assert (tmp_path / "precious").read_text() == "x"


@pytest.mark.parametrize("text", ["[]", "1", "{}", '{"node_type": 3}', "[" * 5000])
def test_verify_of_metadata_that_is_something_else(tmp_path, text):
    cm.save(image_of(), tmp_path / "a.zarr")
    (tmp_path / "a.zarr/0/image/zarr.json").write_text(text)
    assert "0/image/zarr.json" in [damage.key for damage in rooms.verify(tmp_path / "a.zarr")]


def test_a_store_in_a_folder_called_labels(tmp_path):
    path = tmp_path / "labels" / "my heart.zarr"
    cm.save(image_of(), path)
    assert rooms.describe(path)["image"]["levels"][0]["shape"] == [3, 4, 6, 6]


@pytest.mark.parametrize("dtype", [">i2", ">f4", ">i8"])
def test_big_endian_images(tmp_path, dtype, monkeypatch):
    monkeypatch.setattr("chunkmed.store.pyramid._ENOUGH", 4)
    found = cm.save(image_of(dtype=dtype), tmp_path / "a.zarr")
    np.testing.assert_array_equal(found.values, image_of(dtype=dtype).values)
    assert found.dtype.isnative and rooms.open_image(Path(tmp_path / "a.zarr")).levels > 1


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    """A coarser level is made slab by slab: it never needs more than the image itself."""
    from chunkmed.errors import PlanError
    from chunkmed.graph.budget import Budget
    from chunkmed.graph.plan import make_plan
    from chunkmed.graph.shrunk import Shrink, Shrunk

    class Large:
        shape, dtype, token, chunks = (1, 512, 512, 512), np.dtype(np.float64), "large", (1, 64, 256, 256)

    source = Source(Large())
    shrunk = Shrunk(source, (2, 2, 2), Shrink(False, None))
    unit = (1, 64, 256, 256)
    costs = [
        make_plan([node], unit=unit, sink_bytes=28.0, budget=Budget.of("4 GB", 1)).task_bytes
        for node in (source, shrunk)
    ]
    assert costs[1] < 4 * costs[0]
    with pytest.raises(PlanError), cm.config("1 MB", 1):
        cm.save(image_of(), tmp_path / "a.zarr")
    assert not (tmp_path / "a.zarr").exists()
