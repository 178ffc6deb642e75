"""Clusters that are no batch system: of this machine, and at an address."""

import os
import signal
import sys
from pathlib import Path
from subprocess import run

import cloudpickle
import dask
import pytest
from services import slow
from services.dask_processes import WITHOUT, kill, listening, pages, scheduler, worker

import chunkmed as cm
from chunkmed.cli import main
from chunkmed.cluster.certificates import certificates
from chunkmed.errors import InputError, PlanError, SourceError
from chunkmed.graph.scratch import scratch_folder

# Workers cannot import this file.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
pytestmark = pytest.mark.timeout(180)
LOOPBACK = "0100007F"


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    store = tmp_path_factory.mktemp("wanted") / "image.zarr"
    with dask.config.set(scheduler="threads"):
        slow.save(store)
    return slow.bytes_of(store)


@pytest.fixture
def notes(tmp_path):
    (tmp_path / "notes").mkdir()
    return tmp_path / "notes"


def test_a_worker_of_this_machine_is_killed_in_the_middle(wanted, notes, tmp_path):
    with cm.connect("processes", workers=2, memory="2 GB", writes=[tmp_path]) as cluster:
        assert (cluster.budget.memory, cluster.budget.workers) == (600_000_000, 2)
        pids = cluster.client.run(os.getpid).values()
        for pid in (*pids, os.getpid()):
            assert listening(pid) == {LOOPBACK}
        about = cluster.client.scheduler_info()
        for server in (about, *about["workers"].values()):
            assert pages(server["services"]["dashboard"]) == []
        with slow.once_read(notes, 2, lambda pid: os.kill(pid, signal.SIGKILL)) as killed:
            slow.save(tmp_path / "image.zarr", notes, seconds=0.1)
        assert killed[0] in pids
    assert slow.bytes_of(tmp_path / "image.zarr") == wanted
    assert not list(tmp_path.glob(".chunkmed-*"))


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Give two folders of certificates: ours, and those of somebody else."""
    folders = [tmp_path_factory.mktemp(name) for name in ("ours", "theirs")]
    for folder in folders:
        with certificates(folder) as security:
            for name in ("ca_file", "client_cert", "client_key"):
                path = Path(getattr(security, f"tls_{name}"))
                (folder / path.name).write_bytes(path.read_bytes())
    return folders


@pytest.fixture(scope="module")
def served(tls, tmp_path_factory):
    """Give a scheduler that wants certificates: process, address, folder of the logs."""
    folder = tmp_path_factory.mktemp("served")
    with scheduler(folder, tls[0]) as (started, address):
        yield started, address, folder


def test_whoever_has_no_certificate_is_not_let_in(served, tls):
    _, address, _ = served
    with pytest.raises(PlanError) as error:
        cm.connect(address, tls=tls[1], timeout_s=3)
    assert error.value.kind == "no-scheduler"
    with pytest.raises(PlanError) as error:
        cm.connect(address.replace("tls", "tcp"), timeout_s=3)
    assert error.value.kind == "no-scheduler"
    with pytest.raises(PlanError) as error:
        cm.connect(address, tls=tls[0], timeout_s=0.5)
    assert error.value.kind == "no-workers"


def hidden(folder: Path) -> tuple[str, ...]:
    """Return what makes a command see something else in a folder, as on another machine."""
    code = f'mount -t tmpfs none "{folder}" && exec "$@"'
    if run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here: needs root")
    return ("unshare", "-m", "sh", "-c", code, "sh")


def test_workers_that_do_not_see_the_files_are_refused(served, tls, tmp_path):
    _, address, folder = served
    for name in ("input", "scratch", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "input" / "file").write_text("something")
    with worker(address, folder, "apart", tls[0], before=hidden(tmp_path)):
        for settings, kind in (
            ({"see": [tmp_path / "input"]}, "unseen-input"),
            ({"see": [tmp_path / "input" / "file"]}, "unseen-input"),
            ({"writes": [tmp_path / "out" / "new.zarr"]}, "unseen-folder"),
            ({"scratch": tmp_path / "scratch"}, "unseen-folder"),
        ):
            with pytest.raises(PlanError) as error:
                cm.connect(address, tls=tls[0], **settings)
            assert (error.value.kind == kind and "apart" in str(error.value)) or "tls://" in str(error.value)
        with pytest.raises(SourceError):
            cm.connect(address, tls=tls[0], see=[tmp_path / "nothing"])
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["file"]


def test_a_worker_without_chunkmed_is_refused(served, tls):
    _, address, folder = served
    with worker(address, folder, "bare", tls[0], code=WITHOUT), pytest.raises(PlanError) as error:
        cm.connect(address, tls=tls[0])
    assert error.value.kind == "worker-without-chunkmed"


def test_a_scheduler_that_is_killed_loses_nothing(served, tls, wanted, notes, tmp_path):
    started, address, folder = served
    with worker(address, folder, "seeing", tls[0]) as seeing:
        with pytest.raises(PlanError) as error, cm.connect(address, tls=tls[0], writes=[tmp_path]) as cluster:
            # One that comes later and does not see the folder leaves by itself.
            with worker(address, folder, "late", tls[0], before=hidden(tmp_path)) as late:
                assert late.wait(30) is not None
            fails_quietly(cluster, tmp_path / "MARKER", folder / "seeing.log")
            with slow.once_read(notes, 8, lambda _: kill(started)):
                slow.save(tmp_path / "image.zarr", notes, seconds=0.3)
        assert error.value.kind == "scheduler-lost" and "goes on from there" in str(error.value)
        # Nobody has to end its workers.
        assert seeing.wait(60) is not None
    done = sum(path.stat().st_size for path in notes.iterdir())
    assert not (tmp_path / "image.zarr").exists()
    with dask.config.set(scheduler="synchronous"):
        slow.save(tmp_path / "image.zarr", notes)
    assert slow.bytes_of(tmp_path / "image.zarr") == wanted
    # One read a block: those that were done are not read again.
    assert sum(path.stat().st_size for path in notes.iterdir()) - done < slow.BLOCKS


def fails_quietly(cluster, path, log):
    """A call that fails shows its arguments to its caller, not to whoever reads logs and keys."""
    future = cluster.submit(divided, path)
    assert future.key.startswith("chunkmed-call-")
    with pytest.raises(ZeroDivisionError):
        future.result(timeout=30)
    text = log.read_text()
    assert "ZeroDivisionError" in text and "MARKER" not in text


def divided(path):
    return 1 / 0


@pytest.mark.parametrize(
    ("where", "settings", "kind"),
    [
        ("tcp://10.0.0.7:8786", {}, "insecure-address"),
        ("tcp://localhost.example:8786", {}, "insecure-address"),
        ("tcp://0.0.0.0:8786", {}, "insecure-address"),
        ("tcp://127.0.0.1", {}, "bad-address"),
        ("http://127.0.0.1:80", {}, "bad-address"),
        ("tcp://127.0.0.1:99999", {}, "bad-address"),
        ("tls://10.0.0.7:8786", {}, "no-certificates"),
        ("tls://10.0.0.7:8786", {"tls": "nowhere"}, "no-certificates"),
        ("tcp://127.0.0.1:1", {"tls": "nowhere"}, "bad-address"),
        ("slrum", {}, "bad-cluster"),
        ("processes", {"jobs": 2}, "bad-cluster"),
        ("slurm", {"jobs": 0}, "bad-cluster"),
        ("slurm", {"config": "nowhere.toml"}, "bad-cluster-config"),
    ],
)
def test_what_cannot_be_meant_is_refused(where, settings, kind):
    with pytest.raises(InputError) as error:
        cm.connect(where, **settings)
    assert error.value.kind == kind


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("quue = 'debug'", "did you mean 'queue'"),
        ("cores = '2'", "whole number"),
        ("cores = true", "whole number"),
        ("cores = 0", "whole number"),
        ("job_extra_directives = [1]", "list of texts"),
        ("tls = 1", "true or false"),
        ("= 3", "cannot be read"),
        ("resource_spec = 'x'", "unknown option"),
        ("cores = 1", "memory of a job"),
    ],
)
def test_options_of_jobs_are_checked(text, why, tmp_path):
    (tmp_path / "slurm.toml").write_text(text)
    with pytest.raises(InputError, match=why) as error:
        cm.connect("slurm", config=tmp_path / "slurm.toml")
    assert error.value.kind == "bad-cluster-config"


def test_a_machine_without_a_batch_system_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "slurm.toml").write_text("cores = 1\nmemory = '1 GB'")
    with pytest.raises(PlanError, match="no command sbatch"):
        cm.connect("slurm", config=tmp_path / "slurm.toml")


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"chunkmed\[cluster\]") as error:
        cm.connect("threads")
    assert (error.value.kind, error.value.exit_code) == ("missing-extra", 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--jobs 2", "--jobs without a cluster"),
        ("--insecure", "--insecure without a cluster"),
        ("--scheduler tcp://127.0.0.1:1 --cluster slurm", "give one of them"),
        ("--scheduler tcp://10.0.0.7:8786", "accept it with --insecure"),
        ("--cluster slrum", "there is no cluster 'slrum'"),
    ],
)
def test_options_of_the_command_line(options, said, capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["run", "threshold-objects", str(tmp_path), str(tmp_path / "out"), *options.split()])
    assert ended.value.code == 2
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("chunkmed: ") and all(line.startswith("  ") for line in rest)
    assert said in " ".join([first, *rest])
    assert not (tmp_path / "out").exists()


def test_scratch_lies_where_it_is_told(tmp_path):
    with cm.connect("threads", workers=1, scratch=tmp_path / "here"):
        assert scratch_folder().parent == tmp_path / "here"
    assert scratch_folder().parent != tmp_path / "here"
