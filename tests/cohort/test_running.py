"""Cases run apart from one another; what is done stays done; what fails has a name."""

import csv
import functools
import json
import shutil
import time
from concurrent.futures import Future
from pathlib import Path

import cohort_functions as functions
import pytest
import xarray as xr
from small_stores import write_store

import chunkmed as cm
from chunkmed import store
from chunkmed.cohort import tries
from chunkmed.cohort.gathering import outcomes
from chunkmed.cohort.outcomes import case_folder
from chunkmed.errors import InputError, StoreError

MEMORY = "1.4 GB"


def planned(root: Path, out: Path, recipe=functions.value, **more):
    return cm.cohort.plan(root, out, recipe=recipe, **({"memory": MEMORY, "workers": 2} | more))


def named(out: Path) -> dict[str, object]:
    return {outcome.case_id: outcome for outcome in outcomes(out)}


def starts(out: Path) -> int:
    """Return how many cases were started, whatever the plan was."""
    return sum(path.read_text().count("\tstart\t") for path in (out / "ledger").iterdir())


def copied(stores: Path, to: Path, count: int) -> Path:
    for number in range(count):
        shutil.copytree(stores / f"c{number:02d}.zarr", to / f"c{number:02d}.zarr")
    return to


def test_a_function_over_all_cases(stores, tmp_path):
    cohort = planned(stores, tmp_path / "out", where="n_slices == 2 and modality == 'CT'")
    assert str(cohort.status()) == "12 cases: 0 done, 0 failed, 0 under way, 12 waiting"
    done = cohort.run()
    assert (done.total, done.done, done.failed, done.starts, done.is_over) == (12, 12, 0, 12, True)

    table = cm.cohort.table(tmp_path / "out").to_pydict()
    assert table["case_id"] == [f"c{number:02d}" for number in range(12)]
    assert table["first_value"] == list(range(12))
    # Nothing is done twice, and nothing that was begun is left.
    assert cohort.resume().starts == 12
    assert not [path.name for path in (tmp_path / "out" / "cases").glob("*/.*")]
    assert {path.name for path in case_folder(tmp_path / "out", table["case"][0]).iterdir()} == {
        "record.json", "log.txt", "table.csv", "table.parquet", "provenance.json",
    }  # fmt: skip
    # Where cases come from is for the user's eyes only.
    private = tmp_path / "out" / "sources.private.parquet"
    assert private.stat().st_mode & 0o077 == 0
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file() and path != private:
            assert str(stores).encode() not in path.read_bytes(), path


def test_odd_functions(stores, tmp_path):
    out = tmp_path / "out"
    planned(copied(stores, tmp_path / "in", 7), out, functions.odd).run(retries=0)
    kinds = {case: outcome.kind for case, outcome in named(out).items()}
    assert kinds == {
        "c00": "", "c01": "bad-result", "c02": "unexpected", "c03": "out-of-memory",
        "c04": "exited", "c05": "unexpected", "c06": "",
    }  # fmt: skip
    assert named(out)["c02"].message == "RuntimeError: does not work today"
    log = (case_folder(out, named(out)["c02"].case) / "log.txt").read_text()
    assert "case of value 2" in log and "Traceback" in log
    assert cm.cohort.status(out).failures == {
        "unexpected": 2, "bad-result": 1, "exited": 1, "out-of-memory": 1,
    }  # fmt: skip


def test_too_little_memory_is_tried_again_with_twice_as_much(stores, tmp_path):
    out = tmp_path / "out"
    status = planned(copied(stores, tmp_path / "in", 4), out, functions.greedy).run()
    assert (status.done, status.failed) == (4, 0)
    found = named(out)["c03"]
    assert (found.attempts, found.workers, found.memory_bytes) == (2, 2, 1_400_000_000)
    assert found.peak_bytes > 800 << 20 > named(out)["c02"].peak_bytes


def test_a_crash_may_pass(stores, tmp_path):
    out = tmp_path / "out"
    once = functools.partial(functions.once, marks=str(tmp_path))
    status = planned(copied(stores, tmp_path / "in", 3), out, once).run()
    assert (status.done, status.failed, status.starts) == (3, 0, 4)
    assert named(out)["c02"].attempts == 2


def test_what_a_case_started_ends_with_it(stores, tmp_path):
    out = tmp_path / "out"
    function = functools.partial(functions.left_behind, marks=str(tmp_path))
    status = planned(copied(stores, tmp_path / "in", 1), out, function, timeout_s=2).run(retries=0)
    assert status.failures == {"timeout": 1}
    pid = int((tmp_path / "0.pid").read_text())
    # Whoever inherits it may take a moment to take note.
    for _ in range(100):
        if not is_running(pid):
            break
        time.sleep(0.05)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_large_case_runs_alone_with_all_workers(stores, tmp_path, monkeypatch):
    out = tmp_path / "out"
    cohort = planned(copied(stores, tmp_path / "in", 6), out, functions.timed)
    # 64 bytes as if they were half a gigabyte; one of the others as if it had none.
    monkeypatch.setattr(tries, "_COPIES", 1 << 24)
    from chunkmed.cohort import running

    read = running.read_specs

    def specs(folder):
        from dataclasses import replace

        for spec in read(folder):
            yield spec if spec.case_id == "c04" else replace(spec, image_bytes=0)

    monkeypatch.setattr(running, "read_specs", specs)
    cohort.run()
    found = named(out)
    assert {case: outcome.workers for case, outcome in found.items()} == {
        "c00": 1, "c01": 1, "c02": 1, "c03": 1, "c04": 2, "c05": 1,
    }  # fmt: skip
    rows = {row["case_id"]: row for row in cm.cohort.table(out).to_pylist()}
    large = rows.pop("c04")
    assert all(row["start_s"] >= large["end_s"] or row["end_s"] <= large["start_s"] for row in rows.values())


def test_a_function_of_no_module_is_never_on_disk(stores, tmp_path):
    out, factor = tmp_path / "out", 3

    def scaled(image):
        return xr.Dataset({"scaled": factor * functions.first(image)})

    cohort = planned(copied(stores, tmp_path / "in", 2), out, scaled)
    with pytest.raises(InputError, match="cannot be imported"):
        cm.cohort.open(out).run()
    assert cm.cohort.open(out, scaled).run().done == 2
    assert cm.cohort.table(out)["scaled"].to_pylist() == [0, 3]
    with pytest.raises(InputError, match="another function"):
        cm.cohort.open(out, functions.value)
    assert cohort.run().starts == 2
    factor = 4  # what a function holds on to is part of it
    with pytest.raises(InputError, match="another function"):
        cm.cohort.open(out, scaled)
    assert b"cloudpickle" not in b"".join(p.read_bytes() for p in out.rglob("*") if p.is_file())


def test_planned_again(stores, tmp_path):
    """What did not change is kept; what changed is done again; what changed unseen is refused."""
    root, out = copied(stores, tmp_path / "in", 3), tmp_path / "out"
    planned(root, out).run()
    planned(root, out).run()
    assert starts(out) == 3
    shutil.rmtree(root / "c01.zarr")
    shutil.copytree(stores / "c07.zarr", root / "c01.zarr")
    cm.cohort.open(out).run()
    assert starts(out) == 3  # as it was planned, it is done
    assert planned(root, out).run().done == 3
    assert starts(out) == 4
    assert cm.cohort.table(out)["first_value"].to_pylist() == [0, 7, 2]

    cohort = planned(root, out, functions.timed)
    assert cohort.status().waiting == 3
    shutil.rmtree(root / "c01.zarr")
    shutil.copytree(stores / "c08.zarr", root / "c01.zarr")
    cohort.run()
    assert {case: outcome.kind for case, outcome in named(out).items()}["c01"] == "input-changed"


def test_results_of_the_plan_before_the_last_are_gone(stores, tmp_path):
    """A folder holds the last results: what the ledger says of earlier ones does not count."""
    root, out = copied(stores, tmp_path / "in", 2), tmp_path / "out"
    assert planned(root, out).run().done == 2
    assert planned(root, out, functions.timed).run().done == 2
    cohort = planned(root, out)
    assert (cohort.status().done, cohort.status().waiting) == (0, 2)
    assert cohort.run().done == 2 and cohort.table()["first_value"].to_pylist() == [0, 1]


def test_lost_results_are_made_again(stores, tmp_path):
    out = tmp_path / "out"
    cohort = planned(copied(stores, tmp_path / "in", 2), out)
    cohort.run()
    before = cohort.table()
    # The ledger's word against the folders': an end that was not written, and a folder that is gone.
    ledger = next((out / "ledger").glob("*.tsv"))
    ledger.write_text("".join(line + "\n" for line in ledger.read_text().splitlines() if "done" not in line))
    assert cohort.status().done == 0
    shutil.rmtree(case_folder(out, before["case"][1].as_py()))
    assert cohort.run().done == 2
    assert cohort.status().starts == 3
    assert cohort.table().equals(before)


def test_one_process_runs_a_cohort(stores, tmp_path):
    cohort = planned(stores, tmp_path / "out")
    with store.locked(tmp_path / "out" / "run"):
        assert cohort.status().is_running
        with pytest.raises(StoreError, match="another process") as caught:
            cohort.run()
    assert caught.value.kind == "locked"
    assert not cohort.status().is_running


def test_status_reads_no_case(stores, tmp_path):
    out = tmp_path / "out"
    cohort = planned(copied(stores, tmp_path / "in", 2), out)
    status = cohort.run()
    shutil.rmtree(out / "cases")
    assert cm.cohort.status(out) == status


class Elsewhere:
    """A cluster of one, whose workers get lost over some cases."""

    def __init__(self, lost: int) -> None:
        self.lost, self.most, self.open = lost, 0, 0

    def submit(self, function, *arguments):
        future = Future()
        self.open += 1
        self.most = max(self.most, self.open)
        json.dumps(arguments)  # plain values only
        if arguments[0]["spec"]["case_id"] == "c01" and self.lost:
            self.lost -= 1
            future.set_exception(RuntimeError("KilledWorker"))
        else:
            future.set_result(function(*arguments))
        self.open -= 1
        return future


@pytest.mark.parametrize(("lost", "kind"), [(1, ""), (9, "worker-lost")])
def test_anything_with_submit_is_a_cluster(lost, kind, stores, tmp_path):
    out = tmp_path / "out"
    planned(copied(stores, tmp_path / "in", 3), out).run(Elsewhere(lost))
    assert {case: outcome.kind for case, outcome in named(out).items()} == {"c00": "", "c01": kind, "c02": ""}
    if kind:
        assert "KilledWorker" in named(out)["c01"].message


def test_a_dask_client_is_a_cluster(stores, tmp_path):
    distributed = pytest.importorskip("distributed")
    root, out = copied(stores, tmp_path / "in", 4), tmp_path / "out"
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, memory_limit="3 GB"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        status = planned(root, out).run(client)
    assert (status.done, status.failed) == (4, 0)
    assert named(out)["c00"].memory_bytes == int(3e9 * 0.6) // 2


def test_bad_limits(stores, tmp_path):
    with pytest.raises(InputError, match="timeout_s = -1"):
        planned(stores, tmp_path / "out", timeout_s=-1)
    with pytest.raises(StoreError, match="no cohort here"):
        cm.cohort.open(tmp_path / "nothing")
    with pytest.raises(StoreError, match="no cohort here"):
        cm.cohort.status(tmp_path / "nothing")


def test_visits_and_cases_without_objects_are_in_the_group(tmp_path):
    for number, name in enumerate(["p1/base", "p1/late", "p2/base"], 1):
        write_store(tmp_path / "in" / name / "image.zarr", number)
    out = tmp_path / "out"
    cohort = planned(tmp_path / "in", out, functions.bright, case_id="{case}/{visit}")
    cohort.run()
    summary = cohort.group()
    assert summary["done"] == 3 and summary["without_objects"] == 1
    table = cm.cohort.table(out)
    assert table.select(["case_id", "visit", "brightest"]).to_pylist() == [
        {"case_id": "p1", "visit": "late", "brightest": 2},
        {"case_id": "p2", "visit": "base", "brightest": 3},
    ]
    with (out / "group" / "cases.csv").open() as file:
        rows = [(row["case_id"], row["visit"], row["rows"]) for row in csv.DictReader(file)]
    assert rows == [("p1", "base", "0"), ("p1", "late", "1"), ("p2", "base", "1")]
    page = (out / "group" / "index.html").read_text()
    assert "p1 / base" in page and "nothing was found" in page
