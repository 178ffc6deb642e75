"""The quick way to a header gives what pydicom gives, or leaves the file to pydicom."""

import os
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from chunkmed.dicom import elements, many, read, scan
from chunkmed.dicom.quick import quick_dataset, recalled
from chunkmed.dicom.tags import integer, numbers, text, value
from chunkmed.dicom.walk import find_files

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
pytestmark = pytest.mark.filterwarnings("ignore")


@contextmanager
def only_pydicom():
    quickly, read._quickly = read._quickly, lambda *_: None
    try:
        yield
    finally:
        read._quickly = quickly


def outcome(path):
    """Return all that is kept of a file as text, or why nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            header, frames = read.read_header(str(path))
        except read.NotAnImageError as error:
            return f"refused: {error}"
    return f"{header!r} {header.problem} {frames!r}"


def is_quick(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return quick_dataset(descriptor) is not None
    finally:
        os.close(descriptor)


def agree(path):
    quick = outcome(path)
    with only_pydicom():
        assert quick == outcome(path), path
    return quick


def dataset(**tags):
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID, made.SeriesInstanceUID = CTImageStorage, "1.2.3", "1.2.3.4"
    made.FrameOfReferenceUID, made.Modality, made.Manufacturer = "1.2.5", "CT", "Maker"
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.ImagePositionPatient, made.ImageOrientationPatient = [-1.5, 2, "3.25e1"], [1, 0, 0, 0, 1, 0]
    made.PixelSpacing, made.SliceThickness, made.InstanceNumber = ["0.50", ".75"], "2", "7"
    made.AcquisitionTime, made.SeriesDescription = "101112.25", "chest "
    made.Rows, made.Columns, made.SamplesPerPixel = 4, 6, 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 1
    made.RescaleSlope, made.RescaleIntercept = "1", "-1024"
    made.PixelData = bytes(48)
    made["PixelData"].VR = "OW"
    for keyword, given in tags.items():
        setattr(made, keyword, given)
    return made


def save(path, made, syntax=ExplicitVRLittleEndian):
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = (
        CTImageStorage,
        "1.2.3",
    )
    made.file_meta.TransferSyntaxUID = syntax
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    made.save_as(path, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    return path


def private(made):
    for group, creator in (
        (0x0019, "SIEMENS MR HEADER"),
        (0x0043, "GEMS_PARM_01"),
        (0x2001, "Philips Imaging"),
    ):
        block = made.private_block(group, creator, create=True)
        for element, vr, given in (
            (0x0C, "IS", "800"),
            (0x0E, "FD", [0.0, 0.6, 0.8]),
            (0x39, "IS", [1000000500, 8]),
        ):
            block.add_new(element, vr, given)
        block.add_new(0x03, "FL", 700.0)
        block.add_new(0x77, "UN", b"odd")
    return made


def nested(made, depth, undefined):
    inner = Dataset()
    inner.CodeValue, inner.CodeMeaning = "T-1", "meaning"
    for _ in range(depth):
        outer = Dataset()
        outer.ConceptNameCodeSequence = Sequence([inner, Dataset()])
        outer["ConceptNameCodeSequence"].is_undefined_length = undefined
        outer.is_undefined_length_sequence_item = inner.is_undefined_length_sequence_item = undefined
        inner = outer
    made.ProcedureCodeSequence = Sequence([inner])
    made["ProcedureCodeSequence"].is_undefined_length = undefined
    return made


MADE = {
    "plain": dataset,
    "empty values": lambda: dataset(
        Manufacturer="", SliceThickness=None, AcquisitionTime="", PixelSpacing=None
    ),
    "several values": lambda: dataset(
        Manufacturer=["A", "B"], SliceThickness=["1", "2"], InstanceNumber=[3, 4]
    ),
    "spaces": lambda: dataset(SeriesDescription="  a \\ b ", ProtocolName=" ", ImageType=["A ", " B"]),
    "padding value": lambda: dataset(PixelPaddingValue=-2000),
    "latin": lambda: dataset(SpecificCharacterSet="ISO_IR 100", SeriesDescription="Schädel"),
    "utf-8": lambda: dataset(SpecificCharacterSet="ISO_IR 192", SeriesDescription="胸部", ProtocolName="ä"),
    "japanese": lambda: dataset(SpecificCharacterSet=["", "ISO 2022 IR 87"], SeriesDescription="胸部 CT"),
    "unknown set": lambda: dataset(SpecificCharacterSet="KLINGON", SeriesDescription="plain"),
    "private": lambda: private(dataset(Manufacturer="SIEMENS")),
    "private GE": lambda: private(dataset(Manufacturer="GE MEDICAL")),
    "private Philips": lambda: private(dataset(Manufacturer="Philips")),
    "no instance": lambda: dataset(SOPInstanceUID="", SeriesInstanceUID=""),
    "long header": lambda: dataset(PatientComments="x" * 9000, TextValue="y" * 70_000, RescaleType="HU"),
    "sequences": lambda: nested(dataset(), 3, False),
    "undefined lengths": lambda: nested(dataset(), 3, True),
    "lookup table": lambda: dataset(ModalityLUTSequence=Sequence([dataset()])),
    "no image": lambda: dataset(Rows=0),
    "frames": lambda: dataset(NumberOfFrames=2, FrameTime="4.5", FrameIncrementPointer=0x00181063),
}


@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit", "big-endian"])
@pytest.mark.parametrize("name", MADE)
def test_made_files_by_both_ways(name, syntax, tmp_path, monkeypatch):
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)
    path = save(tmp_path / "a", MADE[name](), syntax)
    agree(path)
    assert is_quick(path)
    for name_of_limit in ("_FIRST_BYTES", "_NEXT_BYTES"):
        monkeypatch.setattr(elements, name_of_limit, 400)
    agree(path)
    assert is_quick(path)


def test_real_files_by_both_ways(data):
    images = quick = 0
    for path, reason in find_files(data):
        if not reason and not agree(path).startswith("refused"):
            images += 1
            quick += is_quick(path)
    # The others: functional groups, a deflated file, files without preamble.
    assert quick >= 0.95 * images


def test_functional_groups_and_deep_sequences_are_left_to_pydicom(tmp_path):
    groups = dataset(SharedFunctionalGroupsSequence=Sequence([Dataset()]))
    assert not is_quick(save(tmp_path / "groups", groups))
    path = save(tmp_path / "deep", nested(dataset(), 120, True))
    assert not is_quick(path)
    agree(path)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=["explicit", "implicit", "big-endian"])
def test_damaged_files_by_both_ways(syntax, tmp_path):
    made = private(nested(dataset(SpecificCharacterSet="ISO_IR 100", Manufacturer="SIEMENS"), 2, True))
    path = save(tmp_path / "a", made, syntax)
    good = path.read_bytes()
    rng = np.random.default_rng(len(good))
    for _ in range(200):
        bad = bytearray(good)
        for place in rng.integers(120, len(bad) - 48, rng.integers(1, 4)):
            bad[place] = rng.choice([0, 1, 32, 255, int(rng.integers(256))])
        path.write_bytes(bad)
        agree(path)
    for cut in rng.integers(0, len(good), 40):
        path.write_bytes(good[:cut])
        assert agree(path).startswith("refused")


def test_values_are_recalled_by_the_bytes_that_were_read(tmp_path):
    calls = []

    @recalled
    def chosen(dataset, keyword):
        calls.append(keyword)
        if value(dataset, "InstanceNumber", integer) == 1:
            return value(dataset, keyword, text)
        return value(dataset, "PixelSpacing", numbers)

    def ask(**tags):
        descriptor = os.open(save(tmp_path / "a", dataset(**tags)), os.O_RDONLY)
        try:
            return chosen(quick_dataset(descriptor)[0], "SeriesDescription")
        finally:
            os.close(descriptor)

    assert [ask(InstanceNumber=1), ask(InstanceNumber=1, PixelSpacing=[3, 4])] == ["chest", "chest"]
    assert len(calls) == 1
    assert ask(InstanceNumber=2) == (0.5, 0.75) and ask(InstanceNumber=2, PixelSpacing=[3, 4]) == (3.0, 4.0)
    assert ask(InstanceNumber=1, SeriesDescription="other") == "other" and len(calls) == 4
    assert ask(InstanceNumber=2) == (0.5, 0.75) and ask(InstanceNumber=1) == "chest" and len(calls) == 4


def test_threads_read_where_the_disk_is_waited_for(tmp_path, monkeypatch):
    for i in range(300):
        save(
            tmp_path / f"{i:03d}",
            dataset(InstanceNumber=i, SOPInstanceUID=f"1.2.{i}", ImagePositionPatient=[0, 0, i]),
        )

    under_way, most = [], []

    def slow(path):
        under_way.append(path)
        most.append(len(under_way))
        time.sleep(0.003)
        under_way.remove(path)
        return read.read_header(path)

    expected = scan(tmp_path).select()
    monkeypatch.setattr(many, "read_header", slow)
    done = []
    stack = scan(tmp_path, progress=lambda *pair: done.append(pair)).select()
    assert done == [(i + 1, 300) for i in range(300)]
    assert max(most) > 1
    assert stack.token == expected.token and stack.shape[1] == 300


def test_folders_nested_deeper_than_python_calls(tmp_path, monkeypatch):
    depth = 1200
    monkeypatch.chdir(tmp_path)
    for _ in range(depth):
        Path("d").mkdir()
        os.chdir("d")
    Path("file").touch()
    found = list(find_files(tmp_path))
    Path("file").unlink()
    for _ in range(depth):
        os.chdir("..")
        Path("d").rmdir()
    assert [reason for _, reason in found] == [""]
