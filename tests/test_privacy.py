"""Nothing that identifies a patient leaves the input: markers in every element, searched in every output."""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset

import chunkmed as cm
from chunkmed import private, store
from chunkmed.dicom import described, scan
from chunkmed.errors import ChunkmedError
from chunkmed.grid import Grid
from chunkmed.job import run_job
from chunkmed.kinds import KINDS
from chunkmed.recipe import load
from chunkmed.testing import write_series

MARK = "ZQX"
#: What an image needs to be read, and what the allow-list keeps: as it is.
NEEDED = frozenset(
    ("SOPClassUID", "Modality", "SpecificCharacterSet", "PhotometricInterpretation", "FrameIncrementPointer")
)
_TEXT = {
    "AE": "{}", "CS": "{}", "SH": "{}", "LO": "{}", "LT": "{}", "ST": "{}", "UT": "{}", "UC": "{}",
    "PN": "{}^Jane", "UR": "http://{}", "AS": "{}", "DA": "{}", "TM": "{}", "DT": "{}",
}  # fmt: skip


def values(t: int, z: int) -> np.ndarray:
    y, x = np.indices((24, 32))
    return np.where((y - 12) ** 2 + (x - 16) ** 2 < 49, 900, 10 + t + z)


def grid(slices: int = 5) -> Grid:
    axes = (tuple(np.arange(n) * step) for n, step in ((slices, 3.0), (24, 1.0), (32, 1.0)))
    return Grid(*axes, time_ms=(0.0,))


def marked(folder: Path, *, slices: int = 5) -> list[Path]:
    """Write a series with a marker in every element that can hold text, nested and private ones too."""
    paths = write_series(folder / f"{MARK}-folder", values, grid(slices), modality="CT")
    out = []
    for number, path in enumerate(paths):
        dataset = pydicom.dcmread(path)
        plant(dataset)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.773519.{number}"
        dataset.file_meta.ImplementationVersionName = MARK
        dataset.file_meta.SourceApplicationEntityTitle = MARK
        dataset.preamble = MARK.encode().ljust(128, b"\0")
        out.append(path.with_name(f"{MARK}^NAME-{number}.dcm"))
        dataset.save_as(out[-1], enforce_file_format=True)
        path.unlink()
    return out


def plant(dataset: Dataset) -> None:
    nested = Dataset()
    for keyword, (vr, *_) in DICTIONARY.items():
        if keyword in NEEDED:
            continue
        if vr in _TEXT:
            setattr(nested, keyword, _TEXT[vr].format(MARK))
        elif vr == "UI":
            setattr(nested, keyword, "1.2.826.773519.7")
    nested.add_new(0x00990010, "LO", f"{MARK} creator")
    nested.add_new(0x00991001, "LT", f"{MARK} private")
    nested.add_new(0x00991002, "UN", f"{MARK} raw".encode())
    for element in nested:
        if element.tag not in dataset or element.VR in (*_TEXT, "UI"):
            dataset[element.tag] = element
    # As deep as functional groups go, in sequences that are read and in others.
    for keyword in (
        "ReferencedStudySequence",
        "RadiopharmaceuticalInformationSequence",
        "OtherPatientIDsSequence",
    ):
        inner = Dataset()
        inner.ReferencedImageSequence = [nested]
        inner.update(nested)
        setattr(dataset, keyword, [inner])
    dataset.add_new(0x00991003, "SQ", [nested])
    dataset.ImageType = ["ORIGINAL", "PRIMARY", MARK]
    dataset.BurnedInAnnotation = "YES"


#: Command sets, file meta and directory elements have no place in a data set.
_NOT_HERE = (0x0000, 0x0002, 0x0004, 0x7FE0)
DICTIONARY = {
    row[4]: (row[0],) for tag, row in DicomDictionary.items() if row[4] and tag >> 16 not in _NOT_HERE
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    before = pydicom.config.settings.writing_validation_mode
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    try:
        folder = tmp_path_factory.mktemp("in")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            marked(folder)
        yield folder
    finally:
        pydicom.config.settings.writing_validation_mode = before


def found(text: str | bytes) -> bool:
    raw = text if isinstance(text, bytes) else str(text).encode("utf-8", "backslashreplace")
    return MARK.encode() in raw or b"773519" in raw


def leaks(folder: Path) -> list[str]:
    """Return the files below a folder that hold a marker, in their names too."""
    out = []
    for path in sorted(folder.rglob("*")):
        raw = path.read_bytes() if path.is_file() else b""
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            raw += repr((table.to_pydict(), table.schema.metadata)).encode()
        if found(raw) or found(path.relative_to(folder).as_posix()):
            out.append(path.relative_to(folder).as_posix())
    return out


def test_the_markers_are_there(study):
    """Else nothing below would mean anything."""
    paths = sorted(study.rglob("*.dcm"))
    raw = paths[0].read_bytes()
    assert raw.count(MARK.encode()) > 5000 and raw.count(b"773519") > 500
    assert all(found(path.name) and found(path.parent.name) for path in paths)


def test_no_marker_leaves_a_job(study, tmp_path, caplog, capfd):
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        chosen = load("threshold-objects").with_parameters({"below": "none", "above": 500})
        result = run_job(chosen, study, tmp_path / "out")
    assert result.table.sizes["label"] == 1
    assert leaks(tmp_path / "out") == []
    umask = os.umask(0o022)
    os.umask(umask)
    tables = [path for path in (tmp_path / "out").iterdir() if path.is_file() and path.suffix != ".lock"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in tables} == {0o666 & ~umask}
    said = [*caplog.messages, *(str(item.message) for item in told), *capfd.readouterr(), repr(result)]
    assert [text for text in said if found(text)] == []
    assert any("burned into the pixels" in str(item.message) for item in told)
    assert any("burned into the pixels" in text for text in result.assumptions)


def test_no_marker_in_images_graphs_and_listings(study):
    image = cm.open(study)
    keys = [str(key) for key in image.data.__dask_graph__()]
    assert keys and not [key for key in keys if found(key)]
    assert not found(repr(image)) and not found(repr(image.attrs)) and not found(image.data.name)
    told = scan(study)
    (stack,) = told.stacks
    assert not found(json.dumps(described(told)))
    assert not found(repr((stack.attributes, stack.assumptions, stack.warnings, stack.flags, stack.key)))


# -- errors -------------------------------------------------------------------------------------


def gone(paths: list[Path]) -> None:
    paths[1].unlink()


def copied(paths: list[Path]) -> None:
    dataset = pydicom.dcmread(paths[1])
    dataset.SOPInstanceUID = "1.2.826.773519.99"
    dataset.PixelData = dataset.PixelData[::-1]
    dataset.save_as(paths[1].with_name(f"{MARK}-copy.dcm"))


def changed(keyword: str, value: object):
    def change(paths: list[Path]) -> None:
        dataset = pydicom.dcmread(paths[1])
        setattr(dataset, keyword, value)
        dataset.save_as(paths[1])

    return change


def emptied(paths: list[Path]) -> None:
    for path in paths:
        path.write_text(MARK)


FAULTS = {
    "missing-slices": gone,
    "duplicate-position": copied,
    "bad-rescale": changed("RescaleSlope", 0),
    "contradicting-positions": changed("SliceLocation", "77"),
    "no-dicom": emptied,
    "unsupported-object": changed("PhotometricInterpretation", MARK),
    "several-series": changed("SeriesInstanceUID", "1.2.826.773519.1"),
    "bad-position": changed("ImagePositionPatient", [1, 2]),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_no_marker_in_errors(study, tmp_path, kind):
    paths = []
    for z, path in enumerate(sorted(study.rglob("*.dcm"))):
        paths.append(tmp_path / f"{MARK}-sub" / path.name)
        paths[-1].parent.mkdir(exist_ok=True)
        dataset = pydicom.dcmread(path)
        dataset.SliceLocation = str(dataset.ImagePositionPatient[2])
        dataset.AcquisitionNumber = dataset.InstanceNumber = z + 1
        dataset.save_as(paths[-1])
    FAULTS[kind](paths)
    with pytest.raises(ChunkmedError) as caught:
        cm.convert(tmp_path, tmp_path / "out.zarr")
    error = caught.value
    assert error.kind in (kind, "missing-slices") and error.kind in KINDS, error
    chain = [error, error.__cause__, error.__context__]
    assert not any(found(repr(one)) or found(str(one)) for one in chain if one)
    assert not found(json.dumps(error.as_dict()))
    # The user can find out which file is meant.
    for identifier in re.findall(r"file ([0-9a-f]{12})", str(error)):
        assert found(" ".join(private.paths_of(identifier)))


def test_reading_errors_hold_no_marker(study, tmp_path):
    (path,) = marked(tmp_path / "one", slices=1)
    stack = scan(path).select()
    os.utime(path, ns=(1, 1))
    said = [reading(stack)]
    path.unlink()
    said.append(reading(stack))
    assert [error.kind for error in said] == ["file-changed", "file-vanished"]
    assert not any(found(str(error)) for error in said)
    assert all(error.series == stack.key and private.paths_of(error.file) == [str(path)] for error in said)


def reading(stack) -> ChunkmedError:
    with pytest.raises(ChunkmedError) as caught:
        stack.read([(0, size) for size in stack.shape])
    return caught.value


# -- what is kept on request, and what is private -------------------------------------------------


def test_phi_is_kept_where_it_is_asked_for(tmp_path):
    write_series(tmp_path / "in", values, grid(), modality="CT")
    kept = cm.convert(tmp_path / "in", tmp_path / "kept.zarr", keep_phi=True)
    about = kept.attrs["identifying"]
    assert about["PatientName"] == "Phantom^Beating" and about["StudyDate"] == "20200101"
    assert about["SeriesInstanceUID"].count(".") > 3
    plain = cm.convert(tmp_path / "in", tmp_path / "plain.zarr")
    assert "identifying" not in plain.attrs
    assert b"Phantom" not in b"".join(p.read_bytes() for p in (tmp_path / "plain.zarr").rglob("*.json"))


def test_key_and_map_are_private_and_stores_follow_the_umask(tmp_path):
    code = (
        "import os, sys; os.umask(0o027); import chunkmed as cm; from chunkmed import private\n"
        "image = cm.convert(sys.argv[1], sys.argv[2])\n"
        "print(private.file_identifier(sys.argv[1] + '/a.dcm'), image.attrs)"
    )
    write_series(tmp_path / "in", values, grid(2), modality="CT")
    key = tmp_path / "keys" / "project.key"
    environment = os.environ | {"CHUNKMED_KEY_FILE": str(key)}
    words = [sys.executable, "-c", code, str(tmp_path / "in"), str(tmp_path / "out.zarr")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    beside = {path.name: stat.S_IMODE(path.stat().st_mode) for path in key.parent.iterdir()}
    assert beside == {"project.key": 0o600, "project.key.map": 0o600}
    assert stat.S_IMODE(key.parent.stat().st_mode) & 0o077 == 0
    noted = [json.loads(line) for line in (key.parent / "project.key.map").read_text().splitlines()]
    assert {"identifier": done.stdout.split()[0], "path": str(tmp_path / "in" / "a.dcm")} in noted
    assert str(tmp_path / "in") in {record["path"] for record in noted}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out.zarr").rglob("*")}
    assert modes == {0o640, 0o750}
    # Neither the key nor the map lies in the store.
    secret = key.read_bytes()
    whole = [path.read_bytes() for path in (tmp_path / "out.zarr").rglob("*") if path.is_file()]
    assert not any(secret in raw or secret.hex().encode() in raw for raw in whole)
    assert not any(str(tmp_path / "in").encode() in raw for raw in whole)


def test_stores_hold_json_and_shards_and_are_read_without_unpickling(tmp_path, monkeypatch):
    write_series(tmp_path / "in", values, grid(2), modality="CT")
    image = cm.convert(tmp_path / "in", tmp_path / "out.zarr")
    cm.save(image > 500, tmp_path / "out.zarr", name="bright")
    for path in (tmp_path / "out.zarr").rglob("*"):
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.is_file():
            # A shard or a coordinate: its place says so, and its bytes are no pickle.
            assert "c" in path.relative_to(tmp_path).parts, path
            assert not pickled(path.read_bytes())

    def refused(*_: object) -> None:
        raise AssertionError("a store is unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refused)
    store.open_image(tmp_path / "out.zarr")
    assert store.verify(tmp_path / "out.zarr") == []


def pickled(raw: bytes) -> bool:
    try:
        pickle.loads(raw)
    except Exception:
        return False
    return True


def test_loose_modes_are_tightened(tmp_path, monkeypatch):
    monkeypatch.setenv("CHUNKMED_KEY_FILE", str(tmp_path / "loose.key"))
    place = private.map_file()
    place.touch(mode=0o666)
    place.chmod(0o666)
    private.note("abcdef012345", "/in/a.dcm")
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert private.paths_of("abcdef") == ["/in/a.dcm"]


def test_a_map_that_is_a_link_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setenv("CHUNKMED_KEY_FILE", str(tmp_path / "linked.key"))
    (tmp_path / "victim").write_text("precious")
    private.map_file().symlink_to(tmp_path / "victim")
    private.note("00112233aabb", "/in/b.dcm")
    assert (tmp_path / "victim").read_text() == "precious"
    assert private.paths_of("00112233aabb") == ["/in/b.dcm"]
