"""The benchmark harness on the smallest case: every peer once, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

#: A peer that has one voxel wrong, one that ends in an error, one that lacks a step.
WRONG = """
import zarr
from benchmarks.peers import scipy
FORMAT, VARIANTS, COMPARED = "zarr", ("",), True

def run(job):
    count = scipy.run(job)
    target = zarr.open_array(job.target, mode="r+")
    target[0, 1, 2, 3] = not target[0, 1, 2, 3]
    return count
"""
BROKEN = WRONG.replace("count = scipy.run(job)", "raise OSError('the disk is full')")
LESS = """
from benchmarks.operations import applied
FORMAT, VARIANTS, COMPARED = "zarr", ("",), True

def run(job):
    return applied(job.operation, None, {})
"""


def harness(folder: Path, *arguments: str) -> str:
    env = os.environ | {"CHUNKMED_BENCH_DIR": str(folder / "cache"), "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("benchmarks")


@pytest.fixture(scope="module")
def ran(folder):
    (folder / "odd").mkdir()
    for name, text in {"wrong": WRONG, "broken": BROKEN, "less": LESS}.items():
        (folder / "odd" / f"{name}.py").write_text(text)
    peers = "chunkmed,dask_image,scipy,floor,odd.wrong,odd.broken,odd.less"
    results = folder / "runs.jsonl"
    about = ("--case", "tiny", "--operation", "chain", "--pairs", "1", "--memory", "1 GB")
    table = harness(folder, "run", *about, "--peers", peers, "--results", str(results))
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    return {(row["peer"], row["variant"]): row for row in rows}, table


TIMED = [
    ("chunkmed", ""),
    ("dask_image", "unit"),
    ("dask_image", "larger"),
    ("scipy", ""),
    ("floor", "unit"),
    ("floor", "larger"),
]


@pytest.mark.parametrize("peer", TIMED, ids=lambda peer: " ".join(peer).strip())
def test_every_peer_has_a_row(ran, peer):
    row = ran[0][peer]
    assert min(row["wall_s"], row["cpu_s"], row["peak_mib"], row["peak_rss_mib"], row["output_mib"]) > 0
    assert (row["case"], row["operation"], row["workers"], row["budget"]) == ("tiny", "chain", 2, "1 GB")
    assert {"machine", "versions", "date", "batch", "pair"} <= row.keys()


@pytest.mark.parametrize("peer", [peer for peer in TIMED if peer[0] != "floor"], ids=str)
def test_outputs_are_scipys(ran, peer):
    assert ran[0][peer]["compared"] == ["tiny"]
    assert ran[0][peer]["differs"] == 0


def test_task_counts(ran):
    rows = ran[0]
    # One task per time point: the block is the whole of z, y, x.
    assert rows["chunkmed", ""]["tasks"] == 2
    assert rows["dask_image", "unit"]["tasks"] > rows["dask_image", "larger"]["tasks"] > 2
    assert rows["floor", "unit"]["tasks"] == 2


def test_a_peer_that_differs_says_so(ran):
    rows, table = ran
    assert rows["odd.wrong", ""]["differs"] == 1
    (line,) = [line for line in table.splitlines() if "odd.wrong" in line]
    assert [cell.strip() for cell in line.split("|")][9] == "1"


def test_peers_that_fail_have_rows(ran):
    rows, table = ran
    assert "the disk is full" in rows["odd.broken", ""]["error"]
    assert rows["odd.less", ""]["unsupported"] == "gaussian_filter"
    assert "no gaussian_filter" in table and "failed" in table


def test_nothing_but_inputs_is_left(ran, folder):
    assert not list((folder / "cache").glob("run-*"))


def test_report_prints_the_same_table(ran, folder):
    assert harness(folder, "report", "--results", str(folder / "runs.jsonl")).strip() == ran[1].strip()


def test_efficiency(ran, folder):
    results = folder / "efficiency.jsonl"
    about = ("--case", "tiny", "--operation", "chain", "--pairs", "1", "--results", str(results))
    harness(folder, "efficiency", *about)
    (row,) = [json.loads(line) for line in results.read_text().splitlines()]
    assert min(row[name] for name in ("read_s", "kernel_s", "write_s", "wall_s", "efficiency")) > 0


def test_values_do_not_depend_on_blocks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.cases import CASES, Values

    values = Values(CASES["tiny"])
    whole = values.read(tuple((0, n) for n in values.shape))
    box = ((1, 2), (3, 16), (50, 90), (60, 128))
    assert np.array_equal(values.read(box), whole[tuple(slice(a, b) for a, b in box)])
    assert not np.array_equal(whole[0], whole[1])


def test_ratios_are_paired(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.tables import paired_ratio

    own = [{"pair": pair, "wall_s": wall_s} for pair, wall_s in enumerate((2.0, 30.0, 4.0))]
    base = [{"pair": pair, "wall_s": wall_s} for pair, wall_s in enumerate((1.0, 10.0, 4.0))]
    assert paired_ratio(own, base) == 2.0
    assert paired_ratio(own, []) is None


def test_rows_of_the_parity_table_are_measured(folder):
    results = folder / "functions.jsonl"
    match = ("--match", "gaussian_filter-sigma 0", "--dtypes", "int16", "--repeats", "1")
    table = harness(folder, "functions", *match, "--results", str(results))
    (row,) = [json.loads(line) for line in results.read_text().splitlines()]
    assert (row["row"], row["dtype"]) == ("gaussian_filter-sigma 0", "int16")
    assert min(row["scipy_ns"], row["chunkmed_ns"], row["times_faster"]) > 0
    assert {"machine", "versions", "batch", "first_use_s"} <= row.keys()
    assert "| gaussian_filter-sigma 0 | int16 |" in table
