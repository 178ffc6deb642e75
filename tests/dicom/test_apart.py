"""What lies at one depth and is no time: stations, reconstructions, views, clips; NM frames are placed."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from chunkmed.dicom import scan
from chunkmed.grid import Grid
from chunkmed.testing import write_series

ROWS, COLUMNS, SLICES = 3, 4, 3
GRID = Grid(
    z_mm=tuple(8.0 * z for z in range(SLICES)),
    y_mm=(0.0, 1.5, 3.0),
    x_mm=(0.0, 1.5, 3.0, 4.5),
    time_ms=(0.0, 50.0),
)


def write(folder, tags, change=lambda dataset, t, z: None):
    """Write two images per position whose values tell them apart, with no tag of time."""
    quiet = {"AcquisitionTime": None, "ContentTime": None}
    paths = write_series(
        folder,
        lambda t, z: np.full((ROWS, COLUMNS), 1 + 10 * t + z),
        GRID,
        time_key="",
        extra_tags=lambda t, z: quiet | tags(t, z),
        shuffle_seed=1,
    )
    for path in paths:
        dataset = pydicom.dcmread(path)
        t, z = divmod(int(dataset.pixel_array[0, 0]) - 1, 10)
        change(dataset, t, z)
        dataset.save_as(path)


def values(stack):
    return stack.read([(0, size) for size in stack.shape])[:, :, 0, 0].tolist()


def two_stacks(folder):
    stacks = scan(folder).stacks
    assert [stack.problem for stack in stacks] == [None, None]
    assert sorted(values(stack) for stack in stacks) == [[[1, 2, 3]], [[11, 12, 13]]]
    return sorted(stack.flags for stack in stacks)


def test_stations_beside_one_another_are_a_stack_each(tmp_path):
    def move(dataset, t, _):
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, float(y) + 200 * t, z]

    write(tmp_path, lambda t, z: {"AcquisitionNumber": t + 1}, move)
    assert two_stacks(tmp_path) == [("place 1 of 2",), ("place 2 of 2",)]
    origins = sorted(stack.grid.y_mm[0] for stack in scan(tmp_path).stacks)
    assert origins == [0.0, 200.0]


def test_stations_that_are_not_everywhere_are_refused(tmp_path):
    def move(dataset, t, z):
        x, y, depth = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, float(y) + 200 * t * (z > 0), depth]

    write(tmp_path, lambda t, z: {"AcquisitionNumber": t + 1}, move)
    (stack,) = scan(tmp_path).stacks
    assert stack.problem.kind == "shifted-slices" and "200 mm apart" in stack.problem.why


@pytest.mark.parametrize(
    ("keyword", "given", "flags"),
    [
        ("ConvolutionKernel", ["B30f", "B70f"], ["other kind", "other kind"]),
        ("KVP", ["80", "140"], ["140 kV", "80 kV"]),
        ("CorrectedImage", [["DECY", "ATTN"], ["DECY"]], ["corrected for attenuation", "not corrected"]),
        ("SequenceName", ["fl3d1_v150ap", "fl3d1_v150fh"], ["velocity 150ap", "velocity 150fh"]),
    ],
)
def test_other_kinds_of_image_are_a_stack_each(tmp_path, keyword, given, flags):
    write(tmp_path, lambda t, z: {keyword: given[t], "ContentTime": f"10000{t}"})
    assert two_stacks(tmp_path) == [(flag,) for flag in flags]


def test_respiratory_phases_are_time(tmp_path):
    write(tmp_path, lambda t, z: {"NominalPercentageOfRespiratoryPhase": 50.0 * t})
    (stack,) = scan(tmp_path).stacks
    assert stack.problem is None and values(stack) == [[1, 2, 3], [11, 12, 13]]


def without_place(dataset, t, z):
    del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
    dataset.AcquisitionTime = f"1000{10 * t + z:02d}"


def test_slices_without_positions_are_no_time_points(tmp_path):
    write(tmp_path, lambda t, z: {}, without_place)
    (stack,) = scan(tmp_path).stacks
    assert stack.problem.kind == "no-positions"


def test_moments_without_positions_are_time_points(tmp_path):
    write(tmp_path, lambda t, z: {"TriggerTime": str(10 * t + z)}, without_place)
    (stack,) = scan(tmp_path).stacks
    assert stack.problem is None and stack.shape[:2] == (6, 1)


def test_views_are_a_stack_each(tmp_path):
    def view(dataset, t, z):
        without_place(dataset, t, z)
        dataset.Modality = "DX"

    write(tmp_path, lambda t, z: {}, view)
    stacks = scan(tmp_path).stacks
    assert sorted(values(stack)[0][0] for stack in stacks) == [1, 2, 3, 11, 12, 13]
    assert [stack.problem for stack in stacks] == [None] * 6


def test_a_gap_is_no_missing_slice(tmp_path):
    def gap(dataset, t, z):
        dataset.SliceThickness, dataset.SpacingBetweenSlices = 7.2, 0.8

    write(tmp_path, lambda t, z: {"TemporalPositionIdentifier": t + 1}, gap)
    (stack,) = scan(tmp_path).stacks
    assert stack.problem is None and any("gap between slices" in note for note in stack.warnings)


def frames(path, **tags):
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.20", generate_uid()
    made.SeriesInstanceUID, made.Modality = "1.2.3", "NM"
    made.NumberOfFrames, made.Rows, made.Columns, made.SamplesPerPixel = 4, 2, 2, 1
    made.PhotometricInterpretation, made.PixelSpacing = "MONOCHROME2", [2, 2]
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    for keyword, given in tags.items():
        setattr(made, keyword, given)
    made.add_new("PixelData", "OW", np.repeat(np.arange(4, dtype=np.uint16), 4).tobytes())
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("step_mm", [4.0, -4.0])
def test_a_slice_vector_places_frames(tmp_path, step_mm):
    detector = Dataset()
    detector.ImagePositionPatient, detector.ImageOrientationPatient = [-10, -20, 30], [1, 0, 0, 0, 1, 0]
    frames(
        tmp_path / "a.dcm",
        FrameIncrementPointer=0x00540080,
        SliceVector=[1, 2, 3, 4],
        SpacingBetweenSlices=step_mm,
        DetectorInformationSequence=Sequence([detector]),
    )
    (stack,) = scan(tmp_path).stacks
    assert stack.problem is None and stack.shape == (1, 4, 2, 2)
    first = min(30.0, 30 + 3 * step_mm)
    assert stack.grid.z_mm == tuple(first + 4.0 * z for z in range(4))
    assert (stack.grid.y_mm[0], stack.grid.x_mm[0]) == (-20.0, -10.0)
    assert values(stack) == [[0, 1, 2, 3] if step_mm > 0 else [3, 2, 1, 0]]


def test_a_slice_vector_without_a_place_is_asked_about(tmp_path):
    frames(tmp_path / "a.dcm", FrameIncrementPointer=0x00540080, SliceVector=[1, 2, 3, 4])
    assert scan(tmp_path).stacks[0].problem.kind == "ambiguous-frames"


def test_offsets_of_a_dose_need_no_pointer(tmp_path):
    frames(
        tmp_path / "a.dcm",
        GridFrameOffsetVector=[0, 2.5, 5, 7.5],
        ImagePositionPatient=[0, 0, 5],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
    )
    (stack,) = scan(tmp_path).stacks
    assert stack.problem is None and stack.grid.z_mm == (5.0, 7.5, 10.0, 12.5)


def test_clips_are_a_stack_each(tmp_path):
    for name in "ab":
        frames(tmp_path / f"{name}.dcm", FrameIncrementPointer=0x00181063, FrameTime=40)
    stacks = scan(tmp_path).stacks
    assert [(stack.problem, stack.shape[:2]) for stack in stacks] == [(None, (4, 1))] * 2
    assert stacks[0].grid.time_ms == (0.0, 40.0, 80.0, 120.0)
