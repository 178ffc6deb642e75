"""Where a budget comes from: the machine, Slurm, a cgroup, dask's workers, other processes."""

import dask
import pytest

import chunkmed as cm
from chunkmed.errors import PlanError
from chunkmed.graph import budget
from chunkmed.graph.budget import Budget, base_bytes, current_budget
from chunkmed.graph.plan import make_plan
from chunkmed.graph.trace import node_of

GB = 10**9


class Client:
    """What a budget asks a distributed client for."""

    def __init__(self, *workers):
        self.workers = {f"tcp://{i}": worker for i, worker in enumerate(workers)}

    def scheduler_info(self, n_workers):
        assert n_workers == -1
        return {"workers": self.workers}

    def get(self, graph, keys, **_):
        raise AssertionError("only planned")


def worker(limit=4 * GB, threads=2, held=10**8):
    return {"memory_limit": limit, "nthreads": threads, "metrics": {"memory": held}}


def budget_of(*workers):
    with dask.config.set(scheduler=Client(*workers).get):
        return current_budget()


def test_workers_of_dask_lend_what_they_do_not_spill():
    found = budget_of(worker(), worker(limit=2 * GB))
    assert (found.memory, found.workers, found.processes, found.threads) == (0.6 * 2 * GB, 4, 2, 2)
    assert found.base >= 250 << 20


def test_what_workers_hold_already_counts():
    assert budget_of(worker(held=GB)).base == GB


def test_a_user_may_ask_less_of_workers():
    with cm.config(memory="1 GB", workers=1):
        assert budget_of(worker()).memory == GB
    with cm.config(memory="100 GB", workers=1):
        assert budget_of(worker()).memory == 0.6 * 4 * GB


def test_no_workers_no_budget():
    with pytest.raises(PlanError) as error:
        budget_of()
    assert error.value.kind == "no-workers"


def test_a_block_leaves_room_for_the_other_threads_of_its_worker():
    import dask.array as da

    node = node_of(da.zeros((64, 512, 512), chunks=128, dtype="f8"))
    plans = [
        make_plan([node], budget=Budget(2 * GB, 8, 2, GB)),
        make_plan([node], budget=Budget(2 * GB, 2, 2, GB)),
    ]
    assert plans[0].task_bytes * 4 <= GB
    assert plans[1].task_bytes <= GB
    assert all(plan.peak_bytes <= 2 * GB for plan in plans)


def test_workers_that_are_too_small_are_refused_and_not_made_fewer():
    import dask.array as da

    node = node_of(da.zeros((64, 512, 512), chunks=128, dtype="f8"))
    with pytest.raises(PlanError):
        make_plan([node], unit=(64, 512, 512), budget=Budget(GB, 8, 2, 900 << 20))


def test_processes_share_the_memory():
    with cm.config(memory="4 GB", workers=4), dask.config.set(scheduler="processes"):
        found = current_budget()
    assert (found.memory, found.workers, found.processes) == (GB, 4, 4)


def test_a_cgroup_around_the_own_one_counts(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "memory.max").write_text(f"{2 * GB}\n")
    (tmp_path / "a" / "b" / "memory.max").write_text("max\n")
    (tmp_path / "own").write_text("0::/a/b\n")
    monkeypatch.setattr(budget, "_CGROUP", tmp_path)
    monkeypatch.setattr(budget, "_OWN_CGROUP", tmp_path / "own")
    assert Budget.of().memory <= GB


def test_slurm_memory_by_core(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "1024")
    assert Budget.of().memory <= 512 << 20


def test_growth_is_counted_once():
    first = base_bytes()
    held = bytearray(64 << 20)
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    grown = base_bytes()
    assert first <= grown <= first + (80 << 20)
