"""Stores: their layout, whole or absent, and what other readers make of them."""

import itertools
import json
import threading
import time
import warnings

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed import store as rooms
from chunkmed.coords import attach, grid_of
from chunkmed.errors import ChunkmedError, InputError, StoreError
from chunkmed.graph.nodes import Source
from chunkmed.graph.views import view
from chunkmed.grid import Grid
from chunkmed.store.layout import layout_of

#: Kinds of error for values that are not what was written.
DAMAGED = {"unreadable-chunk", "unreadable-shard", "damaged-shard", "missing-shard", "incomplete"}
UNEVEN = (0.0, 2.0, 4.0, 7.0, 9.0)
TURN = ((0.0, 0.6, 0.8), (1.0, 0.0, 0.0), (0.0, 0.8, -0.6))


def grid(**changes):
    about = {
        "z_mm": tuple(2.5 * i for i in range(5)),
        "y_mm": tuple(1.5 * i for i in range(6)),
        "x_mm": tuple(0.5 * i for i in range(7)),
        "time_ms": (0.0, 35.5, 71.0),
        "direction": TURN,
        "origin_mm": (-10.0, 20.0, 30.5),
        "frame_key": "abc123",
    }
    return Grid(**{**about, **changes})


def values_of(shape=(3, 5, 6, 7), dtype="int16"):
    return np.random.default_rng(4).integers(1, 99, shape).astype(dtype)


def image_of(dtype="int16", on=None, **more):
    on = on or grid()
    attrs = {"units": "HU", "modality": "CT", "padding_value": -2000}
    return attach(sourced(values_of(on.shape, dtype), (1, 2, 3, 4)), on, attrs=attrs, **more)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "heart.zarr"


@pytest.fixture
def saved(path):
    """A store in many shards, with one label image."""
    with small_blocks((2, 3, 4)):
        image = cm.save(image_of(), path)
        cm.save(image > 50, path, name="body")
    return path


def objects(folder):
    return [p for p in sorted((folder / "0" / "image").rglob("*")) if p.is_file() and p.name != "zarr.json"]


def leftovers(folder):
    """What unfinished writes left beside what they were to become."""
    return [p for p in folder.rglob("*") if ".partial" in p.name or ".replaced" in p.name]


def files_of(folder):
    """Every file that readers see, with its content."""
    found = {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {path: data for path, data in found.items() if ".partial-" not in path.as_posix()}


def check_next_write(path):
    """The next write takes up or sweeps what a failed one left."""
    with small_blocks((2, 3, 4)):
        cm.save(image_of(), path, overwrite=True)
    np.testing.assert_array_equal(cm.open(path).values, values_of())
    assert not leftovers(path.parent)


# ------------------------------------------------------------------------------------- layout


def test_layout(saved):
    names = {p.relative_to(saved).as_posix() for p in saved.rglob("zarr.json")}
    nodes = ["", "0", *(f"0/{name}" for name in ("image", "t", "z", "y", "x", "grid"))]
    labels = [f"labels/body/{node}".rstrip("/") for node in nodes]
    wanted = {f"{node}/zarr.json".lstrip("/") for node in (*nodes, "labels", *labels)}
    assert wanted <= names
    assert not leftovers(saved)
    array = zarr.open_array(saved / "0" / "image", mode="r")
    assert array.metadata.dimension_names == ("t", "z", "y", "x")
    assert array.shards is not None and array.dtype == np.int16
    codecs = json.loads((saved / "0/image/zarr.json").read_text())["codecs"][0]["configuration"]["codecs"]
    assert [codec["name"] for codec in codecs][-2:] == ["blosc", "crc32c"]


@pytest.mark.parametrize("shape", [(20, 512, 512, 512), (1, 15, 512, 512), (300, 200), (7,), (3, 1, 1, 1)])
def test_a_shard_is_small_and_whole(shape):
    layout = layout_of(shape)
    assert np.prod(layout.shard) * 4 <= 16 << 20
    assert all(s % i == 0 for s, i in zip(layout.shard, layout.inner, strict=True))
    if len(shape) == 4:
        assert layout.shard[0] == layout.inner[0] == 1


# --------------------------------------------------------------------------------- round trip


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_round_trip(path, dtype):
    image = image_of(dtype)
    with small_blocks((2, 3, 4)):
        written = cm.save(image, path)
    for found in (written, cm.open(path)):
        assert found.dtype == dtype and found.dims == ("t", "z", "y", "x")
        assert isinstance(found.data, da.Array)
        np.testing.assert_array_equal(found.values, values_of(dtype=dtype))
        for name in ("t", "z", "y", "x", "grid"):
            np.testing.assert_array_equal(found.coords[name], image.coords[name])
            assert found.coords[name].attrs.get("units") == image.coords[name].attrs.get("units")
        assert {k: found.attrs[k] for k in image.attrs} == image.attrs
        assert grid_of(found) == grid_of(image)


@pytest.mark.parametrize(
    "on",
    [
        grid(z_mm=UNEVEN),
        grid(time_ms=(0.0,)),
        grid(z_mm=(3.0,), thickness_mm=8.0),
        grid(known=False),
        grid(time_dim="b", time_ms=(0.0, 500.0, 1000.0)),
        grid(time_known=False, time_ms=(0.0, 1.0, 2.0)),
    ],
    ids=["uneven z", "one time", "one slice", "no geometry", "b values", "no times"],
)
def test_round_trip_of_grids(path, on):
    image = image_of(on=on)
    found = cm.save(image, path)
    assert grid_of(found) == on
    np.testing.assert_array_equal(found.values, values_of(on.shape))


def test_round_trip_of_trigger_times(path):
    times = np.arange(15.0).reshape(3, 5) + 0.25
    image = image_of(trigger_time_ms=times)
    found = cm.save(image, path)
    np.testing.assert_array_equal(found.coords["trigger_time_ms"], times)
    assert found.coords["trigger_time_ms"].dims == ("t", "z")
    assert found.coords["trigger_time_ms"].attrs["units"] == "ms"


@pytest.mark.parametrize("crop", [{"t": 1}, {"z": 2}, {"t": slice(1, 3), "x": slice(2, 5)}, {"t": 0, "y": 3}])
def test_round_trip_of_crops(path, crop):
    image = image_of(trigger_time_ms=np.arange(15.0).reshape(3, 5))
    part = image.isel(crop)
    found = cm.save(part, path)
    assert found.dims == ("t", "z", "y", "x")
    np.testing.assert_array_equal(found.values.squeeze(), part.values.squeeze())
    for axis in ("t", "z", "y", "x"):
        np.testing.assert_array_equal(found.coords[axis], np.atleast_1d(part.coords[axis]))
    times = np.asarray(part.coords["trigger_time_ms"])
    np.testing.assert_array_equal(found.coords["trigger_time_ms"].values.squeeze(), times.squeeze())
    assert grid_of(found).to_lps([[0, 0, 0]]).tolist() == grid_of(image).to_lps([[0, 0, 0]]).tolist()


def test_zeros_come_back(path):
    """Chunks of fill value only are not written: they must read as what they were."""
    found = cm.save(image_of() * 0, path)
    assert found.dtype == np.int16 and not found.values.any()


def test_attributes_of_numpy_types_are_saved(path):
    image = image_of().assign_attrs(slope=np.float32(0.5), window=np.array([1.0, 2.0]), count=np.int64(3))
    found = cm.save(image, path)
    assert found.attrs["slope"] == 0.5 and found.attrs["count"] == 3
    assert list(found.attrs["window"]) == [1.0, 2.0]


def test_what_was_done_is_written(saved):
    about = rooms.open_image(saved).about
    assert [record["step"] for record in about["history"]] == ["save", "save"]
    assert about["history"][1]["settings"] == {"name": "body"}
    assert "zarr" in about["history"][0]["versions"] and about["version"]
    np.testing.assert_allclose(about["affine"], grid().affine)


def test_two_writes_have_two_tokens(tmp_path):
    first, second = (cm.save(image_of(), tmp_path / name) for name in ("a.zarr", "b.zarr"))
    assert first.data.name != second.data.name
    assert cm.open(tmp_path / "a.zarr").data.name == first.data.name


# ------------------------------------------------------------------------------- other readers


def test_xarray_opens_it_without_warnings(saved):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_zarr(saved, group="0") as dataset:
            np.testing.assert_array_equal(dataset["image"].values, values_of())
            assert dataset["image"].dims == ("t", "z", "y", "x")
            np.testing.assert_array_equal(dataset["t"], [0.0, 35.5, 71.0])
            assert dataset["z"].attrs["units"] == "mm"
        with xr.open_datatree(saved, engine="zarr") as tree:
            np.testing.assert_array_equal(tree["0"]["image"].values, values_of())
            np.testing.assert_array_equal(tree["labels/body/0"]["image"].values, values_of() > 50)


def test_zarr_opens_it(saved):
    group = zarr.open_group(saved, mode="r")
    np.testing.assert_array_equal(group["0/image"][...], values_of())
    np.testing.assert_array_equal(group["labels/body/0/image"][...], values_of() > 50)


@pytest.mark.parametrize("on", [grid(), grid(known=False), grid(z_mm=UNEVEN)], ids=["mm", "pixel", "uneven"])
def test_ngff_zarr_validates_it(path, on):
    ngff_zarr = pytest.importorskip("ngff_zarr", reason="the test extra is not installed")
    cm.save(image_of(on=on), path)
    cm.save(cm.open(path) > 50, path, name="body")
    for folder, values in ((path, values_of()), (path / "labels" / "body", values_of() > 50)):
        found = ngff_zarr.from_ngff_zarr(str(folder), validate=True, version="0.5")
        image = found.images[0]
        assert list(image.dims) == ["t", "z", "y", "x"]
        np.testing.assert_array_equal(np.asarray(image.data), values)
        assert [image.scale[axis] for axis in "zyx"] == pytest.approx(on.spacing_mm)
        assert [image.translation[axis] for axis in "zyx"] == [0.0, 0.0, 0.0]
        assert image.scale["t"] == pytest.approx(35.5)


def test_label_listing(saved):
    listing = json.loads((saved / "labels" / "zarr.json").read_text())["attributes"]["ome"]
    assert listing == {"version": "0.5", "labels": ["body"]}
    about = json.loads((saved / "labels" / "body" / "zarr.json").read_text())["attributes"]["ome"]
    assert about["image-label"] == {"source": {"image": "../../"}}


# ------------------------------------------------------------------------------ whole or absent


def test_an_existing_store_is_kept(saved):
    before = cm.open(saved).values
    with pytest.raises(StoreError) as refused:
        cm.save(image_of("uint8"), saved)
    assert refused.value.kind == "exists" and "overwrite" in str(refused.value)
    with pytest.raises(StoreError) as refused:
        cm.save(cm.open(saved) > 10, saved, name="body")
    assert refused.value.kind == "exists"
    np.testing.assert_array_equal(cm.open(saved).values, before)
    np.testing.assert_array_equal(cm.open(saved, label="body").values, before > 50)


def test_overwrite_replaces(saved):
    cm.save(image_of("uint8", on=grid(time_ms=(0.0,))), saved, overwrite=True)
    assert cm.open(saved).shape == (1, 5, 6, 7) and cm.open(saved).dtype == np.uint8
    assert rooms.label_names(saved) == []
    assert not leftovers(saved.parent)


def test_overwrite_replaces_a_label_image_only(saved):
    cm.save(cm.open(saved) > 10, saved, name="body", overwrite=True)
    np.testing.assert_array_equal(cm.open(saved, label="body").values, values_of() > 10)
    np.testing.assert_array_equal(cm.open(saved).values, values_of())
    assert not leftovers(saved.parent)


def test_an_image_may_replace_the_store_it_comes_from(saved):
    cm.save(cm.open(saved) + 1, saved, overwrite=True)
    np.testing.assert_array_equal(cm.open(saved).values, values_of() + 1)


def test_a_parent_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError) as refused:
        cm.save(image_of(), tmp_path / "file" / "heart.zarr")
    assert refused.value.kind == "unwritable"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def failing(error):
    def fail(block, block_info=None):
        if block_info and block_info[0]["chunk-location"][0] == 2:
            raise error
        return block

    data = da.from_array(values_of(), chunks=(1, 2, 3, 4)).map_blocks(fail, dtype=np.int16)
    return attach(data, grid())


@pytest.mark.parametrize("error", [RuntimeError("no such luck"), KeyboardInterrupt()], ids=repr)
def test_a_failing_block_leaves_no_store(path, error):
    with small_blocks((2, 3, 4)), cm.config(memory="16 GB", workers=1), pytest.raises(type(error)):
        cm.save(failing(error), path)
    assert not path.exists()
    with pytest.raises(ChunkmedError):
        cm.open(path)
    check_next_write(path)


class OneFailsWhileOneReads:
    """A reader whose second read fails while the first is still under way."""

    shape, chunks, dtype, token = (3, 5, 6, 7), (1, 2, 3, 4), np.dtype(np.int16), "one fails"

    def __init__(self):
        self.calls, self.failed = itertools.count(), threading.Event()

    def read(self, box):
        call = next(self.calls)
        if call == 1:
            self.failed.set()
            raise RuntimeError("no such luck")
        if call == 0:
            self.failed.wait(5)
            time.sleep(0.2)
        return np.ones([stop - start for start, stop in box], np.int16)


def test_a_failing_block_while_others_still_write(path):
    image = attach(view(Source(OneFailsWhileOneReads())), grid())
    with small_blocks((2, 3, 4)), cm.config(memory="16 GB", workers=2), pytest.raises(RuntimeError):
        cm.save(image, path)
    # The other block ends now, after save has given up.
    time.sleep(0.4)
    assert not path.exists()
    check_next_write(path)


def test_a_failed_write_is_done_again_while_others_still_write(path):
    image = attach(view(Source(OneFailsWhileOneReads())), grid())
    with small_blocks((2, 3, 4)), cm.config(memory="16 GB", workers=2):
        with pytest.raises(RuntimeError):
            cm.save(image, path)
        found = cm.save(image, path)
    time.sleep(0.4)
    assert (found.values == 1).all() and (cm.open(path).values == 1).all()
    assert not leftovers(path.parent)


@pytest.mark.parametrize("name", [None, "body"])
def test_a_failing_block_keeps_the_old(saved, name):
    before = files_of(saved)
    with small_blocks((2, 3, 4)), pytest.raises(RuntimeError, match="no such luck"):
        cm.save(failing(RuntimeError("no such luck")), saved, name=name, overwrite=True)
    assert files_of(saved) == before
    np.testing.assert_array_equal(cm.open(saved).values, values_of())
    np.testing.assert_array_equal(cm.open(saved, label="body").values, values_of() > 50)
    check_next_write(saved)


def test_an_unreadable_input_is_not_called_an_unwritable_output(path):
    """An OSError of a block that reads is not about the place that is written to."""
    with small_blocks((2, 3, 4)), pytest.raises(Exception) as failed:
        cm.save(failing(FileNotFoundError(2, "the input is gone")), path)
    assert getattr(failed.value, "kind", "") != "unwritable"
    assert not path.exists()


# ------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("place", [0.02, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_a_flipped_bit_is_an_error(saved, place):
    for victim in objects(saved)[::7]:
        data = bytearray(victim.read_bytes())
        kept = bytes(data)
        data[int(place * (len(data) - 1))] ^= 0b100
        victim.write_bytes(data)
        with pytest.raises(StoreError) as found:
            cm.open(saved).compute()
        assert found.value.kind in DAMAGED and "heart.zarr" in str(found.value)
        victim.write_bytes(kept)
    np.testing.assert_array_equal(cm.open(saved).values, values_of())


@pytest.mark.parametrize("left", [0.0, 0.1, 0.5, 0.95])
def test_a_truncated_shard_is_an_error(saved, left):
    victim = objects(saved)[3]
    data = victim.read_bytes()
    victim.write_bytes(data[: int(left * len(data))])
    with pytest.raises(StoreError) as found:
        cm.open(saved).compute()
    assert found.value.kind in DAMAGED


def test_a_missing_shard_is_an_error(saved):
    """Never fill value: a store that lost a file must not look like a darker image."""
    objects(saved)[3].unlink()
    with pytest.raises(StoreError) as found:
        cm.open(saved).compute()
    assert found.value.kind in DAMAGED


def test_a_flipped_bit_is_an_error_of_every_sink(saved):
    victim = objects(saved)[0]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    image = cm.open(saved)
    for sink in (lambda: ndi.sum(image), lambda: ndi.label(image > 3), lambda: cm.measure(image > 3)):
        with pytest.raises(StoreError) as found:
            sink()
        assert found.value.kind in DAMAGED


@pytest.mark.parametrize("damage", ["no attributes", "no json", "no image", "not json"])
def test_other_folders_are_refused(saved, damage):
    about = json.loads((saved / "zarr.json").read_text())
    if damage == "no attributes":
        del about["attributes"]["chunkmed"]
        (saved / "zarr.json").write_text(json.dumps(about))
    elif damage == "no json":
        (saved / "0" / "zarr.json").unlink()
    elif damage == "no image":
        (saved / "0" / "image" / "zarr.json").unlink()
    else:
        (saved / "zarr.json").write_text("{")
    with pytest.raises(StoreError):
        cm.open(saved)


def test_one_task_owns_whole_shards(path, monkeypatch):
    """Two writers in one shard lose data silently."""
    write, written = rooms.ArrayWriter.write, []

    def spy(self, box, values):
        torn = (*box[:-1], (box[-1][0], box[-1][0] + 1))
        with pytest.raises(StoreError) as refused:
            write(self, torn, values[..., :1])
        assert refused.value.kind == "torn-shard"
        written.append(box)
        return write(self, box, values)

    monkeypatch.setattr(rooms.ArrayWriter, "write", spy)
    data = da.from_array(values_of(), chunks=((1, 2), (2, 3), (1, 5), (3, 3, 1)))
    with small_blocks((2, 3, 4)):
        cm.save(attach(data, grid()), path)
    found = np.zeros(grid().shape, int)
    for box in written:
        found[tuple(slice(start, stop) for start, stop in box)] += 1
    assert (found == 1).all() and len(written) == 3 * 3 * 2 * 2
    np.testing.assert_array_equal(cm.open(path).values, values_of())


# ------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize("name", ["", "../x", "a/b", "..", ".hidden", "a b", "x.partial-1", "a\nb", "/abs"])
def test_names_that_are_no_names(saved, name):
    files = sorted(saved.parent.rglob("*"))
    with pytest.raises(InputError) as refused:
        cm.save(cm.open(saved) > 3, saved, name=name)
    assert refused.value.kind == "bad-name"
    assert sorted(saved.parent.rglob("*")) == files


@pytest.mark.parametrize("name", ["left-ventricle_2", "0", "v1.2", "c"])
def test_names_that_are_names(saved, name):
    found = cm.save(cm.open(saved) > 3, saved, name=name)
    assert found.dtype == np.uint8 and found.name == "labels"
    assert rooms.label_names(saved) == sorted(["body", name])
    assert rooms.verify(saved) == []
    assert np.array_equal(zarr.open_group(saved, mode="r")[f"labels/{name}/0/image"][...], found.values)


@pytest.mark.parametrize(
    "change",
    [
        {"origin_mm": (-10.0, 20.0, 31.0)},
        {"x_mm": tuple(0.6 * i for i in range(7))},
        {"z_mm": UNEVEN},
        {"direction": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))},
        {"frame_key": "other"},
        {"time_ms": (0.0,)},
        {"y_mm": tuple(1.5 * i for i in range(5))},
    ],
    ids=["origin", "spacing", "uneven", "direction", "frame", "times", "shape"],
)
def test_labels_of_another_grid_are_refused(saved, change):
    labels = image_of("uint8", on=grid(**change))
    with pytest.raises(InputError) as refused:
        cm.save(labels, saved, name="other")
    assert refused.value.kind == "other-grid"
    assert rooms.label_names(saved) == ["body"] and not (saved / "labels" / "other").exists()


def test_labels_with_fractions_are_refused(saved):
    with pytest.raises(InputError) as refused:
        cm.save(cm.open(saved) / 2, saved, name="half")
    assert refused.value.kind == "not-labels"


def test_labels_of_a_store_that_is_not_there(path):
    with pytest.raises(StoreError) as refused:
        cm.save(image_of("uint8"), path, name="body")
    assert refused.value.kind == "no-store"
    assert not path.exists()


def test_a_label_that_is_not_there(saved):
    with pytest.raises(StoreError) as refused:
        cm.open(saved, label="bone")
    assert refused.value.kind == "no-label" and "body" in str(refused.value)


def test_open_labels(saved):
    assert cm.open_labels(saved).name == cm.open(saved, label="body").name == "labels"
    found = cm.open_labels(saved, "body", like=cm.open(saved))
    np.testing.assert_array_equal(found.values, values_of() > 50)
    other = image_of(on=grid(origin_mm=(0.0, 0.0, 0.0)))
    with pytest.raises(InputError) as refused:
        cm.open_labels(saved, "body", like=other)
    assert refused.value.kind == "other-grid"


def test_open_labels_refuses_fractions(path):
    cm.save(image_of("float32"), path)
    with pytest.raises(InputError) as refused:
        cm.open_labels(path)
    assert refused.value.kind == "not-labels"


def test_a_half_written_label_is_not_seen(saved):
    (saved / "labels" / "bone.partial-1234").mkdir()
    assert rooms.label_names(saved) == ["body"]
    cm.save(cm.open(saved) > 3, saved, name="bone")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_datatree(saved, engine="zarr") as tree:
            assert set(tree["labels"].children) == {"body", "bone"}


def inodes(folder):
    return {p: p.stat().st_ino for p in objects(folder)}


def test_only_what_changed_is_overwritten(saved):
    image, label = inodes(saved), inodes(saved / "labels" / "body")
    with small_blocks((2, 3, 4)):
        same = cm.save(image_of(), saved, overwrite="changed")
        cm.save(same > 50, saved, name="body", overwrite="changed")
    assert inodes(saved) == image and inodes(saved / "labels" / "body") == label
    assert rooms.verify(saved) == [] and len(rooms.describe(saved)["labels"]) == 1
    with small_blocks((2, 3, 4)):
        cm.save(same > 60, saved, name="body", overwrite="changed")
    assert inodes(saved) == image and not {*inodes(saved / "labels" / "body").values()} & {*label.values()}
    np.testing.assert_array_equal(cm.open_labels(saved).values, values_of() > 60)
    with small_blocks((2, 3, 4)):
        cm.save(image_of() + 1, saved, overwrite="changed")
    np.testing.assert_array_equal(cm.open(saved).values, values_of() + 1)
    assert rooms.label_names(saved) == [] and leftovers(saved.parent) == []


def test_what_is_not_whole_has_changed(saved):
    objects(saved)[0].unlink()
    with small_blocks((2, 3, 4)):
        cm.save(image_of(), saved, overwrite="changed")
    assert rooms.verify(saved) == []
    np.testing.assert_array_equal(cm.open(saved).values, values_of())
