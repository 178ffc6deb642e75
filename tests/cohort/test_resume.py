"""A case that was cut off goes on from what it had made."""

from small_stores import write_store

import chunkmed as cm
from chunkmed.cohort.ledger import Ledger, seen
from chunkmed.cohort.outcomes import Outcome, case_folder, partial_folder
from chunkmed.job import run_job
from chunkmed.recipe.model import parse

RECIPE = """
schema = 1
[parameters]
marker = "?"
[[step]]
name = "mask"
do = "threshold"
of = "image"
above = 3
[[step]]
name = "objects"
do = "cohort_functions:guarded"
of = "mask"
marker = "$marker"
[[measure]]
labels = "objects"
what = ["count"]
[output]
save = ["mask"]
"""


def test_image_and_labels_that_are_there_are_not_made_again(tmp_path):
    recipe = parse(RECIPE, "test").with_parameters({"marker": str(tmp_path)})
    source, out = tmp_path / "in.zarr", tmp_path / "out"
    write_store(source, 5)
    run_job(recipe, source, out)
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    before = (out / "table.csv").read_text()
    write_store(tmp_path / "other.zarr", 0)
    run_job(recipe, tmp_path / "other.zarr", out, resume=True)
    assert (out / "table.csv").read_text() == before
    kept = [path for path, time_ns in written.items() if path.stat().st_mtime_ns == time_ns]
    assert len(kept) > 4 and all("image.zarr" in str(path) for path in kept)


def test_a_case_whose_process_died_goes_on(tmp_path):
    write_store(tmp_path / "in" / "a.zarr", 5)
    recipe, out, marker = tmp_path / "recipe.toml", tmp_path / "out", tmp_path / "marker"
    recipe.write_text(RECIPE)
    cohort = cm.cohort.plan(
        tmp_path / "in", out, recipe=recipe, parameters={"marker": str(marker)}, memory="1.4 GB", workers=2
    )
    assert cohort.run(retries=0).failures == {"killed": 1}
    case = cohort.cases()[0]["case"]
    made = partial_folder(out, case)
    written = (made / "image.zarr" / "zarr.json").stat()
    # As a process leaves it that is killed while it writes a table.
    (made / ".table.parquet.7.draft").write_bytes(b"half")
    marker.touch()
    status = cohort.retry()
    assert status.done == 1 and not made.exists()
    assert not [*out.rglob(".*.draft")]
    again = (case_folder(out, case) / "image.zarr" / "zarr.json").stat()
    assert (again.st_ino, again.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert cohort.table()["count"].to_pylist() == [32]


def test_a_line_of_the_ledger_that_was_cut_off_is_no_line(tmp_path):
    outcome = Outcome(
        case="c1", case_id="a", token="t1", state="failed", kind="crashed", message="", attempts=2
    )
    ledger = Ledger(tmp_path)
    ledger.started("c1", "t1")
    begun = seen(tmp_path, {"c1": "t1"})
    ledger.ended(outcome)
    ledger.close()
    ended = seen(tmp_path, {"c1": "t1"})
    assert (begun.running, ended.kinds) == ({"c1"}, {"c1": "crashed"})
    whole = ledger.path.read_bytes()
    for length in range(whole.index(b"\n") + 1, len(whole)):
        ledger.path.write_bytes(whole[:length])
        assert seen(tmp_path, {"c1": "t1"}) == begun
