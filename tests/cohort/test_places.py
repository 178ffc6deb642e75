"""Where cases come from: trees, stores, manifests, patterns; the user's own ids."""

import csv
import json
import os
from pathlib import Path

import cohort_functions as functions
import numpy as np
import pytest
from small_stores import write_store

import chunkmed as cm
from chunkmed.cohort.places import places_in
from chunkmed.errors import InputError, SourceError
from chunkmed.grid import Grid
from chunkmed.testing import write_series


def series(folder: Path, seed: int, modality: str = "CT", slices: int = 3, **tags: object) -> None:
    grid = Grid(tuple(np.arange(slices) * 3.0), (0.0, 1.0, 2.0), (0.0, 1.0, 2.0, 3.0))
    write_series(
        folder, lambda t, z: np.full((3, 4), seed + z), grid,
        modality=modality, shuffle_seed=seed, extra_tags=tags, slice_gap_mm=0.0,
    )  # fmt: skip


def found(root: Path, tmp_path: Path, **settings: object) -> list[dict[str, object]]:
    return cm.cohort.plan(root, tmp_path / "out", recipe=functions.value, **settings).cases()


@pytest.fixture
def tree(tmp_path) -> Path:
    """Two patients with two visits, one with CT and scout in one folder; a store; odd things."""
    root = tmp_path / "tree"
    series(root / "pat-01" / "v1" / "a", 1)
    series(root / "pat-01" / "v1" / "b", 2, "MR")
    series(root / "pat-01" / "v2", 3, slices=5)
    series(root / "pat-02" / "v1", 4)
    series(root / "pat-02" / "v1", 5, slices=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    (root / "pat-02" / "v1" / "notes.txt").write_text("x")
    (root / "pat-03" / "v1").mkdir(parents=True)
    write_store(root / "pat-04" / "v1.zarr", 5)
    (root / ".hidden").mkdir()
    return root


def test_pattern_names_cases_and_columns(tree, tmp_path):
    rows = found(tree, tmp_path, case_id="pat-{case}/{visit}")
    assert [(row["case_id"], row.get("visit"), row["modality"], row["n_slices"]) for row in rows] == [
        ("01", "v1", "CT", 3), ("01", "v1", "MR", 3), ("01", "v2", "CT", 5),
        ("02", "v1", "CT", 3), ("02", "v1", "CT", 1), ("03", "v1", None, None), ("04", "v1", "CT", 2),
    ]  # fmt: skip
    assert [row["selected"] for row in rows] == [True, True, True, True, False, True, True]
    assert rows[4]["localizer"] and "files-skipped" in rows[3]["flags"]
    assert "several-of-case" in rows[0]["flags"]
    assert rows[5]["problem"] == "no-dicom" and str(tree) not in rows[5]["why"]
    assert len({row["case"] for row in rows}) == 7
    assert found(tree, tmp_path, case_id="pat-{case}/{visit}") == rows


def test_where(tree, tmp_path):
    rows = found(tree, tmp_path, where="modality == 'CT' and n_slices >= 3", case_id="pat-{case}/{visit}")
    # What cannot be read cannot be told apart: it stays, and will say so.
    assert [row["case_id"] for row in rows if row["selected"]] == ["01", "01", "02", "03"]
    rows = found(tree, tmp_path, where="visit == 'v2'", case_id="pat-{case}/{visit}")
    assert [row["case_id"] for row in rows if row["selected"]] == ["01", "03"]


def test_first_level_folders_are_cases(tree, tmp_path):
    assert [(place.name, place.form) for place in places_in(tree)] == [
        ("pat-01", "dicom"), ("pat-02", "dicom"), ("pat-03", "dicom"), ("pat-04/v1.zarr", "store"),
    ]  # fmt: skip
    assert [place.name for place in places_in(tree / "pat-01" / "v2")] == ["."]
    assert [place.name for place in places_in(tree / "pat-04" / "v1.zarr")] == ["."]


def test_manifest_gives_ids_and_its_missing_rows_are_cases(tree, tmp_path):
    table = tmp_path / "clinical.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["path", "study id"], ["pat-01/v2", "A-7"], ["pat-02", "B, 8"], ["pat-09", "C-9"]])
    rows = found(tree, tmp_path, case_id=f"{table}:study id")
    ids = {(row["case_id"], row["problem"]) for row in rows if row["selected"]}
    assert ids == {
        ("A-7", ""), ("B, 8", ""), ("C-9", "no-such-path"), ("pat-03", "no-dicom"), ("pat-04/v1", ""),
    }  # fmt: skip
    assert "no-case-id" in next(row["flags"] for row in rows if row["case_id"] == "pat-03")


def test_a_manifest_as_root(tree, tmp_path):
    table = tree / "list.csv"
    table.write_text("path,case_id\npat-02/v1,two\npat-01/v2,one\n")
    assert [row["case_id"] for row in found(table, tmp_path) if row["selected"]] == ["one", "two"]
    with pytest.raises(SourceError, match="no column 'name'"):
        found(table, tmp_path, case_id="name")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("path,case_id\n,two\n", "line 2 names no path"),
        ("path,case_id\npat-02/v1,two,three\n", "line 2 has more values"),
        ("path,case_id,path\npat-02/v1,two,pat-01\n", "several columns 'path'"),
        ('path,case_id\n"pat-02/v1,two\n', "unexpected end"),
        ("path;case_id\npat-02/v1;two\n", "commas"),
    ],
)
def test_manifests_that_nobody_can_be_sure_of(text, why, tree, tmp_path):
    table = tree / "list.csv"
    table.write_text(text)
    with pytest.raises(SourceError, match=why) as refused:
        found(table, tmp_path, case_id="case_id")
    assert refused.value.kind == "bad-manifest"


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"where": "n_slcies > 3"}, "bad-where"),
        # Known of those only that were chosen.
        ({"where": "peak_bytes < 8e9"}, "bad-where"),
        ({"case_id": "{visit}"}, "bad-case-id"),
        ({"case_id": "no.csv:id"}, "bad-manifest"),
        ({"labels": "{case}.zarr"}, "bad-labels"),
        ({"labels": {"mask": "{who}.zarr"}}, "bad-labels"),
        ({"parameters": {"a": 1}}, "bad-setting"),
    ],
)
def test_what_is_wrong_with_all_is_said_at_once(settings, kind, tree, tmp_path):
    with pytest.raises((InputError, SourceError)) as caught:
        found(tree, tmp_path, **settings)
    assert caught.value.kind == kind
    assert not (tmp_path / "out").exists()


def test_nothing_there(tmp_path):
    (tmp_path / "empty").mkdir()
    for path, kind in ((tmp_path / "empty", "no-cases"), (tmp_path / "nowhere", "no-such-path")):
        with pytest.raises(SourceError) as caught:
            found(path, tmp_path)
        assert caught.value.kind == kind


def test_names_that_are_not_utf8(tmp_path):
    root = tmp_path / "tree"
    series(root / "good", 1)
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe")).mkdir()
    rows = found(root, tmp_path)
    assert [row["problem"] for row in rows] == ["", "bad-name"]


def test_masks_of_each_case(tmp_path):
    root = tmp_path / "in"
    for number in range(3):
        write_store(root / f"p{number}" / "image.zarr", number)
        if number != 2:
            write_store(root / f"p{number}" / "seg.zarr", number)
    table = root / "list.csv"
    table.write_text("path,case_id\n" + "".join(f"p{n}/image.zarr,p{n}\n" for n in range(3)))
    cohort = cm.cohort.plan(
        table, tmp_path / "out", recipe=functions.masked, labels={"mask": "{case}/seg.zarr"}, memory="2 GB"
    )
    status = cohort.run()
    assert (status.done, status.failed) == (2, 1)
    assert cohort.table()["voxels"].to_pylist() == [0, 32]
    record = json.loads(
        next(p for p in (tmp_path / "out").rglob("record.json") if "failed" in p.read_text()).read_text()
    )
    assert (record["case_id"], record["kind"]) == ("p2", "no-such-path")


def test_no_patient_in_what_is_written(tmp_path):
    series(tmp_path / "tree" / "Doe^John", 1, PatientName="Doe^John", PatientID="PRIVATE-MARK")
    found(tmp_path / "tree", tmp_path, case_id=None)
    rows = cm.cohort.open(tmp_path / "out").cases()
    assert rows[0]["case_id"] == "Doe^John"  # the user's own name of the folder
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert b"PRIVATE-MARK" not in path.read_bytes()
