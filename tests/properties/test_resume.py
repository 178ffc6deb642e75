"""A save that is killed again and again ends with the bytes of one that was not, and redoes nothing.

``CHUNKMED_KILLS`` says how many kills there are at least.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import dask
import numpy as np
import pytest
import scipy.ndimage
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.coords import attach
from chunkmed.graph.run import observing
from chunkmed.grid import Grid
from chunkmed.store import files

KILLS = int(os.environ.get("CHUNKMED_KILLS", "3"))
SHAPE = (2, 6, 9, 12)
SHARD = (3, 4, 5)
SHARDS = 2 * 2 * 3 * 3
LEVEL = 30


def values():
    rng = np.random.default_rng(4)
    return scipy.ndimage.gaussian_filter(rng.normal(size=SHAPE) * 150 + 60, (0, 1, 1, 1)).astype(np.int16)


def write_source(path: Path) -> None:
    times, *space = (tuple(float(i) for i in range(n)) for n in SHAPE)
    cm.save(attach(sourced(values(), (1, *SHARD)), Grid(*space, time_ms=times)), path)


def closed(image):
    return ndi.binary_closing(ndi.gaussian_filter(image, 1.0) > LEVEL)


class Counter:
    """Blocks that were to be done and were done, in all passes."""

    def __init__(self):
        self.todo, self.done = {}, 0

    def start(self, name, tasks, *more):
        self.todo[name.split()[0]] = tasks

    def advance(self, *amounts):
        self.done += 1

    def finish(self):
        pass


def killer(blocks: int):
    """Kill this process when the ledger knows of so many blocks, or just before it does."""
    after, calls = ("after" if blocks % 2 else "before"), iter(range(10**6))

    def watcher(when, name, path):
        if (when, name) == (after, "append") and next(calls) == blocks // 2:
            os.kill(os.getpid(), signal.SIGKILL)

    return watcher


def child(source: str, target: str, scheduler: str, kill_at: str) -> None:
    """Save the chain; say how many blocks there were to do."""
    counter = Counter()
    with ExitStack() as stack:
        stack.enter_context(small_blocks(SHARD))
        stack.enter_context(dask.config.set(scheduler=scheduler))
        stack.enter_context(cm.config("8 GB", workers=2))
        stack.enter_context(observing(counter))
        if int(kill_at) >= 0:
            stack.enter_context(files.watch(killer(int(kill_at))))
        cm.save(closed(cm.open(source)), target, pyramid=False)
    sys.stdout.write(json.dumps([counter.todo, counter.done]))


def run_child(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, __file__, *map(str, words)]
    folders = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": folders, "CHUNKMED_SCRATCH": str(Path(words[1]).parent / "scratch")},
    )


def objects(path: Path) -> dict[str, bytes]:
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def ledger(folder: Path) -> list[str]:
    """Return the lines about blocks that are done, of the store and of what is kept on the way."""
    return [line for path in folder.rglob("*.ledger") for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("resume")
    with small_blocks(SHARD):
        write_source(path / "source.zarr")
    done = run_child(path / "source.zarr", path / "whole.zarr", "synchronous", -1)
    assert done.returncode == 0, done.stderr
    todo, total = json.loads(done.stdout)
    assert todo["writing"] == SHARDS
    assert sum(todo.values()) == total
    whole = objects(path / "whole.zarr")
    wanted = []
    for frame in values():
        mask = scipy.ndimage.gaussian_filter(frame, 1.0) > LEVEL
        wanted.append(scipy.ndimage.binary_closing(mask))
    found = cm.open(path / "whole.zarr").compute(scheduler="synchronous").values
    np.testing.assert_array_equal(found, np.stack(wanted))
    assert 0.1 < found.mean() < 0.9
    return path / "source.zarr", whole, total


def test_killed_again_and_again(stored, tmp_path):
    source, whole, total = stored
    rng, kills, rounds = random.Random(os.environ.get("CHUNKMED_SEED", "7")), 0, 0
    while kills < KILLS:
        target = tmp_path / f"{rounds}.zarr"
        rounds += 1
        finished = 0
        while not target.exists():
            # Other schedulers go on from what the last one left.
            scheduler = rng.choice(["synchronous", "threads"])
            at = rng.randrange(2 * (total - finished)) if kills < KILLS and finished < total else -1
            done = run_child(source, target, scheduler, at)
            before, finished = finished, len(ledger(tmp_path))
            if done.returncode == 0:
                todo, again = json.loads(done.stdout)
                assert sum(todo.values()) == again == total - before
                break
            assert done.returncode == -signal.SIGKILL, done.stderr
            kills += 1
            assert not target.exists()
            assert finished == before + (at + 1) // 2, "a finished block was forgotten or done again"
        assert objects(target) == whole
        left = {path.name for path in tmp_path.iterdir()} - {"scratch"}
        assert left == {f"{i}.zarr" for i in range(rounds)}
        assert ledger(tmp_path) == []


def test_changed_input_is_not_resumed(stored, tmp_path):
    """The negative of the above: a draft of another chain is not taken up."""
    source, whole, _ = stored
    assert run_child(source, tmp_path / "a.zarr", "synchronous", 21).returncode == -signal.SIGKILL
    assert len(ledger(tmp_path)) == 11
    counter = Counter()
    with small_blocks(SHARD), observing(counter), dask.config.set(scheduler="synchronous"):
        cm.save(closed(cm.open(source) + 1), tmp_path / "a.zarr", pyramid=False)
    assert counter.todo["writing"] == SHARDS
    assert objects(tmp_path / "a.zarr") != whole


class Planned(Counter):
    """And the boxes of the blocks."""

    def start(self, name, tasks, plan):
        super().start(name, tasks)
        self.boxes = list(plan.boxes)


def shards_of(box):
    """Return the keys of the shards that a block holds."""
    spans = [
        range(start // size, -(-min(stop, n) // size))
        for (start, stop), size, n in zip(box, (1, *SHARD), SHAPE, strict=True)
    ]
    return {f"0/image/c/{'/'.join(map(str, index))}" for index in itertools.product(*spans)}


def test_resumed_in_larger_blocks(stored, tmp_path):
    """Blocks are whole shards whatever the budget is: what is done counts for any plan."""
    source, whole, total = stored
    assert run_child(source, tmp_path / "a.zarr", "threads", 2 * (total - 6)).returncode == -signal.SIGKILL
    known = {key for line in ledger(tmp_path) for key in json.loads(line.split(" ", 1)[1])}
    assert len(known) == SHARDS - 6
    counter = Planned()
    with (
        small_blocks(SHARD),
        patch("chunkmed.graph.plan.MAX_BLOCK_BYTES", 1 << 20),
        dask.config.set(scheduler="synchronous"),
        cm.config("8 GB", workers=1),
        observing(counter),
    ):
        cm.save(closed(cm.open(source)), tmp_path / "a.zarr", pyramid=False)
    blocks = [shards_of(box) for box in counter.boxes]
    assert sum(map(len, blocks)) == SHARDS
    assert len(blocks) <= SHARDS // 6, "blocks are not larger"
    assert counter.todo["writing"] == sum(not block <= known for block in blocks) < len(blocks)
    assert objects(tmp_path / "a.zarr") == whole


if __name__ == "__main__":
    child(*sys.argv[1:])
