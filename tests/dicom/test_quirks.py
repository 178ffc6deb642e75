"""Vendor rules, and what may leave the headers as attributes."""

import json
import struct

import numpy as np
import pydicom
import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage, generate_uid

from chunkmed.dicom import scan
from chunkmed.dicom.quirks import QUIRKS, stand_ins

SERIES, FRAME = generate_uid(), generate_uid()


def write(path, z=0.0, private=(), syntax=ExplicitVRLittleEndian, **tags):
    """Write one small slice; ``private`` is rows of group, creator, element, VR, value."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, generate_uid()
    dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = SERIES, FRAME
    dataset.Modality = "MR"
    dataset.ImagePositionPatient = [0, 0, z]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [1, 1]
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 2, 3, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 0
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    for group, creator, element, vr, value in private:
        dataset.private_block(group, creator, create=True).add_new(element, vr, value)
    pixels = tags.get("PixelData", np.arange(6, dtype=np.uint16).tobytes())
    dataset.PixelData = pixels
    dataset["PixelData"].VR = "OW"
    dataset.save_as(path, enforce_file_format=True)


SIEMENS = (0x0019, "SIEMENS MR HEADER")
GE_B, GE_DIRECTION = (0x0043, "GEMS_PARM_01"), (0x0019, "GEMS_ACQU_01")
PHILIPS_B, PHILIPS = (0x2001, "Philips Imaging DD 001"), (0x2005, "Philips MR Imaging DD 001")
UIH = (0x0065, "Image Private Header")
#: Manufacturer -> the elements of one volume without a gradient and of two with.
DIFFUSION = {
    "SIEMENS": [
        [(*SIEMENS, 0x0C, "IS", "0")],
        [(*SIEMENS, 0x0C, "IS", "1000"), (*SIEMENS, 0x0E, "FD", [1.0, 0.0, 0.0])],
        [(*SIEMENS, 0x0C, "IS", "1000"), (*SIEMENS, 0x0E, "FD", [0.0, 1.0, 0.0])],
    ],
    "GE MEDICAL SYSTEMS": [
        [
            (*GE_B, 0x39, "IS", [b, 8, 0, 0]),
            *((*GE_DIRECTION, 0xBB + i, "DS", part) for i, part in enumerate(v)),
        ]
        for b, v in ((0, (0, 0, 0)), (1000001000, (1, 0, 0)), (1000001000, (0, 1, 0)))
    ],
    "Philips Medical Systems": [
        [(*PHILIPS_B, 0x03, "FL", b), *((*PHILIPS, 0xB0 + i, "FL", part) for i, part in enumerate(v))]
        for b, v in ((0.0, (0.0, 0.0, 0.0)), (1000.0, (1.0, 0.0, 0.0)), (1000.0, (0.0, 1.0, 0.0)))
    ],
    "UIH": [
        [(*UIH, 0x09, "FD", 0.0)],
        [(*UIH, 0x09, "FD", 1000.0), (*UIH, 0x37, "FD", [1.0, 0.0, 0.0])],
        [(*UIH, 0x09, "FD", 1000.0), (*UIH, 0x37, "FD", [0.0, 1.0, 0.0])],
    ],
}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("maker", DIFFUSION)
def test_diffusion_by_private_elements(tmp_path, maker, syntax):
    for number, private in enumerate(DIFFUSION[maker]):
        for z in range(2):
            name = f"{number}{z}"
            write(tmp_path / name, z, private, syntax, Manufacturer=maker, InstanceNumber=number * 2 + z)
    stack = scan(tmp_path).select()
    assert stack.shape == (3, 2, 2, 3) and stack.grid.time_dim == "b"
    assert stack.grid.time_ms == (0.0, 1000.0, 1000.0)
    # GE's directions are not the patient's, and it is said.
    assert ("gradient_axes" in stack.attributes) is maker.startswith("GE")


def test_canon_writes_no_b_value_where_there_is_no_gradient(tmp_path):
    comments = (None, "[b=1500(0.445,0.000,0.895)]", "[b=1500(0.000,0.445,0.895)]")
    for number, comment in enumerate(comments):
        tags = {"DiffusionBValue": 1500.0, "ImageComments": comment} if comment else {}
        write(tmp_path / str(number), Manufacturer="TOSHIBA_MEC", ScanningSequence="EP", **tags)
    stack = scan(tmp_path).select()
    assert stack.grid.time_ms == (0.0, 1500.0, 1500.0)
    assert [1500.0, [0.445, 0.0, 0.895]] in stack.attributes["time_values"]
    assert "[b=" not in json.dumps(dict(stack.attributes))


def test_a_block_of_somebody_else_is_not_taken(tmp_path):
    for number, b in enumerate((0, 1000)):
        write(
            tmp_path / str(number),
            private=[(0x0019, "SOMEBODY ELSE", 0x0C, "IS", b)],
            Manufacturer="SIEMENS",
        )
    assert "b_value_s_per_mm2" not in scan(tmp_path).stacks[0].attributes


def test_the_standard_element_comes_first():
    elements = {0x00190010: "SIEMENS MR HEADER", 0x0019100C: "700"}
    assert stand_ins(elements.get, "Siemens", "MR", {}) == {"DiffusionBValue": 700.0}
    assert stand_ins(elements.get, "Siemens", "MR", {"DiffusionBValue": 5.0}) == {}
    assert stand_ins(elements.get, "Siemens", "CT", {}) == {}
    assert stand_ins(elements.get, "Philips", "MR", {}) == {}


@pytest.mark.parametrize("raw", [b"\xff", b"x", "free text", [], [None], float, b"\x00" * 7])
def test_broken_private_elements_are_absent_ones(raw):
    for row in QUIRKS:
        elements = {tag & 0xFFFF0000 | 0x10: row.creator for tag in row.tags} | dict.fromkeys(row.tags, raw)
        for value in stand_ins(elements.get, row.makers[0], row.modality, {}).values():
            assert isinstance(value, float | tuple)


def test_numbers_as_bytes():
    elements = {0x20010010: b"Philips Imaging DD 001", 0x20011003: struct.pack("<f", 800.0)}
    assert stand_ins(elements.get, "Philips", "MR", {}) == {"DiffusionBValue": 800.0}
    elements = {0x00190010: b"SIEMENS MR HEADER ", 0x0019100C: b"1000"}
    assert stand_ins(elements.get, "SIEMENS", "MR", {}) == {"DiffusionBValue": 1000.0}


def test_every_rule_says_where_it_comes_from():
    assert all(row.source and row.tags and row.makers for row in QUIRKS)


def test_philips_private_scale_is_told_and_the_standard_rescale_applied(tmp_path):
    write(
        tmp_path / "a",
        private=[(*PHILIPS, 0x0D, "FL", 0.0), (*PHILIPS, 0x0E, "FL", 0.25)],
        Manufacturer="Philips",
        RescaleSlope=2,
        RescaleIntercept=1,
    )
    stack = scan(tmp_path).select()
    assert (stack.attributes["philips_scale_slope"], stack.attributes["philips_scale_intercept"]) == (0.25, 0)
    assert (stack.attributes["rescale_slope"], stack.attributes["rescale_intercept"]) == (2.0, 1.0)
    assert stack.read([(0, n) for n in stack.shape]).ravel().tolist() == [1, 3, 5, 7, 9, 11]


# ------------------------------------------------------------------------------------- attributes


def test_technical_attributes_are_kept(tmp_path):
    tags = {
        "PhotometricInterpretation": "MONOCHROME1",
        "RepetitionTime": 3.7,
        "EchoTime": 1.2,
        "InversionTime": 200,
        "FlipAngle": 30,
        "DiffusionBValue": 5.0,
        "MagneticFieldStrength": 1.5,
        "ScanningSequence": ["SE", "IR"],
    }
    write(tmp_path / "a", **tags)
    found = scan(tmp_path).select().attributes
    assert found["photometric_interpretation"] == "MONOCHROME1"
    names = "repetition_time_ms echo_time_ms inversion_time_ms flip_angle_deg b_value_s_per_mm2"
    assert [found[name] for name in names.split()] == [3.7, 1.2, 200.0, 30.0, 5.0]
    assert found["field_strength_t"] == 1.5 and found["scanning_sequence"] == "SE\\IR"
    assert found["transfer_syntax"] == ["Explicit VR Little Endian"]


def test_a_projection_is_flagged(tmp_path):
    write(tmp_path / "a", Modality="CR", ImagerPixelSpacing=[0.15, 0.15])
    assert scan(tmp_path).select().attributes["projection"] is True


@pytest.mark.parametrize(
    ("kernel", "kept"),
    [
        ("B31f", True),
        ("LUNG", True),
        ("FC51", True),
        ("YA", True),
        (["Br40d", "2"], True),
        ("SMITH JOHN", False),
    ],
)
def test_kernels_have_the_names_of_kernels(tmp_path, kernel, kept):
    write(tmp_path / "a", Modality="CT", ConvolutionKernel=kernel)
    assert ("kernel" in scan(tmp_path).select().attributes) is kept


@pytest.mark.parametrize(
    ("signed", "value", "limit", "wanted"),
    [(1, 63536, 63636, (-2000, -1900)), (0, 63536, 65535, (63536, 65535)), (1, 63536, None, (-2000, None))],
)
def test_padding_by_the_bits_of_its_tag(tmp_path, signed, value, limit, wanted):
    path = tmp_path / "a"
    write(path, Modality="CT", PixelRepresentation=signed, RescaleIntercept=0, RescaleSlope=1)
    dataset = pydicom.dcmread(path)
    for tag, number in ((0x00280120, value), (0x00280121, limit)):
        if number is not None:
            dataset.add_new(tag, "US", number)
    dataset.save_as(path)
    found = scan(tmp_path).select().attributes
    assert (found["padding_value"], found.get("padding_limit")) == wanted


MARKER = "ZQMARKER"


def planted():
    """A header with the marker in every element that may hold it."""
    out = {}
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        if (
            vr in ("SH", "LO", "ST", "LT", "UT", "UC", "PN", "CS", "AE")
            and keyword
            and tag >> 16 not in (0, 2)
        ):
            out[keyword] = MARKER
    # Those without which it is no image.
    return {k: v for k, v in out.items() if k not in ("SpecificCharacterSet", "PhotometricInterpretation")}


def test_no_free_text_reaches_the_attributes(tmp_path):
    private = [(*PHILIPS, 0x0E, "LO", MARKER), (0x7053, "Philips PET Private Group", 0x00, "LO", MARKER)]
    for name, maker, modality in (("a", MARKER, MARKER), ("b", "Philips", "PT"), ("c", "TOSHIBA", "MR")):
        folder = tmp_path / name
        folder.mkdir()
        tags = planted() | {"Manufacturer": maker, "Modality": modality}
        assert len(tags) > 1000
        write(folder / "x.dcm", private=private, **tags)
        stack = scan(folder).select()
        told = json.dumps(dict(stack.attributes))
        assert MARKER not in told and MARKER.lower() not in told.lower()
        assert str(SERIES) not in told and str(FRAME) not in told
        assert stack.attributes["modality"] in ("OTHER", "PT", "MR")


def test_an_unknown_transfer_syntax_is_not_told_by_its_uid(tmp_path):
    write(tmp_path / "a")
    raw = (tmp_path / "a").read_bytes()
    # The same length: 1.2.840.10008.1.2.1 -> a private one.
    (tmp_path / "a").write_bytes(raw.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.99999.1.2.1\0"))
    for stack in scan(tmp_path).stacks:
        assert "99999" not in json.dumps(dict(stack.attributes))
