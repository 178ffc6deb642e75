"""Cases that the reference data do not hold, as small files made here."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from chunkmed.dicom import Study, scan
from chunkmed.errors import InputError, SourceError
from chunkmed.private import file_identifier

SERIES, FRAME = generate_uid(), generate_uid()
ROWS, COLUMNS = 4, 6


def write(folder, name, z=0.0, pixels=None, **tags):
    """Write one small CT slice and return its path."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = SERIES, FRAME
    dataset.Modality = "CT"
    dataset.PatientName = "Secret^Person"
    dataset.ImagePositionPatient = [0, 0, z]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [0.5, 0.75]
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = ROWS, COLUMNS, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 0
    if pixels is None:
        pixels = np.full((ROWS, COLUMNS), 7, np.uint16)
    dataset.PixelData = np.ascontiguousarray(pixels).tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    path = folder / name
    dataset.save_as(path, enforce_file_format=True)
    return path


def whole(stack):
    return stack.read([(0, size) for size in stack.shape])


def test_trigger_time_of_each_slice(tmp_path):
    for z in range(3):
        for phase in (2, 0, 1):
            pixels = np.full((ROWS, COLUMNS), 10 * phase + z, np.uint16)
            write(tmp_path, f"{z}{phase}", z * 8.0, pixels, TriggerTime=phase * (40 + z), Modality="MR")
    stack = scan(tmp_path).select()
    assert stack.grid.time_ms == (0.0, 41.0, 82.0)
    assert stack.trigger_time_ms == ((0, 0, 0), (40, 41, 42), (80, 82, 84))
    assert stack.attributes["time_key"] == "TriggerTime"
    assert whole(stack)[:, :, 0, 0].tolist() == [[0, 1, 2], [10, 11, 12], [20, 21, 22]]


def test_temporal_position_with_a_clock_over_midnight(tmp_path):
    for t, time in enumerate(("235958.0", "235959.5", "000001.0")):
        for z in range(2):
            write(tmp_path, f"{t}{z}", z, TemporalPositionIdentifier=t + 1, AcquisitionTime=time)
    stack = scan(tmp_path).select()
    assert stack.grid.time_ms == (0.0, 1500.0, 3000.0)
    assert not any("23595" in str(part) for part in (stack.attributes, stack.assumptions))


@pytest.mark.parametrize("key", ["AcquisitionTime", "ContentTime"])
def test_clock_as_key(tmp_path, key):
    for t in range(3):
        write(tmp_path, str(t), 0.0, np.full((ROWS, COLUMNS), t, np.uint16), **{key: f"10000{t}.25"})
    stack = scan(tmp_path).select()
    assert (stack.shape[0], stack.grid.time_ms) == (3, (0.0, 1000.0, 2000.0))


def test_echo_is_a_dimension_and_magnitude_and_phase_are_two_stacks(tmp_path):
    for kind in "MP":
        for echo in (5.0, 10.0):
            write(tmp_path, f"{kind}{echo}", ImageType=["ORIGINAL", "PRIMARY", kind], EchoTime=echo)
    study = scan(tmp_path)
    assert [(stack.grid.time_dim, stack.grid.time_ms) for stack in study.stacks] == [
        ("echo", (5.0, 10.0))
    ] * 2
    assert len({stack.key for stack in study.stacks}) == 2


def test_instance_numbers_alone_are_no_time(tmp_path):
    for t in range(3):
        pixels = np.full((ROWS, COLUMNS), t, np.uint16)
        write(tmp_path, str(t), 0.0, pixels, InstanceNumber=t, RepetitionTime=2000)
    assert scan(tmp_path).stacks[0].problem.kind == "duplicate-position"


def test_ragged_times_name_the_holes(tmp_path):
    for z in range(3):
        for t in range(2 if z == 1 else 3):
            pixels = np.full((ROWS, COLUMNS), t, np.uint16)
            write(tmp_path, f"{z}{t}", z, pixels, TemporalPositionIdentifier=t)
    problem = scan(tmp_path).stacks[0].problem
    assert problem.kind == "ragged-cells" and "t 2, slice 1 (nearest: file " in str(problem)
    assert file_identifier(tmp_path / "11") in str(problem)


def test_identical_pixels_at_one_position_are_dropped(tmp_path):
    for z in range(3):
        write(tmp_path, f"a{z}", z)
    write(tmp_path, "copy", 1.0)
    stack = scan(tmp_path).select()
    assert stack.shape == (1, 3, ROWS, COLUMNS)
    assert any("dropped" in text for text in stack.assumptions)


def test_overflow_is_refused_and_widened(tmp_path):
    pixels = np.full((ROWS, COLUMNS), 65535, np.uint16)
    stack = scan(write(tmp_path, "a", 0.0, pixels, RescaleSlope=1, RescaleIntercept=-1024)).select()
    with pytest.raises(SourceError, match=r"\(0028,1053\)") as caught:
        whole(stack)
    assert caught.value.kind == "value-overflow"
    wide = whole(stack.widened())
    assert wide.dtype == np.int32 and wide.max() == 65535 - 1024


def test_junk_above_the_stored_bits(tmp_path):
    pixels = np.array([0xF001, 0x0FFF] * 12, np.uint16).reshape(ROWS, COLUMNS)
    signed = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 1}
    assert whole(scan(write(tmp_path, "s", 0.0, pixels, **signed)).select())[0, 0, 0, :2].tolist() == [1, -1]
    unsigned = {"BitsStored": 12, "HighBit": 11}
    assert whole(scan(write(tmp_path, "u", 0.0, pixels, **unsigned)).select())[0, 0, 0, :2].tolist() == [
        1,
        4095,
    ]


def test_slopes_per_slice_are_float32(tmp_path):
    for z in range(3):
        write(tmp_path, str(z), z, RescaleSlope=z + 0.5, RescaleIntercept=0)
    stack = scan(tmp_path).select()
    assert stack.dtype == np.float32
    assert whole(stack)[0, :, 0, 0].tolist() == [3.5, 10.5, 17.5]


@pytest.mark.parametrize("slope", ["0", "nan"])
def test_slope_that_is_none(tmp_path, slope):
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    path = write(tmp_path, "a", RescaleSlope="0", RescaleIntercept="0")
    path.write_bytes(
        path.read_bytes().replace(b"DS\x02\x000 ", b"DS\x04\x00nan ") if slope == "nan" else path.read_bytes()
    )
    assert scan(path).stacks[0].problem.kind == "bad-rescale"


def test_single_slice_without_thickness_warns(tmp_path):
    stack = scan(write(tmp_path, "a")).select()
    assert stack.grid.thickness_mm is None and "thick" in stack.warnings[0]
    assert scan(write(tmp_path, "b", SliceThickness=3)).select().grid.thickness_mm == 3.0


def test_special_files_end_the_scan_with_reasons(tmp_path):
    write(tmp_path, "image")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "text.txt").write_text("hello")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).write_bytes(b"x")
    study = scan(tmp_path)
    assert len(study.stacks) == 1
    reasons = " | ".join(item.reason for item in study.skipped)
    for words in ("named pipe", "leads nowhere", "back to a folder", "not DICOM"):
        assert words in reasons
    assert str(study).encode("utf-8")


def test_truncation_at_any_byte_never_raises(tmp_path):
    good = write(tmp_path, "good", PatientComments="x" * 50).read_bytes()
    keep = write(tmp_path, "keep", z=3.0)
    for cut in range(0, len(good), 7):
        (tmp_path / "good").write_bytes(good[:cut])
        study = scan([keep, tmp_path / "good"])
        assert len(study.skipped) == 1 and study.skipped[0].reason


def test_damaged_bytes_never_raise(tmp_path):
    good = bytearray(write(tmp_path, "good").read_bytes())
    keep = write(tmp_path, "keep", z=3.0)
    rng = np.random.default_rng(5)
    for _ in range(150):
        bad = good.copy()
        for place in rng.integers(132, len(bad), 4):
            bad[place] = rng.integers(256)
        (tmp_path / "good").write_bytes(bad)
        for stack in scan([keep, tmp_path / "good"]).stacks:
            try:
                whole(stack)
            except SourceError as error:
                assert error.kind


def test_changed_and_vanished_files(tmp_path):
    path = write(tmp_path, "a")
    stack = scan(path).select()
    os.utime(path, ns=(1, 1))
    with pytest.raises(SourceError, match="changed since the scan"):
        whole(stack)
    path.unlink()
    with pytest.raises(SourceError) as caught:
        whole(stack)
    assert caught.value.kind == "file-vanished" and "Secret" not in str(caught.value)


def test_nothing_to_read(tmp_path):
    with pytest.raises(SourceError) as caught:
        scan(tmp_path / "no")
    assert caught.value.kind == "no-such-path"
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(SourceError, match=r"file [0-9a-f]{12}: not DICOM") as caught:
        scan(tmp_path)
    assert caught.value.kind == "no-dicom"


def test_select(tmp_path):
    write(tmp_path, "a")
    write(tmp_path, "b", SeriesInstanceUID=generate_uid())
    study = scan(tmp_path)
    with pytest.raises(SourceError) as caught:
        study.select()
    assert caught.value.kind == "several-series" and "\n" not in str(caught.value)
    first, second = study.stacks
    assert first.key in str(caught.value) and second.key in str(study)
    assert study.select(1) is second and study.select("0") is first
    assert study.select(first.key) is first and study.select(second.key[:9]) is second
    with pytest.raises(SourceError, match="no series"):
        study.select("zz")
    scout = replace(first, flags=("localizer",))
    assert Study((scout, second)).select() is second


def test_progress_and_bad_box(tmp_path):
    calls = []
    stack = scan(write(tmp_path, "a"), progress=lambda *pair: calls.append(pair)).select()
    assert calls == [(1, 1)]
    with pytest.raises(InputError):
        stack.read([(0, 1), (0, 2), (0, 1), (0, 1)])
    assert stack.read([(0, 0), (0, 1), (0, 1), (0, 1)]).shape == (0, 1, 1, 1)


def test_no_preamble(tmp_path):
    path = write(tmp_path, "a")
    path.write_bytes(path.read_bytes()[132:])
    assert whole(scan(path).select()).max() == 7


def test_burned_in_annotation_warns(tmp_path):
    stack = scan(write(tmp_path, "a", BurnedInAnnotation="YES")).select()
    assert any("burned" in text for text in stack.warnings)
