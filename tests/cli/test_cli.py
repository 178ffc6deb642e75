"""The command line as a user meets it: one clear line and an exit code, never a traceback."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from chunkmed.cli import main
from chunkmed.testing import BeatingEllipsoid, write_study


def chunkmed(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command in this process: importing all of it anew takes longer than most commands."""
    before = warnings.showwarning, threading.excepthook, signal.getsignal(signal.SIGTERM)
    out, told = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told), warnings.catch_warnings():
            warnings.simplefilter("default")
            with pytest.raises(SystemExit) as ended:
                main([*map(str, words)])
    finally:
        warnings.showwarning, threading.excepthook = before[:2]
        signal.signal(signal.SIGTERM, before[2])
    code = ended.value.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(words, code, out.getvalue(), told.getvalue())


def chunkmed_apart(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "chunkmed", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Two small series side by side in `two/`, one of them in `two/a`."""
    root = tmp_path_factory.mktemp("study")
    for name, seed in (("a", 1), ("b", 2)):
        heart = BeatingEllipsoid(time_points=3, size=(8, 60, 76), spacing_mm=(14.0, 2.4, 2.4), seed=seed)
        write_study(root / "two" / name, heart)
    return root / "two"


def refused(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    """One block: a first line, then indented ones; nothing else on stderr but warnings."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    assert lines[0].startswith("chunkmed: ") and lines[0].endswith("]"), done.stderr
    assert all(line.startswith("  ") for line in lines[1:]), done.stderr
    for text in said:
        assert text in done.stderr, done.stderr


def test_no_such_folder(tmp_path):
    refused(chunkmed("run", "threshold-objects", tmp_path / "nothing", tmp_path / "out"), 1, "no such file")
    assert not (tmp_path / "out").exists()


def test_dicom_is_read_from_disk(tmp_path):
    for url in ("s3://bucket/study", "gs://bucket/study/a.dcm"):
        done = chunkmed("convert", url, tmp_path / "a.zarr")
        refused(done, 1, "not read from object stores", url, "copy the series to a disk")
        assert "mounted" not in done.stderr


def test_no_dicom_in_it(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "readme.txt").write_text("not an image")
    done = chunkmed("run", "threshold-objects", tmp_path / "in", tmp_path / "out")
    refused(done, 1, "no DICOM", "chunkmed which", "not DICOM")
    identifier = done.stderr.split("chunkmed which ")[1].split()[0]
    named = chunkmed("which", identifier)
    assert named.stdout.split() == [identifier, str(tmp_path / "in" / "readme.txt")]


def test_a_file_that_is_no_dicom_is_named_as_it_was_given(tmp_path):
    (tmp_path / "notes.md").write_text("not an image")
    done = chunkmed("convert", tmp_path / "notes.md", tmp_path / "a.zarr")
    refused(done, 1, f"where   {tmp_path / 'notes.md'}", "why     not DICOM", "give a DICOM file")
    assert "chunkmed which" not in done.stderr
    # What lies in a folder keeps its name for itself.
    done = chunkmed("scan", tmp_path)
    refused(done, 1, f"where   {tmp_path}\n", "chunkmed which")
    assert "notes.md" not in done.stderr


def test_convert_and_scan(study, tmp_path):
    """One series to a store, its selector taken from what scan prints as JSON."""
    listed = chunkmed("scan", study, "--json")
    stacks = json.loads(listed.stdout)["stacks"]
    assert [stack["shape"] for stack in stacks] == [[3, 8, 60, 76]] * 2
    assert stacks[0]["problems"] == [] and "phantom" not in listed.stdout
    out = tmp_path / "heart.zarr"
    refused(chunkmed("convert", study, out), 1, "2 series")
    done = chunkmed("convert", study, out, "--series", stacks[1]["key"], "--no-pyramid")
    assert done.returncode == 0, done.stderr
    assert "assumed    slices are ordered" in done.stdout and "3 t x 8 z x 60 y x 76 x" in done.stdout
    assert out.is_dir()
    refused(chunkmed("convert", study / "a", tmp_path / "b.zarr", "--frames", "t"), 2, "its headers say")


def test_two_series_where_one_is_wanted(study, tmp_path):
    done = chunkmed("run", "threshold-objects", study, tmp_path / "out")
    refused(done, 1, "2 series", "choose one with --series", "chunkmed scan")
    key = done.stderr.split("chunkmed scan PATH: ")[1].split()[0]
    listed = chunkmed("scan", study)
    assert key in listed.stdout
    chosen = chunkmed("run", "threshold-objects", study, tmp_path / "out", "--series", key)
    assert chosen.returncode == 0, chosen.stderr
    assert (tmp_path / "out" / "table.csv").is_file()
    # The results are there now: refused, unless asked to replace them.
    again = ("run", "threshold-objects", study, tmp_path / "out", "--series", key)
    refused(chunkmed(*again), 1, "exists already")
    assert chunkmed(*again, "--overwrite").returncode == 0


def test_unwritable_output(study, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = chunkmed("run", "threshold-objects", study / "a", tmp_path / "file" / "out")
    refused(done, 1, "cannot be made", "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_output(study, tmp_path):
    (tmp_path / "shut").mkdir(mode=0o500)
    refused(chunkmed("run", "threshold-objects", study / "a", tmp_path / "shut"), 1, "cannot be made")


def test_misspelt_key(study, tmp_path):
    text = chunkmed("recipe", "show", "threshold-objects").stdout
    (tmp_path / "mine.toml").write_text(text.replace("count =", "cuont =", 1).replace("axes =", "axis ="))
    done = chunkmed("run", tmp_path / "mine.toml", study / "a", tmp_path / "out")
    refused(done, 2, "mine.toml", "did you mean")
    assert not (tmp_path / "out").exists()


def test_wrong_usage(study, tmp_path):
    assert chunkmed("run").returncode == 2
    refused(chunkmed("frobnicate"), 2, "no command 'frobnicate'", "chunkmed --help")
    refused(chunkmed("convrt", study, tmp_path / "o"), 2, "did you mean 'convert'?")
    refused(chunkmed("cohort", "stats"), 2, "did you mean 'status'?")
    refused(chunkmed("recipe", "shw"), 2, "did you mean 'show'?")
    refused(chunkmed("run", "treshold-objects", study, tmp_path / "o"), 2, "did you mean 'threshold-objects'")
    refused(
        chunkmed("run", "threshold-objects", study / "a", tmp_path / "o", "--set", "cuont=1"), 2, "'count'"
    )
    refused(chunkmed("run", "ejection-fraction", study / "a", tmp_path / "o"), 2, "needs 'seed'")
    small = chunkmed("run", "threshold-objects", study / "a", tmp_path / "o", "--memory", "9 MB")
    refused(small, 1, "does not fit", "memory=", "--memory")
    assert not (tmp_path / "o" / "image.zarr").exists()


@pytest.mark.parametrize("words", [(), ("cohort",), ("recipe",)])
def test_help_where_no_command_is_given(words):
    done = chunkmed(*words)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("Usage: chunkmed") and "\nCommands:\n" in done.stdout


def test_recipe_commands():
    assert "ejection-fraction" in chunkmed("recipe", "list").stdout
    assert "schema = 1" in chunkmed("recipe", "show", "ejection-fraction").stdout
    assert json.loads(chunkmed("recipe", "schema").stdout)["title"] == "chunkmed recipe"
    assert "no errors" in chunkmed("recipe", "check", "ejection-fraction").stdout


def test_verify(study, tmp_path):
    assert chunkmed("run", "threshold-objects", study / "a", tmp_path / "out").returncode == 0
    store = tmp_path / "out" / "image.zarr"
    whole = chunkmed("verify", store)
    assert whole.returncode == 0 and "whole; label images: objects" in whole.stdout
    shard = next(path for path in store.rglob("c/*/*/*/*") if path.is_file())
    raw = bytearray(shard.read_bytes())
    raw[len(raw) // 2] ^= 4
    shard.write_bytes(raw)
    damaged = chunkmed("verify", store)
    refused(damaged, 1, "1 objects are damaged")
    assert shard.relative_to(store).as_posix() in damaged.stdout
    refused(chunkmed("verify", tmp_path / "nothing"), 1, "no such store")


def test_debug_shows_the_traceback(tmp_path):
    done = chunkmed("--debug", "run", "threshold-objects", tmp_path / "nothing", tmp_path / "out")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_demo(tmp_path):
    done = chunkmed_apart("demo", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    assert "ejection fraction" in done.stdout
    summary = json.loads((tmp_path / "demo" / "result" / "summary.json").read_text())
    about = json.loads((tmp_path / "demo" / "result" / "provenance.json").read_text())
    assert abs(summary["ejection_fraction_percent"] - 58) < 2
    assert about["peak_memory_bytes"] <= about["budget"]["memory_bytes"]
    # Neither the command line nor the DICOM files tell the job the truth.
    assert "0.58" not in json.dumps(about["recipe"])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("precious")
    refused(chunkmed("demo", tmp_path / "other"), 1, "holds other things")


@pytest.fixture(scope="module")
def stored(study, tmp_path_factory) -> Path:
    """A small store with a label image."""
    import chunkmed as cm

    path = tmp_path_factory.mktemp("stored") / "heart.zarr"
    image = cm.convert(study / "a", path)
    cm.save(image > 100, path, name="bright")
    return path


def test_info(stored):
    done = chunkmed("info", stored)
    assert done.returncode == 0, done.stderr
    for text in ("int16", "MR", "3 along t", "8 x 60 x 76 voxels of 14 x 2.4 x 2.4 mm", "label bright"):
        assert text in done.stdout
    assert "history     save name=bright" in done.stdout


def test_info_of_steps_that_are_not_known(tmp_path):
    import chunkmed as cm

    image = cm.open(np.zeros((1, 3, 8, 6), np.int16), spacing_mm=(5.0, 2.0, 1.5))
    cm.save(image.isel(z=[1]), tmp_path / "a.zarr")
    assert "1 x 8 x 6 voxels of 2 x 1.5 mm along y, x, " in chunkmed("info", tmp_path / "a.zarr").stdout
    heart = BeatingEllipsoid(time_points=2, size=(8, 60, 76), spacing_mm=(14.0, 2.4, 2.4))
    write_study(tmp_path / "in", heart, extra_tags={"PixelSpacing": None})
    cm.convert(tmp_path / "in", tmp_path / "b.zarr")
    assert "voxels of unknown size, " in chunkmed("info", tmp_path / "b.zarr").stdout


def test_info_as_json(stored):
    about = json.loads(chunkmed("info", stored, "--json").stdout)
    (level,) = about["image"]["levels"]
    assert level["shape"] == [3, 8, 60, 76] and level["spacing"] == [14.0, 2.4, 2.4]
    assert level["bytes"] == 3 * 8 * 60 * 76 * 2 and level["shards"] == 3
    files = [p for p in (stored / "0/image/c").rglob("*") if p.is_file()]
    assert level["stored_bytes"] == sum(p.stat().st_size for p in files)
    assert about["labels"]["bright"]["dtype"] == "uint8"
    assert [record["step"] for record in about["history"]] == ["convert", "save"]
    assert about["image"]["axes"]["t"]["units"] == "ms"


@pytest.mark.parametrize("command", ["info", "verify"])
def test_info_and_verify_of_what_is_no_store(tmp_path, stored, command):
    refused(chunkmed(command, tmp_path / "nothing"), 1, "no such store")
    refused(chunkmed(command, tmp_path), 1, "not a store that chunkmed wrote", "manifest", "chunkmed scan")
    (tmp_path / "file").write_text("x")
    refused(chunkmed(command, tmp_path / "file"), 1, "not a store")


def test_info_of_an_incomplete_store(tmp_path, stored):
    shutil.copytree(stored, tmp_path / "copy.zarr")
    (tmp_path / "copy.zarr/0/image/c/1/0/0/0").unlink()
    refused(chunkmed("info", tmp_path / "copy.zarr"), 1, "incomplete", "c/1/0/0/0")
    done = chunkmed("verify", tmp_path / "copy.zarr")
    assert done.returncode == 1 and "0/image/c/1/0/0/0: missing" in done.stdout


def test_plan_says_what_a_run_will_cost(study, tmp_path):
    store = tmp_path / "image.zarr"
    assert chunkmed("run", "threshold-objects", study / "a", tmp_path / "out").returncode == 0
    shutil.copytree(tmp_path / "out" / "image.zarr", store)
    told = chunkmed("plan", "threshold-objects", store, "--memory", "8 GB", "--workers", 2)
    assert told.returncode == 0, told.stderr
    assert "sizing objects" in told.stdout and "in all" in told.stdout
    data = json.loads(chunkmed("plan", "threshold-objects", store, "--json", "--memory", "8 GB").stdout)
    assert {"tasks", "block", "halo", "read_bytes", "peak_bytes"} <= set(data["passes"][0])
    assert data["peak_bytes"] == max(each["peak_bytes"] for each in data["passes"])
    refused(chunkmed("plan", "threshold-objects", store, "--memory", "10 MB"), 1, 'give memory="')


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_what_goes_on(number, code, tmp_path):
    heart = BeatingEllipsoid(time_points=10, size=(10, 200, 200), spacing_mm=(10.0, 1.0, 1.0), seed=1)
    write_study(tmp_path / "in", heart)
    words = ["run", "threshold-objects", tmp_path / "in", tmp_path / "out", "--workers", "1"]
    command = [sys.executable, "-m", "chunkmed", *map(str, words)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ledger = lambda: list((tmp_path / "out").glob("*.ledger"))  # noqa: E731 - looked at until it is there
    until = time.monotonic() + 60
    while not ledger() and running.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == code, said
    assert "goes on from there" in said and "Traceback" not in said
    assert not (tmp_path / "out" / "image.zarr").exists()
    again = chunkmed_apart(*words)
    assert again.returncode == 0, again.stderr
