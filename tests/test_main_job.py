"""The main job from DICOM files to numbers, against closed-form truth and independent references."""

from __future__ import annotations

import csv
import hashlib
import json
import warnings
from pathlib import Path

import dask.array as da
import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr

import chunkmed as cm
from chunkmed import job
from chunkmed.coords import attach
from chunkmed.errors import InputError, StoreError
from chunkmed.grid import Grid
from chunkmed.job import JobResult, run_job
from chunkmed.recipe import load
from chunkmed.testing import BeatingEllipsoid, write_study


def run(recipe: str, source: Path, out: Path, **settings: object) -> JobResult:
    return run_job(load(recipe).with_parameters(settings), source, out)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


# Seeds that the phantom was not tuned on: only 0 to 24 were looked at.
@pytest.mark.parametrize("seed", [1001, 2002, 3003, 4004, 5005])
def test_phantom_volumes_and_ejection_fraction(seed, tmp_path):
    heart = BeatingEllipsoid.random(seed)
    write_study(tmp_path / "dicom", heart)
    result = run("ejection-fraction", tmp_path / "dicom", tmp_path / "out", seed={"lps": heart.center_lps})

    rows = read_csv(tmp_path / "out" / "table.csv")
    measured = np.array([float(row["volume_ml"]) for row in rows])
    assert [int(row["t"]) for row in rows] == list(range(heart.time_points))
    np.testing.assert_allclose(measured, heart.volumes_ml, rtol=0.03)
    assert abs(100 * heart.ejection_fraction - result.summary["ejection_fraction_percent"]) < 2
    times = np.array([float(row["time_ms"]) for row in rows])
    np.testing.assert_allclose(times, heart.grid.time_ms, atol=1e-2)


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[BeatingEllipsoid, JobResult, Path]:
    """A phantom, and the main job done with it: to read only."""
    heart, folder = BeatingEllipsoid.random(77), tmp_path_factory.mktemp("done")
    write_study(folder / "dicom", heart)
    result = run("ejection-fraction", folder / "dicom", folder / "out", seed={"lps": heart.center_lps})
    return heart, result, folder / "out"


def test_table_equals_plain_numpy_on_the_saved_labels(done):
    out = done[2]
    store = out / "image.zarr"
    image = xr.open_zarr(store, group="0").image
    labels = xr.open_zarr(store, group="labels/ventricle/0").image.values
    step = [float(np.diff(image[axis]).mean()) for axis in "zyx"]
    rows = read_csv(out / "table.csv")
    assert len(rows) == len(labels)
    for row, mask, values in zip(rows, labels, image.values, strict=True):
        inside = np.argwhere(mask == 1)
        inner = values[mask == 1].astype(float)
        assert int(row["count"]) == len(inside)
        assert float(row["volume_ml"]) == pytest.approx(len(inside) * np.prod(step) / 1000, rel=1e-5)
        assert float(row["mean"]) == pytest.approx(inner.mean(), rel=1e-12)
        assert float(row["standard_deviation"]) == pytest.approx(inner.std(), rel=1e-9)
        for n, axis in enumerate("zyx"):
            center = np.average(image[axis].values[inside[:, n]], weights=inner)
            assert float(row[f"center_of_mass_{axis}_mm"]) == pytest.approx(center, abs=1e-6)
    table = pq.read_table(out / "table.parquet").to_pydict()
    assert table["volume_ml"] == [float(row["volume_ml"]) for row in rows]


def test_every_output_is_there_and_says_what_was_done(done):
    heart, result, out = done
    names = {path.name for path in out.iterdir()}
    assert names == {path.name for path in result.files} == {
        "image.zarr", "table.parquet", "table.csv", "curve.parquet", "curve.csv", "summary.json",
        "picture.png", "assumptions.json", "provenance.json",
    }  # fmt: skip
    about = json.loads((out / "provenance.json").read_text())
    assert about["recipe"]["parameters"]["seed"]["lps"] == list(heart.center_lps)
    assert [record["step"] for record in about["history"]] == ["convert", "save"]
    assert about["versions"]["chunkmed"]
    assert any(
        "ordered by their position" in text for text in json.loads((out / "assumptions.json").read_text())
    )
    assert (out / "picture.png").read_bytes().startswith(b"\x89PNG")
    # Tidy: nothing temporary is left, and nothing of the patient.
    assert not [path for path in out.rglob("*") if ".partial" in path.name]
    text = b"".join(path.read_bytes() for path in out.rglob("*.json"))
    assert b"Doe" not in text and b"1.2.826" not in text


def test_given_labels_stand_in_for_the_segmentation(done, tmp_path):
    _, first, out = done
    labels = {"ventricle": f"{out}/image.zarr#ventricle"}
    second = run_job(load("ejection-fraction"), out / "image.zarr", tmp_path / "again", labels=labels)
    assert second.summary == first.summary
    assert (out / "table.csv").read_text() == (tmp_path / "again" / "table.csv").read_text()


def test_fmri(real_data, tmp_path):
    reference = json.loads((real_data / "REFERENCE.json").read_text())["mr_fmri_ge_4d"]
    result = run("threshold-objects", real_data / "mr_fmri_ge_4d", tmp_path)
    image = xr.open_zarr(tmp_path / "image.zarr", group="0").image
    assert list(image.shape) == reference["shape"]
    spacing = [float(np.diff(image[axis]).mean()) for axis in "zyx"]
    assert spacing == pytest.approx(reference["spacing_zyx"], abs=1e-4)
    values = image.values.astype("<f4")
    assert hashlib.sha256(values.tobytes()).hexdigest() == reference["sha256_rescaled_f4"]
    assert image.t.values.tolist() == [5000.0 * t for t in range(10)]
    assert len(read_csv(tmp_path / "curve.csv")) == 10
    assert result.summary["ed_index"] == np.argmax(result.table.volume_ml.sum("label").values)


def test_chest_ct(real_data, tmp_path):
    run("threshold-objects", real_data / "ct_chest_ge_cmbcrc", tmp_path, below=-400, above="none")
    rows = read_csv(tmp_path / "table.csv")
    # The lungs with the airways, and the air in the table that the patient lies on.
    assert [round(float(row["volume_ml"])) for row in rows] == [1590, 835]
    assert float(rows[0]["center_of_mass_y_mm"]) < float(rows[1]["center_of_mass_y_mm"])
    assert not (tmp_path / "curve.csv").exists()


def test_cine_without_geometry(real_data, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = real_data / "mr_cine_philips_singleslice_multiframe"
        run("ejection-fraction", source, tmp_path, seed={"voxel": [0, 130, 130]}, radius=40)
    assert any("no geometry" in str(item.message) for item in caught)
    rows = read_csv(tmp_path / "curve.csv")
    times = [float(row["time_ms"]) for row in rows]
    assert len(times) == 16
    np.testing.assert_allclose(np.diff(times), 69.47)
    areas = [float(row["area_px"]) for row in rows]
    labels = xr.open_zarr(tmp_path / "image.zarr", group="labels/ventricle/0").image.values
    assert areas == [int((frame == 1).sum()) for frame in labels]
    assert any("area_px" in text for text in json.loads((tmp_path / "assumptions.json").read_text()))


def small_ct(path, value=0):
    grid = Grid(*(tuple(np.arange(n) * 2.0) for n in (6, 20, 20)), time_ms=(0.0,))
    values = np.full((1, 6, 20, 20), value, np.int16)
    values[:, :, 4:9, 4:9] = 1000
    cm.save(attach(da.from_array(values, chunks=values.shape), grid, attrs={"modality": "CT"}), path)
    return path


def test_what_cannot_be_done_is_refused_before_anything_is_written(tmp_path):
    source, out = small_ct(tmp_path / "ct.zarr"), tmp_path / "out"
    for settings in ({"above": "abc"}, {"clear": ["w"]}, {"above": [1]}):
        with pytest.raises(InputError):
            run("threshold-objects", source, out, **settings)
    with pytest.raises(InputError, match="outside"):
        run("ejection-fraction", source, out, seed={"lps": [0, 0, 999]})
    assert not out.exists()


def test_the_corrected_command_goes_on(tmp_path, monkeypatch):
    source, out = small_ct(tmp_path / "ct.zarr"), tmp_path / "out"
    # The image and its label image are there, and nothing beyond.
    monkeypatch.setattr(job, "write_table", failing)
    with pytest.raises(StoreError) as failed:
        run("threshold-objects", source, out, above=500, clear=[])
    monkeypatch.undo()
    assert "image.zarr" in failed.value.kept and "corrected command" in failed.value.kept
    shard = out / "image.zarr" / "0" / "image" / "c" / "0" / "0" / "0" / "0"
    image = shard.stat().st_ino
    assert cm.open_labels(out / "image.zarr").max() == 1
    result = run("threshold-objects", source, out, above=500)
    assert shard.stat().st_ino == image
    assert float(result.table.volume_ml.values.sum()) == 6 * 5 * 5 * 8 / 1000
    # Now it is a result.
    with pytest.raises(StoreError, match="exists"):
        run("threshold-objects", source, out, above=500)
    with pytest.raises(StoreError, match="exists"):
        run("threshold-objects", source, out, above=500)


def failing(*_):
    raise StoreError("the disk is full", kind="unwritable")


def test_another_image_replaces_what_a_failed_call_left(tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr(job, "write_table", failing)
    with pytest.raises(StoreError):
        run("threshold-objects", small_ct(tmp_path / "a.zarr"), out, above=500)
    monkeypatch.undo()
    run("threshold-objects", small_ct(tmp_path / "b.zarr", value=7), out, above=500)
    assert int(cm.open(out / "image.zarr").min()) == 7


def test_an_image_of_somebody_else_is_left_alone(tmp_path):
    source, out = small_ct(tmp_path / "ct.zarr"), tmp_path / "out"
    small_ct(out / "image.zarr", value=7)
    for _ in range(2):
        with pytest.raises(StoreError, match="exists") as refused:
            run("threshold-objects", source, out, above=500)
        assert not refused.value.kept
    assert int(cm.open(out / "image.zarr").min()) == 7
