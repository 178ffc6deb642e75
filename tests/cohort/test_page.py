"""The group: tables that join the user's, outliers, and a page that a browser shows whole."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import cohort_functions as functions
import pytest
from small_stores import write_store

import chunkmed as cm
from chunkmed.cli import cohort as command
from chunkmed.errors import InputError
from chunkmed.testing import BeatingEllipsoid, write_study

#: What a page says of itself once everything is loaded.
_LOOK = """
<script>
const errors = [];
window.onerror = (text) => errors.push(text);
</script>
"""
_TOLD = """
<script>
window.addEventListener("load", () => {
  const widths = [...document.images].map((image) => image.naturalWidth);
  const links = [...document.querySelectorAll("[src], [href]")].map((e) => e.src || e.href);
  document.body.textContent = JSON.stringify({widths, errors, links, text: document.body.innerText});
});
</script>
"""


@pytest.fixture(scope="module")
def group(tmp_path_factory) -> Path:
    """A cohort of two hearts with pictures and two folders that hold none."""
    root, out = tmp_path_factory.mktemp("page") / "in", tmp_path_factory.mktemp("page") / "out"
    for number in range(2):
        heart = BeatingEllipsoid(
            time_points=2,
            size=(8, 54, 66),
            spacing_mm=(12.0, 2.6, 2.6),
            semi_axes_mm=(44.0, 26.0 - number, 26.0),
            systole_fraction=0.5,
            seed=number,
        )
        write_study(root / f"<b>sub & {number}", heart)
    for number in range(2):
        (root / f"none-{number}").mkdir()
    cohort = cm.cohort.plan(
        root, out, recipe="threshold-objects", parameters={"above": 165}, memory="1.4 GB", workers=2
    )
    assert cohort.run().done == 2
    cohort.group()
    return out / "group"


def test_tables(group):
    rows = list(csv.DictReader((group / "table.csv").open()))
    assert [(row["case_id"], row["t"], row["label"]) for row in rows] == [
        (f"<b>sub & {n}", str(t), str(label)) for n in range(2) for t in range(2) for label in (1, 2)
    ]
    assert all(float(row["volume_ml"]) > 10 for row in rows)
    assert len(list(csv.DictReader((group / "curve.csv").open()))) == 4
    failures = list(csv.DictReader((group / "failures.csv").open()))
    assert [(row["case_id"], row["kind"]) for row in failures] == [
        ("none-0", "no-dicom"),
        ("none-1", "no-dicom"),
    ]
    summary = json.loads((group / "summary.json").read_text())
    assert (summary["cases"], summary["done"], summary["failed"]) == (4, 2, 2)
    assert summary["failures"] == {"no-dicom": 2}
    assert summary["measures"]["volume_ml of 1"]["cases"] == 2


def test_page_asks_nothing_of_a_network(group):
    text = (group / "index.html").read_text()
    assert "http" not in text and "//" not in text.replace("<!--", "")
    # Names come from outside.
    assert "<b>sub" not in text and "&lt;b&gt;sub &amp; 0" in text
    assert text.count("no-dicom") >= 3
    assert "Distributions of the medians over time" in text and "<td>volume (ml), label 1</td>" in text


def test_page_in_a_browser(group, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium here: apt-get install chromium")
    page = group / "looked-at.html"
    text = (group / "index.html").read_text()
    page.write_text(text.replace("<head>", "<head>" + _LOOK).replace("</body>", _TOLD + "</body>"))
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    options.append(f"--user-data-dir={tmp_path}")
    try:
        done = subprocess.run(
            [chromium, *options, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
        )
    finally:
        page.unlink()
    body = done.stdout[done.stdout.index("<body>") + 6 : done.stdout.rindex("</body>")]
    told = json.loads(body.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    # Distributions, curves, a picture of each case that is done.
    assert len(told["widths"]) == 4 and min(told["widths"]) > 100
    assert told["errors"] == [] and "CONSOLE" not in done.stderr
    assert all(link.startswith(("file:", "data:")) for link in told["links"])
    assert "2\ndone" in told["text"] and "none-1" in told["text"]


def test_outliers_are_named(tmp_path):
    for number in range(10):
        write_store(tmp_path / "in" / f"c{number}.zarr", 500 if number == 7 else 10 + number)
    cohort = cm.cohort.plan(
        tmp_path / "in", tmp_path / "out", recipe=functions.value, memory="1.4 GB", workers=2
    )
    cohort.run()
    told = cohort.group(page=False)
    assert told["outliers"] == 1
    rows = list(csv.DictReader((tmp_path / "out" / "group" / "outliers.csv").open()))
    assert [(row["case_id"], row["measure"], float(row["value"])) for row in rows] == [
        ("c7", "first_value", 500.0)
    ]
    assert not (tmp_path / "out" / "group" / "index.html").exists()


def test_a_page_of_images_without_time(tmp_path):
    for number, shape in enumerate([(1, 2, 40, 300), (1, 2, 41, 300)]):
        write_store(tmp_path / "in" / f"c{number}.zarr", 500, shape)
    cohort = cm.cohort.plan(
        tmp_path / "in", tmp_path / "out", recipe=functions.value, memory="1.4 GB", workers=2
    )
    cohort.run()
    cohort.group()
    text = (tmp_path / "out" / "group" / "index.html").read_text()
    assert "<h2>Distributions</h2>" in text and "over time" not in text
    assert ">24,600</td>" in text and "first value" in text


def test_a_single_case_has_no_spread(tmp_path):
    write_store(tmp_path / "in" / "c.zarr", 500)
    cohort = cm.cohort.plan(
        tmp_path / "in", tmp_path / "out", recipe=functions.value, memory="1.4 GB", workers=2
    )
    cohort.run()
    cohort.group()
    text = (tmp_path / "out" / "group" / "index.html").read_text()
    row = text[text.index("<td>first value</td>") :].partition("</tr>")[0]
    assert re.findall(r">([^<>]*)</td>", row) == ["first value", "1", "500", "", "500", "500", "500"]


def test_without_jinja_nothing_is_written(tmp_path, monkeypatch):
    write_store(tmp_path / "in" / "c.zarr", 500)
    cohort = cm.cohort.plan(
        tmp_path / "in", tmp_path / "out", recipe=functions.value, memory="1.4 GB", workers=2
    )
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(InputError, match=r"chunkmed\[report\]"):
        cohort.group()
    assert not (tmp_path / "out" / "group").exists()
    cohort.group(page=False)
    assert (tmp_path / "out" / "group" / "summary.json").exists()


def run(words: list[str]) -> tuple[int, str]:
    from click.testing import CliRunner

    done = CliRunner().invoke(command.command, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_planning_says_what_it_leaves_and_what_is_made_anew(stores, tmp_path):
    root, out = tmp_path / "in", str(tmp_path / "out")
    for number in (0, 2):
        shutil.copytree(stores / f"c{number:02d}.zarr", root / f"c{number:02d}.zarr")
    words = ["plan", str(root), out, "--memory", "1.4 GB", "--workers", "2", "--recipe"]
    code, said = run([*words, "cohort_functions:value", "--where", "n_slices > 3 and modality == 'MR'"])
    assert code == 0 and said.splitlines() == [
        "found      2 images, 0 cases",
        "none left  --where leaves none of 2 (n_slices 2, modality CT)",
        f"wrote      {out}",
    ]
    assert "made anew" not in run([*words, "cohort_functions:value"])[1]
    assert run(["run", out])[0] == 0
    assert "made anew" not in run([*words, "cohort_functions:value"])[1]
    code, said = run([*words, "cohort_functions:timed"])
    assert code == 0 and "made anew  2 results are of other settings or inputs" in said


def test_command_line(stores, tmp_path):
    root, out = tmp_path / "in", str(tmp_path / "out")
    for number in (0, 1, 6):
        shutil.copytree(stores / f"c{number:02d}.zarr", root / f"c{number:02d}.zarr")
    words = ["plan", str(root), out, "--recipe", "cohort_functions:odd", "--where", "n_slices == 2"]
    words += ["--memory", "1.4 GB", "--workers", "2", "--timeout", "60"]
    code, said = run([*words, "--dry-run"])
    assert code == 0 and "3 images, 3 cases" in said and "nothing was written" in said
    assert not Path(out).exists()
    code, said = run([*words, "--json"])
    assert code == 0 and [row["case_id"] for row in json.loads(said)] == ["c00", "c01", "c06"]

    code, said = run(["status", out])
    assert code == 0 and said.startswith("3 cases: 0 done")
    code, said = run(["run", out, "--retries", "0"])
    assert code == 3 and "3 cases: 2 done, 1 failed" in said and "1 bad-result" in said
    assert run(["resume", out])[0] == 3
    code, said = run(["status", out, "--json"])
    assert json.loads(said)["failures"] == {"bad-result": 1} and json.loads(said)["starts"] == 3
    code, said = run(["retry", out, "--failed"])
    assert code == 3 and json.loads(run(["status", out, "--json"])[1])["starts"] == 4
    code, said = run(["group", out, "--no-page"])
    assert code == 0 and "3 cases: 2 done, 1 failed" in said and "table.parquet" in said
    assert "median 3, 0 to 6 in 2 cases" in said and "32 in 2 cases" in said
    # What an earlier command left is not said to be written.
    (Path(out) / "group" / "index.html").write_text("old")
    assert "index.html" not in run(["group", out, "--no-page"])[1]
    assert "index.html" in run(["group", out])[1]
