"""Stores on object stores: whole or absent, resumed, raced, and never a fill value from a bad server."""

from __future__ import annotations

import importlib.util
import itertools
import json
import pickle
import random
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from commands import invoked

import chunkmed as cm
from chunkmed import store as rooms
from chunkmed.cli import cli
from chunkmed.errors import InputError, PlanError, StoreError
from chunkmed.graph.scratch import Scratch, scratch_below
from chunkmed.job import run_job
from chunkmed.recipe import load
from chunkmed.store import answers, files
from chunkmed.store.pointer import Pointer
from chunkmed.testing import BeatingEllipsoid, write_study

_SPEC = importlib.util.spec_from_file_location(
    "object_campaigns", Path(__file__).with_name("object_campaigns.py")
)
campaigns = sys.modules.setdefault("object_campaigns", importlib.util.module_from_spec(_SPEC))
_SPEC.loader.exec_module(campaigns)
s3, local = campaigns.s3, campaigns.local

pytest.importorskip("obstore", reason="object stores need chunkmed[s3]")


@pytest.fixture(scope="module")
def proxy():
    with campaigns.faulty() as found:
        yield found


@pytest.fixture
def reached(proxy, monkeypatch):
    """The server, without faults, as an option of everything in a test."""
    monkeypatch.setattr(answers, "_FIRST_DELAY_S", 0.01)
    proxy.start()
    with local.small_shards(), cm.config(storage_options=s3.options(proxy.address, timeout="1s")):
        yield proxy


@pytest.fixture
def url(request):
    return f"s3://{s3.BUCKET}/{request.node.name.replace('[', '-').strip(']')}/image.zarr"


@pytest.fixture
def kept(request):
    """A URL in the memory of this process: the protocol is the same, without the server's time."""
    with local.small_shards():
        yield f"memory://{request.node.name.replace('[', '-').strip(']')}/image.zarr"


def refused(kind, call, error=StoreError):
    with pytest.raises(error) as found:
        call()
    assert found.value.kind == kind, found.value
    return str(found.value)


# ------------------------------------------------------------------------------- the main job


def zarr_store(address, node):
    import obstore
    from zarr.storage import ObjectStore

    config = {key: s3.OPTIONS[key] for key in ("region", "access_key_id", "secret_access_key")}
    config["endpoint"] = address
    found = obstore.store.from_url(str(node), config=config, client_options={"allow_http": True})
    return ObjectStore(found, read_only=True)


def test_the_main_job_from_and_to_urls(proxy, tmp_path):
    heart = BeatingEllipsoid(time_points=2, size=(7, 40, 44), spacing_mm=(14.0, 3.0, 3.0), seed=1)
    write_study(tmp_path / "dicom", heart)
    expected = cm.convert(tmp_path / "dicom", tmp_path / "local.zarr")
    base = f"s3://{s3.BUCKET}/job"
    address = f"http://{proxy.behind}"
    given = [f"--storage-option={key}={value}" for key, value in s3.options(address).items()]

    said = invoked(cli, "convert", tmp_path / "dicom", f"{base}/heart.zarr", *given)
    assert f"wrote      {base}/heart.zarr: 2 t x 7 z x 40 y x 44 x, int16" in said
    assert invoked(cli, "verify", f"{base}/heart.zarr", *given).endswith(
        "heart.zarr: whole; label images: none\n"
    )
    about = json.loads(invoked(cli, "info", f"{base}/heart.zarr", "--json", *given))
    assert about["image"]["levels"][0]["shape"] == [2, 7, 40, 44]
    assert f"zarr group  {about['node']}" in invoked(cli, "info", f"{base}/heart.zarr", *given)
    assert "passes" in invoked(cli, "plan", "threshold-objects", f"{base}/heart.zarr", *given)

    words = ("threshold-objects", f"{base}/heart.zarr")
    touched: list[str] = []
    with files.watch(lambda when, name, place: touched.append(str(place))):
        said = invoked(cli, "run", *words, f"{base}/out", f"--scratch={base}/scratch", *given)
    invoked(cli, "run", words[0], tmp_path / "local.zarr", tmp_path / "out")
    with cm.config(storage_options=s3.options(address)):
        xr.testing.assert_identical(cm.open(f"{base}/heart.zarr").load(), expected.load())
        out = rooms.locate(f"{base}/out")
        names = {path.name for path in (tmp_path / "out").iterdir()}
        assert {*out.entries()[0], *out.entries()[1]} == names >= {"image.zarr", "table.csv", "picture.png"}
        assert (out / "table.csv").read_bytes() == (tmp_path / "out" / "table.csv").read_bytes()
        # There is nothing yet to go on with, then all of it.
        again = [
            run_job(load(words[0]), f"{base}/heart.zarr", f"{base}/again", resume=True) for _ in range(2)
        ]
        assert again[0].table.identical(again[1].table)
        assert all(f"wrote      {base}/out/{name}" in said for name in names)
        assert rooms.verify(out / "image.zarr") == []
        assert not any("values" in key for key in rooms.locate(f"{base}/scratch").sizes())
    assert any("/job/scratch/" in text for text in touched)
    # Another reader takes the prefix that the pointer names.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs = xr.open_zarr(zarr_store(address, about["node"]), group="0", zarr_format=3)
    np.testing.assert_array_equal(theirs.image.values, expected.values)
    np.testing.assert_array_equal(theirs.z.values, expected.z.values)


def test_a_label_image_is_found_by_other_readers(reached, url):
    campaigns.write_flat(url, 1)
    for version in (1, 2):
        cm.save(local.image(version) > 50, url, name="body", overwrite=True, pyramid=False)
    assert np.array_equal(campaigns.read_all(url, "body"), local.expected(2, "body"))
    place = rooms.locate(url)
    assert rooms.verify(place) == [] and campaigns.leftovers(url) == []
    tree = xr.open_datatree(zarr_store(reached.address, rooms.node_of(place)), engine="zarr", zarr_format=3)
    name = rooms.node_of(place, "body").name
    np.testing.assert_array_equal(tree[f"labels/{name}/0"].image.values, local.expected(2, "body"))
    assert [step["settings"] for step in rooms.describe(place)["history"][1:]] == [{"name": "body"}] * 2


# --------------------------------------------------------------------------- whole or absent


@pytest.mark.parametrize("scenario", ["overwrite", "label again"])
def test_a_write_cut_off_anywhere_leaves_the_old_or_the_new(scenario):
    with local.small_shards():
        assert campaigns.cut_campaign(scenario, 29, 7) > 9


def test_resume_after_kill_9(reached, url, monkeypatch):
    process = campaigns.in_process(reached.address, "die", url, 2)
    process.communicate(timeout=120)
    assert process.returncode == -9
    told = refused("uncommitted", lambda: cm.open(url))
    assert "committed.json" in told and url in told
    reads, original = [], local.Reader.read
    monkeypatch.setattr(local.Reader, "read", lambda self, box: reads.append(box) or original(self, box))
    campaigns.write_flat(url, 2)
    # Four blocks, two of them recorded.
    assert len(reads) == 2
    assert np.array_equal(campaigns.read_all(url), local.expected(2, None))
    assert rooms.verify(rooms.locate(url)) == [] and campaigns.leftovers(url) == []


@pytest.mark.parametrize("when", ["while it writes", "before its commit"])
@pytest.mark.parametrize("old", [None, 1])
def test_of_two_writers_one_wins_and_the_other_is_told(kept, old, when):
    if old is not None:
        local.write_image(kept, old)
    calls, came = itertools.count(), []

    def watcher(moment, name, place) -> None:
        at = next(calls) == 60 if when == "while it writes" else (moment, name) == ("before", "put if")
        if at and not came:
            came.append(when)
            local.write_image(kept, 2)

    with files.watch(watcher):
        told = refused("overtaken", lambda: cm.save(local.image(3), kept, overwrite=old is not None))
    assert kept in told and "nothing of this write shows" in told
    assert np.array_equal(campaigns.read_all(kept), local.expected(2, None))
    assert rooms.verify(rooms.locate(kept)) == [] and campaigns.leftovers(kept) == []


def test_two_label_images_at_a_time_are_both_kept(kept):
    local.write_image(kept, 1)
    calls = itertools.count()

    def watcher(when, name, place) -> None:
        if (when, name) == ("before", "put if") and next(calls) == 0:
            cm.save(local.image(1) > 20, kept, name="other")

    with files.watch(watcher):
        local.write_label(kept, 1)
    place = rooms.locate(kept)
    assert rooms.label_names(place) == ["body", "other"]
    assert rooms.verify(place) == []


def test_what_is_there_is_not_replaced_unasked(kept):
    place = rooms.locate(kept)
    (place / "notes.txt").write(b"precious")
    refused("exists", lambda: cm.save(local.image(1), kept))
    refused("not-a-store", lambda: cm.save(local.image(1), kept, overwrite=True))
    refused("not-a-store", lambda: cm.open(kept))
    assert (place / "notes.txt").read_bytes() == b"precious"
    refused("no-store", lambda: cm.open(f"{kept}-none"))
    local.write_image(f"{kept}-b", 1)
    refused("exists", lambda: cm.save(local.image(1), f"{kept}-b"))
    refused("no-label", lambda: cm.open(f"{kept}-b", label="body"))


def test_only_what_changed_is_overwritten(kept):
    place = rooms.locate(kept)
    cm.save(local.image(1), kept)
    cm.save(local.image(1) > 3, kept, name="body")
    pointer = Pointer.read(place)
    cm.save(local.image(1), kept, overwrite="changed")
    cm.save(local.image(1) > 3, kept, name="body", overwrite="changed")
    assert Pointer.read(place) == pointer
    cm.save(local.image(1) > 4, kept, name="body", overwrite="changed")
    now = Pointer.read(place)
    assert now.image == pointer.image and now.labels != pointer.labels
    cm.save(local.image(2), kept, overwrite="changed")
    assert Pointer.read(place).image != pointer.image and rooms.label_names(place) == []
    assert rooms.verify(place) == []


def test_damage_is_named(kept):
    local.write_image(kept, 1)
    place = rooms.locate(kept)
    shard = rooms.node_of(place) / "0/image/c/0/1/0/0"
    raw = shard.read_bytes()
    shard.write(raw[:-5] + bytes([raw[-5] ^ 4]) + raw[-4:])
    assert [damage.key for damage in rooms.verify(place)] == ["0/image/c/0/1/0/0"]
    assert campaigns.read_all(kept) == "damaged-shard"
    shard.remove_object()
    assert "c/0/1/0/0 (missing)" in refused("incomplete", lambda: cm.open(kept))
    assert [damage.why for damage in rooms.verify(place)] == ["missing"]
    (place / "committed.json").write(b"{}")
    refused("damaged-metadata", lambda: cm.open(kept))
    local.write_image(kept, 2)
    assert rooms.verify(place) == [] and campaigns.leftovers(kept) == []


# ------------------------------------------------------------------ servers that answer wrongly


@pytest.fixture(scope="module")
def once(proxy):
    """A store that is only read, and how many requests that takes."""
    url = f"s3://{s3.BUCKET}/once.zarr"
    proxy.start()
    with local.small_shards(), cm.config(storage_options=s3.options(proxy.address)):
        campaigns.write_flat(url, 1)
        proxy.start()
        assert np.array_equal(campaigns.read_all(url), local.expected(1, None))
    return url, len(proxy.requests)


@pytest.fixture
def stored(reached, once):
    return once


@pytest.mark.parametrize("wrong", s3.PASSING)
def test_what_passes_is_asked_again(reached, stored, wrong):
    url, count = stored
    for at in (random.Random(wrong).randrange(count),):
        reached.start(campaigns.once_at(wrong, at))
        assert np.array_equal(campaigns.read_all(url), local.expected(1, None))
        assert len(reached.requests) == count + 1


@pytest.mark.parametrize("wrong", [*s3.PASSING, *s3.FINAL, "short", "flipped"])
def test_what_stays_wrong_is_an_error_and_no_fill_value(reached, stored, wrong):
    url, _ = stored
    kinds = {"403": "no-access", "404": "missing-shard", "short": "damaged-shard", "flipped": "damaged-shard"}
    with cm.config(storage_options=s3.options(reached.address, timeout="0.3s", retries="1")):
        image = cm.open(url).isel(z=slice(0, 1))
    reached.start(lambda number, method, path: wrong if "/image/c/" in path else None)
    told = refused(kinds.get(wrong, "no-answer"), lambda: image.compute(scheduler="synchronous"))
    assert "image/c/0/0" in told
    # At once, or after one retry.
    assert len(reached.requests) == (1 if wrong in kinds else 2)


@pytest.mark.parametrize("wrong", ["lost", "503"])
def test_a_conditional_put_whose_answer_was_lost_is_looked_into(reached, url, wrong):
    campaigns.write_flat(url, 1)
    seen = itertools.count()
    reached.start(
        lambda n, method, path: (
            wrong if method == "PUT" and "committed.json" in path and next(seen) == 0 else None
        )
    )
    campaigns.write_flat(url, 2)
    assert next(seen) == 2
    assert np.array_equal(campaigns.read_all(url), local.expected(2, None))
    assert rooms.verify(rooms.locate(url)) == [] and campaigns.leftovers(url) == []


def test_a_write_that_fails_is_gone_on_with(reached, url):
    shards = itertools.count()
    reached.start(lambda n, method, path: "403" if "/image/c/" in path and next(shards) > 1 else None)
    told = refused("no-access", lambda: campaigns.write_flat(url, 2))
    assert "credentials" in told and s3.OPTIONS["secret_access_key"] not in told
    reached.start()
    campaigns.write_flat(url, 2)
    assert any(".done/" in path and method == "GET" for method, path in reached.requests)
    assert np.array_equal(campaigns.read_all(url), local.expected(2, None))


def test_verify_does_not_take_silence_for_damage(reached, stored):
    url, _ = stored
    reached.start(lambda number, method, path: "403" if "/image/c/" in path else None)
    refused("no-access", lambda: rooms.verify(rooms.locate(url)))


def test_part_of_a_shard_is_read_in_few_requests(reached, stored):
    """Two requests for a corner of a shard (its end, then what it points to), one for all of it."""
    url, _ = stored
    image = cm.open(url)
    for box, requests in (((0, 1, 0, 1, 0, 5, 0, 5), 2), ((0, 1, 0, 2, 0, 20, 0, 20), 1)):
        array, spans = (
            rooms.open_image(rooms.locate(url)).array,
            list(zip(box[::2], box[1::2], strict=True)),
        )
        reached.start()
        found = array.read(spans)
        np.testing.assert_array_equal(found, image.values[tuple(slice(*span) for span in spans)])
        assert sum("/image/c/" in path for _, path in reached.requests[:requests]) == requests


# ---------------------------------------------------------------------------- names and options


def test_secrets_show_nowhere(reached, stored):
    url, _ = stored
    image = cm.open(url)
    array = rooms.open_image(rooms.locate(url)).array
    shown = f"{image!r} {list(image.data.dask)} {array.path!r} {array.path} {array.token}"
    assert s3.OPTIONS["secret_access_key"] not in shown and s3.OPTIONS["access_key_id"] not in shown
    # But workers must reach the store.
    copy = pickle.loads(pickle.dumps(array))
    np.testing.assert_array_equal(copy.read([(0, n) for n in array.shape]), local.expected(1, None))


@pytest.mark.parametrize(
    "given", ["s3:///a.zarr", "ftp://host/a.zarr", "s3://bucket/../a.zarr", Path("s3://b/a")]
)
def test_urls_that_are_not_understood(given):
    refused("bad-url", lambda: cm.open(given), InputError)


def test_options_that_are_not_understood():
    for options in ({"nonsense": "1"}, {"retries": "many"}):
        with cm.config(storage_options=options):
            refused("bad-storage-option", lambda: cm.open("s3://bucket/a.zarr"), InputError)
    assert rooms.storage_options() == {}


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    told = refused("missing-extra", lambda: cm.open("s3://nowhere/a.zarr"), InputError)
    assert 'pip install "chunkmed[s3]"' in told


def test_no_such_bucket(reached):
    refused("no-bucket", lambda: cm.open("s3://absent/a.zarr"))
    refused("no-bucket", lambda: cm.save(local.image(1), "s3://absent/a.zarr"))


# ------------------------------------------------------------------------------------- scratch


def scratch_keys(base: str) -> list[str]:
    return list(rooms.locate(base).sizes())


def test_scratch_of_a_process_that_is_gone_is_taken_up():
    base = "memory://scratch/a"
    with scratch_below(base):
        first = Scratch((4, 8, 8), np.int16, "0123456789abcdef")
        box = ((0, 4), (0, 8), (0, 8))
        first.record(first.writer.write(box, np.ones((4, 8, 8))))
        # A living process keeps its own.
        assert Scratch((4, 8, 8), np.int16, "0123456789abcdef").skip is None
        owner = first.writer.path.parent.with_name(f"{first.writer.path.parent.name}.owner")
        owner.write(json.dumps({**json.loads(owner.read_bytes()), "pid": 2**22 + 1}).encode())
        second = Scratch((4, 8, 8), np.int16, "0123456789abcdef")
        assert second.skip is not None and second.skip(box)
        np.testing.assert_array_equal(second.source().reader.read(box), 1)
        second.succeeded()
        second._sweep()
        assert not any(first.writer.path.parent.name in key for key in scratch_keys(base))


def test_scratch_that_cannot_be_reached_is_said():
    with scratch_below("s3:///a"):
        refused("bad-url", lambda: Scratch((4, 8, 8), np.int16), (PlanError, InputError))
