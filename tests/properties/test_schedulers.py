"""Whatever scheduler runs the tasks, and whatever dies meanwhile, the results are the same bits."""

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import cloudpickle
import dask
import numpy as np
import pytest
import scipy.ndimage
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed import store
from chunkmed.coords import attach
from chunkmed.graph.run import observing
from chunkmed.graph.trace import ArrayReader
from chunkmed.graph.views import from_reader
from chunkmed.grid import Grid

SHAPE = (2, 6, 8, 10)
BLOCKS = 16
MEASURES = ["count", "volume_mm3", "mean", "variance", "minimum", "maximum_position", "center_of_mass"]
pytestmark = pytest.mark.timeout(120)


def values_of():
    return np.random.default_rng(6).integers(0, 99, SHAPE).astype(np.int16)


def image_of(data):
    times, *space = (tuple(float(i) for i in range(n)) for n in SHAPE)
    return attach(data, Grid(*space, time_ms=times))


def everything(folder: Path):
    """Save, label and measure; return numbers and all bytes that were written."""
    image = image_of(sourced(values_of(), (1, 3, 4, 5)))
    with small_blocks((3, 4, 5)), cm.config("8 GB", workers=2):
        smooth = ndi.gaussian_filter(image, 0.7)
        labels, count = ndi.label(smooth > 55)
        centred = cm.save(smooth - smooth.mean("t"), folder / "centred.zarr")
        table = cm.measure(labels, centred, MEASURES)
    arrays = {name: table[name].values for name in table.variables if table[name].dtype.kind in "iuf"}
    return {"objects": count.values, "labels": labels.compute().values, **arrays}, bytes_of(folder)


def bytes_of(folder: Path):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    with dask.config.set(scheduler="synchronous"):
        found = everything(tmp_path_factory.mktemp("wanted"))
    smooth = [scipy.ndimage.gaussian_filter(frame, 0.7) for frame in values_of()]
    frames = [scipy.ndimage.label(frame > 55)[0] for frame in smooth]
    np.testing.assert_array_equal(found[0]["labels"], np.stack(frames))
    assert found[0]["objects"].min() > 3
    return found


def check(found, wanted):
    assert found[0].keys() == wanted[0].keys()
    for name, values in wanted[0].items():
        np.testing.assert_array_equal(found[0][name], values, err_msg=name)
        assert found[0][name].dtype == values.dtype
    assert found[1] == wanted[1]


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_local_schedulers(scheduler, wanted, tmp_path):
    with dask.config.set(scheduler=scheduler, num_workers=2):
        check(everything(tmp_path), wanted)


@contextmanager
def cluster_of(workers: int):
    distributed = pytest.importorskip("distributed", reason="the cluster extra is not installed")
    options = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options, host="127.0.0.1") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client():
    with cluster_of(2) as client:
        yield client


def test_a_cluster_of_processes(client, wanted, tmp_path):
    check(everything(tmp_path), wanted)
    assert len(client.run(os.getpid)) == 2


# Workers cannot import this file: its classes travel with the tasks.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Slow(ArrayReader):
    """An array that notes who reads it and takes its time."""

    def __init__(self, array, notes: Path):
        super().__init__(array)
        self.chunks, self.notes = (1, 3, 4, 5), notes

    def read(self, box):
        with (self.notes / str(os.getpid())).open("a") as note:
            note.write(".")
        time.sleep(0.05)
        return super().read(box)


def kill_one(notes: Path, reads: int, killed: list) -> None:
    """Kill the first process that has read so often."""
    while not killed:
        for path in notes.iterdir():
            if path.stat().st_size >= reads:
                killed.append(int(path.name))
                os.kill(killed[0], signal.SIGKILL)
                return
        time.sleep(0.005)


@pytest.mark.parametrize("reads", [1, 5])
def test_a_worker_that_is_killed_in_the_middle_of_a_save(reads, tmp_path):
    with cluster_of(2) as client:
        save_and_kill(reads, client, tmp_path)


def save_and_kill(reads, client, tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    pids = set(client.run(os.getpid).values())
    assert os.getpid() not in pids
    killed: list = []
    killing = threading.Thread(target=kill_one, args=(notes, reads, killed), daemon=True)
    killing.start()
    slow = image_of(from_reader(Slow(values_of(), notes), ((1, 1), (3, 3), (4, 4), (5, 5))))
    with small_blocks((3, 4, 5)), cm.config("8 GB", workers=2):
        cm.save(ndi.gaussian_filter(slow, 0.7), tmp_path / "image.zarr", pyramid=False)
    killing.join(10)
    assert len(killed) == 1 and killed[0] in pids
    frames = [scipy.ndimage.gaussian_filter(frame, 0.7) for frame in values_of()]
    found = cm.open(tmp_path / "image.zarr").compute(scheduler="synchronous").values
    np.testing.assert_array_equal(found, np.stack(frames))
    assert store.verify(tmp_path / "image.zarr") == []
    assert {path.name for path in tmp_path.iterdir()} == {"notes", "image.zarr"}
    assert sum(path.stat().st_size for path in notes.iterdir()) >= 16


class Failing(ArrayReader):
    """An array whose last block cannot be read until the others are done."""

    def __init__(self, array, notes: Path):
        super().__init__(array)
        self.chunks, self.notes = (1, 3, 4, 5), notes

    def read(self, box):
        if [stop for _, stop in box] == list(SHAPE) and not (self.notes / "mended").exists():
            while len(list(self.notes.iterdir())) < BLOCKS - 1:
                time.sleep(0.005)
            time.sleep(0.5)
            raise RuntimeError("the disk is gone")
        (self.notes / "-".join(str(start) for start, _ in box)).touch()
        return super().read(box)


def redone_after_a_failure(folder: Path) -> int:
    """Return how many blocks are done by a save after one that failed at its last block."""
    notes, tasks = folder / "notes", []
    notes.mkdir()
    image = image_of(from_reader(Failing(values_of(), notes), ((1, 1), (3, 3), (4, 4), (5, 5)))) + 1
    observer = Mock(start=lambda name, count, *more: tasks.append(count))
    with small_blocks((3, 4, 5)), cm.config("8 GB", workers=2), observing(observer):
        with pytest.raises(RuntimeError, match="the disk is gone"):
            cm.save(image, folder / "image.zarr", pyramid=False)
        (notes / "mended").touch()
        cm.save(image, folder / "image.zarr", pyramid=False)
    assert tasks[0] == BLOCKS
    np.testing.assert_array_equal(cm.open(folder / "image.zarr").compute(), values_of() + 1)
    return tasks[1]


def test_blocks_that_threads_finished_before_a_failure_are_not_done_again(tmp_path):
    with dask.config.set(scheduler="threads"):
        assert redone_after_a_failure(tmp_path) == 1


def test_blocks_that_a_cluster_finished_before_a_failure_are_not_done_again(client, tmp_path):
    assert redone_after_a_failure(tmp_path) < BLOCKS
