"""chunkmed on a real Slurm: jobs are cancelled, killed for their memory, and lost with their client."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cloudpickle
import dask
import pytest
from services import slow
from services.slurm import call, jobs

import chunkmed as cm
from chunkmed.cluster import dead_jobs
from chunkmed.errors import InputError, PlanError

cloudpickle.register_pickle_by_value(sys.modules[__name__])
pytestmark = pytest.mark.timeout(180)
JOB_BYTES = 700 * 10**6


@pytest.fixture(scope="module")
def configuration(slurm):
    path = slurm / "slurm.toml"
    path.write_text(
        f"""
        queue = "debug"
        cores = 1
        processes = 1
        memory = "{JOB_BYTES} B"
        walltime = "00:10:00"
        interface = "lo"
        log_directory = "{slurm}/jobs"
        local_directory = "{slurm}/local"
        shared_temp_directory = "{slurm}"
        """
    )
    return path


@pytest.fixture(scope="module")
def cluster(configuration):
    # A lost job is replaced at once.
    soon = dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"})
    with soon, cm.connect("slurm", config=configuration, jobs=2) as cluster:
        yield cluster
    assert wait(lambda: not jobs()), "jobs are left"
    assert not list(configuration.parent.glob("tls-*"))


def wait(reached, seconds=60.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := reached():
            return found
        time.sleep(0.1)
    return None


def test_plans_are_for_the_jobs_that_were_asked_for(cluster):
    assert cluster.budget.memory == pytest.approx(0.6 * JOB_BYTES, rel=0.01)
    assert (cluster.budget.workers, cluster.budget.processes) == (2, 2)
    assert cluster.client.scheduler.address.startswith("tls://127.0.0.1:")


def test_a_job_that_is_cancelled_in_the_middle_of_a_save(cluster, tmp_path):
    with dask.config.set(scheduler="threads"):
        slow.save(tmp_path / "wanted.zarr")
    notes = tmp_path / "notes"
    notes.mkdir()
    assert wait(lambda: len(cluster.client.scheduler_info(n_workers=-1)["workers"]) == 2)
    before = set(jobs())
    job_of = dict(cluster.client.run(job_and_process).values())

    def cancel(pid):
        call("scancel", "--signal=KILL", "--full", job_of[pid])

    with slow.once_read(notes, 2, cancel) as cancelled:
        slow.save(tmp_path / "found.zarr", notes, seconds=0.2)
    assert slow.bytes_of(tmp_path / "found.zarr") == slow.bytes_of(tmp_path / "wanted.zarr")
    assert cancelled[0] in job_of
    assert sum(path.stat().st_size for path in notes.iterdir()) > slow.BLOCKS
    assert wait(lambda: set(jobs("RUNNING")) - before), "the job is not replaced"


def job_and_process():
    import os

    return os.getpid(), os.environ["SLURM_JOB_ID"]


def test_a_task_that_takes_more_memory_than_its_job_is_named(cluster, tmp_path):
    before = cluster.client.run_on_scheduler(give_up_after, failures=0)
    with slow.small_blocks((3, 4, 5)), pytest.raises(PlanError) as error:
        cm.save(slow.image_of(slow.Greedy(slow.values_of())) + 1, tmp_path / "image.zarr", pyramid=False)
    assert error.value.kind == "worker-killed"
    assert "memory limit" in str(error.value) and "is kept" in str(error.value)
    assert not (tmp_path / "image.zarr").exists()
    # The cluster is there for what comes next; a worker of the other task may still be on its way out.
    cluster.client.run_on_scheduler(give_up_after, failures=before)
    assert cluster.submit(sum, [1, 2]).result(timeout=60) == 3


def give_up_after(dask_scheduler, failures):
    before, dask_scheduler.allowed_failures = dask_scheduler.allowed_failures, failures
    return before


def test_a_job_that_ends_before_its_worker_comes_is_replaced(configuration, tmp_path, monkeypatch):
    monkeypatch.setattr(dead_jobs, "_LOOK_EVERY_S", 1.0)
    broken = tmp_path / "broken.toml"
    # The first job that gets there ends at once, as on a node whose disk is full.
    prologue = f"mkdir {tmp_path}/first 2>/dev/null && exit 1"
    before = set(jobs())
    broken.write_text(configuration.read_text() + f'job_script_prologue = ["{prologue}"]\n')
    with cm.connect("slurm", config=broken, jobs=1, timeout_s=90) as cluster:
        assert (tmp_path / "first").exists()
        assert cluster.client.submit(int, 7).result(timeout=30) == 7
        own = set(jobs()) - before
    assert wait(lambda: not own & set(jobs())), "jobs are left"


def test_what_slurm_refuses_is_said(configuration, tmp_path):
    path = tmp_path / "slurm.toml"
    path.write_text(configuration.read_text().replace('"debug"', '"nowhere"'))
    with pytest.raises(PlanError, match="nvalid partition") as error:
        cm.connect("slurm", config=path)
    assert error.value.kind == "job-refused"


def test_a_client_that_is_killed_leaves_no_job_and_loses_nothing(long_form, configuration, tmp_path):
    before = set(jobs())
    notes = tmp_path / "notes"
    notes.mkdir()
    code = f"""
import chunkmed as cm
from pathlib import Path
from services import slow
with cm.connect("slurm", config={str(configuration)!r}, jobs=1):
    slow.save(Path({str(tmp_path / "image.zarr")!r}), Path({str(notes)!r}), seconds=0.5)
"""
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests.parent), str(tests), *sys.path])
    client = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path})
    with slow.once_read(notes, 6, lambda _: client.send_signal(signal.SIGKILL)):
        assert client.wait(120) == -signal.SIGKILL
    assert wait(lambda: set(jobs()) <= before, 90), "its job is left"
    done = sum(path.stat().st_size for path in notes.iterdir())
    with dask.config.set(scheduler="threads"):
        slow.save(tmp_path / "image.zarr", notes)
        slow.save(tmp_path / "wanted.zarr")
    assert sum(path.stat().st_size for path in notes.iterdir()) < done + 2 * slow.BLOCKS
    assert slow.bytes_of(tmp_path / "image.zarr") == slow.bytes_of(tmp_path / "wanted.zarr")


def test_workers_that_reach_their_wall_time_hand_over(long_form, configuration, tmp_path):
    path = tmp_path / "slurm.toml"
    path.write_text(configuration.read_text() + "\nlifetime_s = 25\n")
    notes = tmp_path / "notes"
    notes.mkdir()
    stores = [tmp_path / f"found-{number}.zarr" for number in range(5)]
    soon = dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"})
    with soon, cm.connect("slurm", config=path, jobs=2):
        for store in stores:
            slow.save(store, notes, seconds=1.0)
    assert len(list(notes.iterdir())) > 2
    with dask.config.set(scheduler="threads"):
        slow.save(tmp_path / "wanted.zarr")
    assert all(slow.bytes_of(store) == slow.bytes_of(tmp_path / "wanted.zarr") for store in stores)


def test_unencrypted_jobs_are_refused(configuration, tmp_path):
    path = tmp_path / "slurm.toml"
    path.write_text(configuration.read_text() + "\ntls = false\n")
    with pytest.raises(InputError) as error:
        cm.connect("slurm", config=path)
    assert error.value.kind == "insecure-address"
