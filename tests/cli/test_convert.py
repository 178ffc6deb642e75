"""``chunkmed scan`` and ``chunkmed convert``: what is printed, what is refused, what accepts it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from commands import invoked

import chunkmed as cm
from chunkmed.cli.convert import command as convert
from chunkmed.cli.run import command as run
from chunkmed.cli.scan import command as scan
from chunkmed.errors import InputError, SourceError
from chunkmed.testing import BeatingEllipsoid, write_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A whole series in `whole/`, one in `gap/` that lacks a slice and an image of another."""
    root = tmp_path_factory.mktemp("study")
    for name, seed in (("whole", 1), ("gap", 2)):
        heart = BeatingEllipsoid(time_points=3, size=(7, 40, 44), spacing_mm=(14.0, 3.0, 3.0), seed=seed)
        paths = write_study(root / name, heart, extra_tags={"SeriesDescription": f"free text of {name}"})
    for t in range(3):
        paths[7 * t + 2].unlink()
    paths[7 + 4].unlink()
    (root / "notes.txt").write_text("hello")
    return root


def test_scan_lists_selectors_that_convert_takes(study, tmp_path):
    table = invoked(scan, study)
    gap, whole = table.splitlines()[1:3]
    assert "missing-slices" in gap and "free text of gap" in gap and "t 0 to" in whole
    assert "1 x not DICOM" in table and "notes.txt" in table
    told = invoked(convert, study, tmp_path / "a.zarr", "--series", whole.split()[1], "--no-pyramid")
    assert "3 t x 7 z x 40 y x 44 x, int16" in told and "assumed    time points = TriggerTime" in told
    assert cm.open(tmp_path / "a.zarr").shape == (3, 7, 40, 44)


def test_scan_as_json_is_complete_and_without_free_text(study):
    text = invoked(scan, study, "--json")
    about = json.loads(text)
    assert "free text" not in text and "Phantom^Beating" not in text
    assert [item["reason"] for item in about["skipped"]] == ["not DICOM (no DICM preamble)"]
    gap, whole = about["stacks"]
    assert (whole["problems"], whole["shape"], whole["dims"]) == ([], [3, 7, 40, 44], list("tzyx"))
    assert whole["spacing_mm"] == [14.0, 3.0, 3.0] and len(whole["time_ms"]) == 3
    assert [problem["kind"] for problem in gap["problems"]] == ["missing-slices", "ragged-cells"]
    assert gap["accepted_by"] == ["allow_missing"] and not gap["uniform"]
    assert gap["attributes"]["missing_cells"] == [[1, 3]] and gap["dtype"] == "float32"


def test_convert_refuses_and_says_what_accepts(study, tmp_path):
    with pytest.raises(SourceError, match="--allow-missing") as caught:
        invoked(convert, study / "gap", tmp_path / "a.zarr")
    assert caught.value.kind == "missing-slices" and not (tmp_path / "a.zarr").exists()
    told = invoked(convert, study / "gap", tmp_path / "a.zarr", "--allow-missing", "--no-pyramid")
    assert "28 mm between slices 1 and 2" in told and "filled with NaN at (t, z) = (1, 3)" in told
    image = cm.open(tmp_path / "a.zarr")
    assert image.isnull().sum() == 40 * 44 and image.sizes["z"] == 6


def test_run_passes_the_options_on(study, tmp_path):
    # The other ones accept nothing of this.
    with pytest.raises(SourceError, match="--allow-missing"):
        invoked(run, "threshold-objects", study / "gap", tmp_path / "out", "--allow-irregular")
    told = invoked(run, "threshold-objects", study / "gap", tmp_path / "out", "--allow-missing")
    assert "28 mm between" in told and (tmp_path / "out" / "table.csv").is_file()
    with pytest.raises(InputError, match="for DICOM"):
        invoked(run, "threshold-objects", tmp_path / "out/image.zarr", tmp_path / "b", "--merge-series")


def test_an_ejection_fraction_of_one_time_point_is_said_to_be_missing(tmp_path):
    heart = BeatingEllipsoid(time_points=1, size=(8, 54, 66), spacing_mm=(12.0, 2.6, 2.6))
    write_study(tmp_path / "in", heart)
    seed = ",".join(f"{value:.1f}" for value in heart.center_lps)
    words = ["ejection-fraction", tmp_path / "in", tmp_path / "out", "--set", f"seed.lps=[{seed}]"]
    told = invoked(run, *words)
    assert "missing    no ejection fraction: the image has a single time point" in told
    assert "touches_border yes" in told
    assert "single time point" in json.loads(invoked(run, *words, "--overwrite", "--json"))["missing"]
    told = invoked(run, "threshold-objects", tmp_path / "in", tmp_path / "objects", "--json")
    assert json.loads(told)["missing"] == ""


def test_progress_counts_slices(study, tmp_path):
    done = CliRunner().invoke(convert, [str(study / "whole"), str(tmp_path / "a.zarr"), "--no-pyramid"])
    assert "writing a.zarr: 21 slices" in done.stderr and "MB/s read" in done.stderr
