"""A case that is too large for one machine of a cluster has all of them, and is alone there."""

import contextlib
import os
import signal
import threading
import time

import cohort_functions as functions
import numpy as np
import pytest
from small_stores import write_store

import chunkmed as cm
from chunkmed.cohort import tries
from chunkmed.cohort.gathering import outcomes
from chunkmed.cohort.outcomes import case_folder
from chunkmed.testing import BeatingEllipsoid, write_study

distributed = pytest.importorskip("distributed")


@pytest.fixture
def small_workers(monkeypatch):
    """Two workers that are too small for images of more than a few thousand voxels."""
    monkeypatch.setattr(tries, "_COPIES", 10**6)
    with cm.connect("processes", workers=2, memory="5 GB") as cluster:
        yield cluster


def test_it_has_all_workers_and_is_alone(small_workers, tmp_path):
    for number, name in enumerate(["a", "big", "c", "large"]):
        write_store(
            tmp_path / "in" / f"{name}.zarr", number, shape=(1, 2, 40, 40) if number % 2 else (1, 2, 4, 4)
        )
    out = tmp_path / "out"
    cohort = cm.cohort.plan(tmp_path / "in", out, recipe=functions.everywhere, memory="2 GB", workers=2)
    assert cohort.run(small_workers).done == 4
    table = cm.cohort.table(out).to_pandas().set_index("case_id")
    large, small = table.loc[["big", "large"]], table.loc[["a", "c"]]
    assert list(large["in_workers"]) == [2, 2] and not large["itself"].any()
    assert list(small["in_workers"]) == [0, 0] and small["itself"].all()
    for name, row in large.iterrows():
        others = table.drop(index=name)
        assert ((others["end_s"] < row["start_s"]) | (others["start_s"] > row["end_s"])).all()
    kept = {outcome.case_id: outcome for outcome in outcomes(out)}
    assert kept["big"].workers == 2 and kept["a"].workers == 1
    # Half of what tasks may take of one of them.
    assert kept["big"].memory_bytes == kept["a"].memory_bytes // 2


@pytest.mark.parametrize("which", ["where the case is", "another"])
def test_a_worker_that_is_lost_changes_nothing(which, small_workers, tmp_path):
    """The recipe's passes are blocks on all workers: the same objects as on one machine."""
    heart = BeatingEllipsoid(time_points=3, size=(8, 54, 66), spacing_mm=(12.0, 2.6, 2.6), seed=3)
    write_study(tmp_path / "in" / "heart", heart)
    settings = {"recipe": "threshold-objects", "parameters": {"above": 165}, "memory": "2 GB", "workers": 2}
    here = cm.cohort.plan(tmp_path / "in", tmp_path / "here", **settings)
    assert here.run().done == 1
    there = cm.cohort.plan(tmp_path / "in", tmp_path / "there", **settings)
    ended = threading.Thread(target=end_one, args=(small_workers.client, which))
    ended.start()
    assert there.run(small_workers, retries=3).done == 1
    ended.join()
    (outcome,) = outcomes(tmp_path / "there")
    assert outcome.workers >= 1 and outcome.kind == ""
    tables = [cm.cohort.table(tmp_path / name) for name in ("here", "there")]
    assert tables[0].equals(tables[1])
    labels = [
        cm.open_labels(case_folder(tmp_path / name, outcome.case) / "image.zarr", "objects").values
        for name in ("here", "there")
    ]
    np.testing.assert_array_equal(*labels)


def end_one(client, which):
    """Kill a worker of a client a moment after the case has begun; its nanny starts another."""
    pids = client.run(os.getpid)
    end, busy = time.monotonic() + 30, set()
    while time.monotonic() < end and not busy:
        time.sleep(0.05)
        busy = {address for address, keys in client.processing().items() if keys}
    # Its process joins the cluster within a second.
    time.sleep(1.0)
    chosen = busy if which == "where the case is" else set(pids) - busy
    with contextlib.suppress(ProcessLookupError):
        os.kill(pids[chosen.pop()], signal.SIGKILL)


def test_its_process_joins_with_the_certificate_of_its_worker(monkeypatch, tmp_path):
    """As on batch systems, whose schedulers accept nobody else."""
    monkeypatch.setattr(tries, "_COPIES", 10**6)
    write_store(tmp_path / "in" / "big.zarr", 1, shape=(1, 2, 40, 40))
    cohort = cm.cohort.plan(
        tmp_path / "in", tmp_path / "out", recipe=functions.everywhere, memory="2 GB", workers=2
    )
    security = distributed.Security.temporary()
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            memory_limit="2.5 GB",
            dashboard_address=None,
            protocol="tls://",
            security=security,
        ) as cluster,
        distributed.Client(cluster, security=security) as client,
    ):
        assert cohort.run(client).done == 1
    (row,) = cm.cohort.table(tmp_path / "out").to_pylist()
    assert row["in_workers"] == 2 and not row["itself"]
