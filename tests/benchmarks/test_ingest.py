"""The ingest benchmark on a few small slices: peers that are always there, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

ROOT = Path(__file__).parents[2]

#: A peer that has one voxel wrong, and one that does not read this kind.
WRONG = """
from benchmarks.peers import ingest_pydicom
PACKAGES, VARIANTS = (), ("stack",)

def read(job):
    told = ingest_pydicom.read(job)()
    told["values"][1, 2, 3] += 1
    return lambda: told
"""
CANNOT = """
from benchmarks.ingest_job import UnsupportedError
PACKAGES, VARIANTS = (), ("",)

def read(job):
    raise UnsupportedError("such files")
"""
SLICES, SIDE = 5, 64


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ingest")
    (folder / "odd").mkdir()
    for name, text in {"wrong": WRONG, "cannot": CANNOT}.items():
        (folder / "odd" / f"{name}.py").write_text(text)
    env = os.environ | {"CHUNKMED_BENCH_DIR": str(folder / "cache"), "PYTHONPATH": str(folder)}
    results = folder / "ingest.jsonl"
    peers = "chunkmed:convert,odd.wrong,odd.cannot,floor:headers"
    size = ("--slices", str(SLICES), "--side", str(SIDE), "--pairs", "1", "--peers", peers)
    command = [sys.executable, "-m", "benchmarks", "ingest", *size, "--results", str(results)]
    table = subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    return {row["peer"]: row for row in rows}, table, folder


def test_ours_is_measured_and_right(ran):
    row = ran[0]["chunkmed"]
    assert min(row[name] for name in ("wall_s", "cpu_s", "peak_mib", "before_mib", "output_mib")) > 0
    assert (row["differs"], row["shape"], row["dtype"]) == (0, [SLICES, SIDE, SIDE], "int16")
    assert row["headers_per_file"] == 1.0


def test_a_peer_that_differs_says_so(ran):
    assert ran[0]["odd.wrong"]["differs"] == 1


def test_others_have_rows(ran):
    assert "cannot: such files" in ran[1]
    assert ran[0]["floor"]["differs"] is None and ran[0]["floor"]["wall_s"] > 0


def test_nothing_but_series_is_left(ran):
    assert [path.name for path in (ran[2] / "cache").iterdir()] == ["dicom"]


def test_headers_are_like_a_scanners(ran):
    path = next((ran[2] / "cache" / "dicom").glob(f"ct{SLICES}x*/*.dcm"))
    dataset = pydicom.dcmread(path)
    assert 100 <= len(dataset) <= 150
    assert sum(element.VR == "SQ" for element in dataset) >= 5
    assert sum(element.tag.is_private for element in dataset) >= 20


@pytest.mark.parametrize("syntax", ["rle", "jpegls"])
def test_compressed_series_hold_the_same(monkeypatch, tmp_path, syntax):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("CHUNKMED_BENCH_DIR", str(tmp_path))
    from benchmarks.series import SYNTAXES, Series, slice_of, stored_series

    series = Series(1, SIDE, syntax)
    (path,) = stored_series(series).iterdir()
    dataset = pydicom.dcmread(path)
    assert dataset.file_meta.TransferSyntaxUID == SYNTAXES[syntax]
    assert np.array_equal(dataset.pixel_array - 1024, slice_of(series, 0))


def test_nifti_is_turned(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    nibabel = pytest.importorskip("nibabel")
    from benchmarks.ingest_job import Nifti

    values = np.arange(24).reshape(2, 3, 4)
    # Stored left to right, back to front, head to feet.
    image = nibabel.Nifti1Image(values[::-1, ::-1, ::-1].T.astype(np.int16), np.diag([1, 1, -1, 1]))
    assert np.array_equal(Nifti(image)[0:1], values[0:1])


def test_every_part_of_an_ingest_is_a_function_of_the_package():
    # In a process of its own: parts are clocked by replacing them.
    code = "from benchmarks.ingest_parts import Parts; Parts()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)
