"""A cohort on a real Slurm: a job is cancelled, a case takes too much memory, the table is complete."""

import os
import shutil
from pathlib import Path

import dask
import documents
import numpy as np
import pytest
from services.greedy_cases import GREEDY, case_of
from services.slurm import call, jobs

import chunkmed as cm
from chunkmed.coords import attach
from chunkmed.grid import Grid

pytestmark = pytest.mark.timeout(280)
COUNT = 20 if os.environ.get("CHUNKMED_LONG") else 6
CONFIGURATION = """
queue = "debug"
cores = 1
processes = 1
memory = "2 GB"
walltime = "00:10:00"
interface = "lo"
log_directory = "{0}/jobs"
local_directory = "{0}/local"
shared_temp_directory = "{0}"
"""


def write_stores(root: Path) -> Path:
    one = tuple(np.arange(4) * 2.0)
    for number in range(COUNT):
        image = np.full((1, 4, 4, 4), number, np.int16)
        cm.save(
            attach(image, Grid(one, one, one, time_ms=(0.0,))), root / f"c{number:02d}.zarr", pyramid=False
        )
    return root


def test_a_cohort_whose_job_is_cancelled_and_whose_case_is_too_large(slurm, tmp_path, monkeypatch):
    root, notes = write_stores(tmp_path / "in"), tmp_path / "notes"
    notes.mkdir()
    monkeypatch.setenv("CHUNKMED_TEST_NOTES", str(notes))
    # Where cases run the function can be imported.
    places = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(places))
    configuration = tmp_path / "slurm.toml"
    configuration.write_text(CONFIGURATION.format(slurm))
    cohort = cm.cohort.plan(root, tmp_path / "out", recipe=case_of, memory="1.4 GB", workers=2)
    cancelled: list[str] = []

    def progress(done: int, failed: int, total: int) -> None:
        running = [path.name for path in notes.iterdir()]
        if running and not cancelled:
            cancelled.append(running[0])
            call("scancel", "--signal=KILL", "--full", running[0])

    soon = dask.config.set({"distributed.deploy.lost-worker-timeout": "1s"})
    with soon, cm.connect("slurm", config=configuration, jobs=2, see=[root], writes=[tmp_path]) as cluster:
        status = cohort.run(cluster, progress=progress)
    assert cancelled and len({path.name for path in notes.iterdir()} - set(cancelled)) >= 1
    assert (status.total, status.done, status.failed) == (COUNT, COUNT - 1, 1)
    assert status.failures == {"out-of-memory": 1}
    found = cohort.table().to_pydict()
    wanted = [number for number in range(COUNT) if number != GREEDY]
    assert found["first_value"] == wanted
    assert found["case_id"] == [f"c{number:02d}" for number in wanted]
    assert not jobs("RUNNING", "PENDING")
    shutil.rmtree(tmp_path / "in")


def test_the_page_of_the_guide(slurm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blob = np.zeros((1, 4, 8, 8), np.int16)
    blob[0, 1:3, 2:5, 2:6] = 200
    for number in range(3):
        image = cm.open(blob + number, spacing_mm=(5.0, 2.0, 2.0))
        cm.save(image, f"studies/patient-{number}.zarr", pyramid=False)
    page, namespace, said = Path(cm.__file__).parent / "guide" / "slurm.md", {}, {}
    for block in documents.blocks(page):
        if block.language == "toml":
            # The page's options, on a cluster whose machines are this one.
            folders = CONFIGURATION.partition('interface = "lo"')[2].format(slurm)
            Path("slurm.toml").write_text(block.code.replace("ib0", "lo") + folders)
        else:
            said[block.line] = documents.run(block, page, namespace)
            if not os.environ.get("CHUNKMED_REWRITE_GUIDE"):
                assert documents.agrees(block.expected or "", said[block.line]), said[block.line]
    if os.environ.get("CHUNKMED_REWRITE_GUIDE"):
        page.write_text(documents.with_outputs(page, said))
