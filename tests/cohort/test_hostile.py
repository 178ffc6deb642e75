"""Studies that are bad in more than twenty ways beside good ones; the client killed on the way.

The long form, 1,000 studies: ``python tests/hostile_cohort.py 1000``.
"""

import os
import signal
import time
from pathlib import Path

import hostile_cohort as hostile
import pytest

import chunkmed as cm
from chunkmed.cohort.gathering import outcomes

COUNT = 100
KILLS = 3


@pytest.fixture(scope="module")
def studies(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    root = tmp_path_factory.mktemp("hostile") / "studies"
    return root, hostile.write_cohort(root, COUNT, len(hostile.WAYS))


def killed(out: Path, at: int) -> None:
    """Run the cohort in a process of its own, and kill that once so many cases ended."""
    pid = os.fork()
    if pid == 0:
        try:
            cm.cohort.open(out).run(retries=0)
        finally:
            os._exit(1)
    while (found := cm.cohort.status(out)).done + found.failed < at:
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), "it ended before it was killed"
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.timeout(900)
def test_every_good_study_is_right_and_every_bad_one_named(studies, tmp_path):
    root, expected = studies
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for out in (whole, cut):
        hostile.plan(root, out, timeout_s=15, workers=2)
    assert cm.cohort.open(whole).run(retries=0).failed == len(expected)
    hostile.check(whole, COUNT, expected)

    for kill in range(1, KILLS + 1):
        killed(cut, kill * COUNT // (KILLS + 1))
    status = cm.cohort.open(cut).run(retries=0)
    assert status.is_over
    hostile.check(cut, COUNT, expected)
    assert hostile.table_bytes(whole) == hostile.table_bytes(cut)
    # At most one case of each worker is done again.
    assert COUNT <= status.starts <= COUNT + KILLS * 2
    # Kept is only what a process that died had made: a retry goes on from there.
    left = {path.name[1:13] for path in (cut / "cases").glob("*/.*.partial")}
    died = {"timeout", "out-of-memory", "crashed", "exited", "killed"}
    assert left == {outcome.case for outcome in outcomes(cut) if outcome.kind in died}
    assert not [*cut.rglob(".*.old"), *cut.rglob(".*.failed"), *cut.rglob(".*.draft")]


def test_what_headers_tell_is_known_before(studies, tmp_path):
    root, expected = studies
    cohort = hostile.plan(root, tmp_path, timeout_s=15)
    foreseen = {row["case_id"]: row["problem"] for row in cohort.cases() if row["problem"]}
    assert all(expected[case] == kind for case, kind in foreseen.items())
    only_by_running = {"timeout", "out-of-memory", "crashed", "exited", "unexpected", "killed", "undecodable"}
    assert {expected[case] for case in expected.keys() - foreseen.keys()} == only_by_running
    for row in cohort.cases():
        if not row["problem"]:
            assert (row["modality"], row["n_times"], row["n_slices"], row["n_rows"]) == ("MR", 2, 10, 54)
            assert row["peak_bytes"] > row["image_bytes"] == 2 * 10 * 54 * 66 * 2
