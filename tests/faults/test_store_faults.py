"""A store is whole or absent: killed, failed, damaged, raced."""

from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chunkmed as cm
from chunkmed import store as rooms
from chunkmed.errors import StoreError
from chunkmed.store import arrays, files, naming
from chunkmed.store.lock import locked

_SPEC = importlib.util.spec_from_file_location("campaigns", Path(__file__).with_name("campaigns.py"))
campaigns = sys.modules.setdefault("campaigns", importlib.util.module_from_spec(_SPEC))
_SPEC.loader.exec_module(campaigns)


#: Label images go the way of images, with less to lose: CHUNKMED_LONG=1 kills them too.
SHORT = not os.environ.get("CHUNKMED_LONG")


@pytest.fixture(autouse=True)
def _small():
    with campaigns.small_shards():
        yield


def campaign(*words: object) -> int:
    """Run a campaign in a small process of its own: forking a large one takes longer than the kill."""
    command = [sys.executable, campaigns.__file__, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


# A kill after an operation leaves on disk what one before the next leaves: the long form does both.
@pytest.mark.parametrize(
    "scenario", ["write", "overwrite", "resume", *([] if SHORT else ["label", "label again"])]
)
def test_kill_at_every_operation(scenario):
    assert campaign("scenario", scenario, *(["before"] if SHORT else [])) > 100


@pytest.mark.parametrize("scenario", ["overwrite", *([] if SHORT else ["label again"])])
def test_kill_where_folders_cannot_be_exchanged(scenario):
    assert campaign("scenario", scenario, "no-exchange", "before", "again") > 100


@pytest.mark.parametrize(
    "scenario", sorted({*campaigns.SCENARIOS} - ({"label", "resume"} if SHORT else set()))
)
def test_every_operation_fails_once(scenario):
    numbers = [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EDQUOT]
    assert campaign("errors", scenario, *numbers) > 100


# 10^4 in all.
@pytest.mark.parametrize("seed", range(8))
def test_damage_is_never_silent(seed):
    found = campaigns.damage_campaign(1250, seed)
    assert found["verify"] + found["unchanged"] == 1250
    assert found["verify"] > 1000


@pytest.mark.parametrize("guarded", [True, False])
def test_the_seal_is_what_finds_a_swapped_shard(tmp_path, monkeypatch, guarded):
    """Where all seals are equal, a swap reads as wrong data: the damage tests can fail."""
    if not guarded:
        monkeypatch.setattr(arrays, "seal", lambda commit, key: bytes(32))
    path = tmp_path / "image.zarr"
    campaigns.write_image(path, 2)
    stored = cm.open(path)
    first, second = (path / "0/image/c/0/0/0/0"), (path / "0/image/c/0/1/0/0")
    a, b = first.read_bytes(), second.read_bytes()
    first.write_bytes(b)
    second.write_bytes(a)
    if guarded:
        with pytest.raises(StoreError, match="another place"):
            stored.compute(scheduler="synchronous")
    else:
        wrong = stored.compute(scheduler="synchronous").values
        assert not np.array_equal(wrong, campaigns.expected(2, None))


def test_a_second_writer_is_refused(tmp_path):
    path = tmp_path / "image.zarr"
    with locked(path), pytest.raises(StoreError) as refused:
        campaigns.write_image(path, 1)
    assert refused.value.kind == "locked"
    campaigns.write_image(path, 1)
    assert not (tmp_path / "image.zarr.lock").exists()


def test_a_second_process_is_refused(tmp_path):
    path, seen = tmp_path / "image.zarr", []
    campaigns.write_image(path, 1)

    def second() -> None:
        try:
            campaigns.write_label(path, 1)
        except StoreError as error:
            os._exit(7 if error.kind == "locked" else 8)

    def watcher(when, name, where) -> None:
        if not seen:
            seen.append(os.WEXITSTATUS(campaigns.in_child(second)))

    with files.watch(watcher):
        # The first operation comes before the lock is taken; look from the second on.
        seen.append(None)
        calls = iter(range(10**6))

        def later(*words) -> None:
            if next(calls) == 20:
                seen[0] = os.WEXITSTATUS(campaigns.in_child(second))

        with files.watch(later):
            campaigns.write_image(path, 2)
    assert seen == [7]
    assert np.array_equal(campaigns.seen(path, None), campaigns.expected(2, None))


def test_a_resumed_write_skips_what_is_done(tmp_path):
    path, reads = tmp_path / "image.zarr", []

    def action() -> None:
        with files.watch(campaigns.killer_after_blocks(1)):
            campaigns.write_image(path, 2)

    assert os.WIFSIGNALED(campaigns.in_child(action))
    original = campaigns.Reader.read
    campaigns.Reader.read = lambda self, box: reads.append(box) or original(self, box)
    try:
        campaigns.write_image(path, 2)
    finally:
        campaigns.Reader.read = original
    # Four blocks, one of them done.
    assert len(reads) == 3
    assert rooms.verify(path) == []


def test_an_uncommitted_or_incomplete_store_is_refused(tmp_path):
    path = tmp_path / "image.zarr"
    campaigns.write_image(path, 1)
    (path / "0/image/c/0/1/0/0").unlink()
    with pytest.raises(StoreError, match="c/0/1/0/0") as refused:
        cm.open(path)
    assert refused.value.kind == "incomplete"
    (path / "manifest.json").unlink()
    with pytest.raises(StoreError) as refused:
        cm.open(path)
    assert refused.value.kind == "uncommitted"


def test_a_shard_that_vanishes_after_opening_raises_in_plain_dask(tmp_path):
    path = tmp_path / "image.zarr"
    campaigns.write_image(path, 1)
    image = cm.open(path)
    (path / "0/image/c/0/1/0/0").unlink()
    for scheduler in ("synchronous", "threads", "processes"):
        with pytest.raises(StoreError) as refused:
            (image.data + 1).sum().compute(scheduler=scheduler)
        assert refused.value.kind == "missing-shard"


def test_power_loss_after_the_ledger(tmp_path):
    """The ledger may know of shards whose bytes never reached the disk: they are written again."""
    path = tmp_path / "image.zarr"

    def action() -> None:
        with files.watch(campaigns.killer_after_blocks(2)):
            campaigns.write_image(path, 2)

    campaigns.in_child(action)
    (draft,) = [p for p in tmp_path.iterdir() if naming.PARTIAL in p.name and p.is_dir()]
    for shard in list(draft.rglob("c/*/*/*/*"))[::2]:
        shard.write_bytes(bytes(len(shard.read_bytes())))
    campaigns.write_image(path, 2)
    assert np.array_equal(campaigns.seen(path, None), campaigns.expected(2, None))
    assert rooms.verify(path) == []
