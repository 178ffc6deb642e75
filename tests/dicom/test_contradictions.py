"""Headers that contradict each other: which elements are named, what may be accepted, what is only said."""

import numpy as np
import pydicom
import pytest

import chunkmed as cm
from chunkmed.dicom import scan
from chunkmed.errors import SourceError
from chunkmed.grid import Grid
from chunkmed.private import file_identifier
from chunkmed.store import describe
from chunkmed.testing import write_series

SIZE = (6, 7)
STEP = 3.0


def series(folder, slices=6, **more):
    """Write slices with a location each; return the files in order."""
    axes = (tuple(np.arange(n) * step) for n, step in ((slices, STEP), (SIZE[0], 2.0), (SIZE[1], 2.0)))
    grid = Grid(*axes, time_ms=tuple(40.0 * t for t in range(more.pop("times", 1))))
    tags = lambda t, z: {"SliceLocation": str(STEP * z + 7)}  # noqa: E731
    return write_series(folder, lambda t, z: np.full(SIZE, 10 * z + t), grid, extra_tags=tags, **more)


def change(path, **tags):
    dataset = pydicom.dcmread(path)
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


def exchange(one, other, keyword="ImagePositionPatient"):
    first, second = (pydicom.dcmread(path)[keyword].value for path in (one, other))
    change(one, **{keyword: second})
    change(other, **{keyword: first})


def raised(folder, **accepted):
    with pytest.raises(SourceError) as caught:
        cm.open(folder, **accepted)
    return caught.value


def warned(folder):
    (stack,) = scan(folder).stacks
    assert stack.problem is None
    return " | ".join(stack.warnings)


def test_a_good_series_is_neither_refused_nor_warned_of(tmp_path):
    series(tmp_path)
    assert warned(tmp_path) == ""


def test_exchanged_slices_are_refused_by_their_locations_and_accepted(tmp_path):
    paths = series(tmp_path / "in")
    exchange(paths[1], paths[3])
    error = raised(tmp_path / "in")
    assert error.kind == "contradicting-positions" and "(0020,1041)" in error.tag
    assert all(file_identifier(path) in error.why for path in (paths[1], paths[3]))
    assert not any(file_identifier(path) in error.why for path in (paths[0], paths[2]))
    cm.convert(tmp_path / "in", tmp_path / "out.zarr", allow_irregular=True)
    (note,) = [text for text in describe(tmp_path / "out.zarr")["assumptions"] if "SliceLocation" in text]
    assert "slice 1 by 6 mm, slice 3 by 6 mm" in note


@pytest.mark.parametrize(
    ("slices", "step", "told", "printed", "refused"),
    [
        # Thin slices a tenth too near: as many digits tell.
        (4, 0.54, 0.6, "{:.3f}", True),
        (4, 0.6, 0.6, "{:.3f}", False),
        # Half of the last digit is rounding.
        (9, 0.625, 0.625, "{:.1f}", False),
        (2, 2.5, 5.0, "{:.2f}", True),
        (2, 5.0, 5.0, "{:.2f}", False),
    ],
)
def test_how_far_locations_may_lie_off(tmp_path, slices, step, told, printed, refused):
    axes = (tuple(np.arange(n) * each) for n, each in ((slices, step), (SIZE[0], 2.0), (SIZE[1], 2.0)))

    def tags(t, z):
        return {"SliceLocation": printed.format(told * z - 31.37)}

    write_series(tmp_path, lambda t, z: np.full(SIZE, z), Grid(*axes), extra_tags=tags, slice_gap_mm=0.0)
    if refused:
        assert raised(tmp_path).kind == "contradicting-positions"
    else:
        assert warned(tmp_path) == ""


def test_exchanged_slices_without_locations_are_told_by_their_numbers(tmp_path):
    paths = series(tmp_path)
    exchange(paths[1], paths[3])
    for path in paths:
        change(path, SliceLocation=None)
    assert "InstanceNumber does not follow" in warned(tmp_path)


@pytest.mark.parametrize(
    ("between", "kind", "option"),
    [(1.5, "missing-slices", "allow_missing"), (4.0, "contradicting-spacing", "allow_irregular")],
)
def test_a_spacing_that_contradicts_positions(tmp_path, between, kind, option):
    for path in series(tmp_path):
        change(path, SpacingBetweenSlices=str(between))
    error = raised(tmp_path)
    assert error.kind == kind and "(0018,0088)" in error.tag and option in error.fix
    assert ("5 slices are missing" in error.what) is (kind == "missing-slices")
    assert cm.open(tmp_path, **{option: True}).shape[1] == 6


def test_spacings_that_say_nothing_are_no_contradiction(tmp_path):
    for path in series(tmp_path):
        change(path, SpacingBetweenSlices="-3")
    assert warned(tmp_path) == ""
    for path in tmp_path.iterdir():
        change(path, SpacingBetweenSlices="0", SliceThickness="99", SliceLocation="0")
    assert warned(tmp_path) == ""


@pytest.mark.parametrize(
    ("keyword", "value", "kind"),
    [
        ("ImagePositionPatient", [0, 1], "bad-position"),
        ("ImagePositionPatient", [0, 0, 1e9], "bad-position"),
        ("ImageOrientationPatient", [1, 0, 0], "bad-orientation"),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0], "bad-orientation"),
        ("PixelSpacing", [0, 1], "bad-spacing"),
        ("PixelSpacing", [-1, -1], "bad-spacing"),
        ("PixelSpacing", [1e9, 1e9], "bad-spacing"),
        ("PixelSpacing", [2], "bad-spacing"),
    ],
)
@pytest.mark.parametrize("where", ["one", "all"])
def test_geometry_that_is_none_is_named(tmp_path, keyword, value, kind, where):
    paths = series(tmp_path)
    for path in paths[2:3] if where == "one" else paths:
        change(path, **{keyword: value})
    study = scan(tmp_path)
    told = [problem for stack in study.stacks for problem in stack.problems if problem.kind == kind]
    assert told and not study.skipped
    unusable = len(value) < SIZES[keyword] or (max(value) == 1e9 and kind == "bad-position")
    if where == "one" and unusable:
        error = raised(tmp_path)
        assert error.kind == kind and file_identifier(paths[2]) in error.why


SIZES = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}


def test_images_that_are_apart_are_named(tmp_path):
    paths = series(tmp_path)
    change(paths[5], PixelSpacing=[2.5, 2.5])
    error = raised(tmp_path)
    assert error.kind == "several-series" and "they differ in pixel spacing" in error.why
    assert file_identifier(paths[5]) in error.why


def test_fewer_images_than_announced(tmp_path):
    for path in series(tmp_path / "a", modality="PT"):
        change(path, NumberOfSlices=8)
    assert "NumberOfSlices is 8, but 6 lie here" in warned(tmp_path / "a")
    for path in series(tmp_path / "b"):
        change(path, ImagesInAcquisition="7", AcquisitionNumber="1")
    assert "ImagesInAcquisition is 7, but 6 lie here" in warned(tmp_path / "b")


def test_slices_askew_are_told_and_a_tilted_gantry_is_not(tmp_path):
    for z, path in enumerate(series(tmp_path / "askew")):
        change(path, ImagePositionPatient=[2.0 * z, 0, STEP * z], SpacingBetweenSlices=None)
    assert "each slice is shifted by 2 mm" in warned(tmp_path / "askew")
    cos, sin = np.cos(np.deg2rad(15)), np.sin(np.deg2rad(15))
    for path in series(tmp_path / "tilt", modality="CT"):
        change(path, ImageOrientationPatient=[1, 0, 0, 0, round(cos, 9), round(sin, 9)])
    assert warned(tmp_path / "tilt") == ""


def test_times_that_jump_at_a_slice_are_told(tmp_path):
    paths = series(tmp_path, times=4)
    change(paths[6], TriggerTime="79")
    assert "images may be exchanged" in warned(tmp_path)


def test_locations_along_an_axis_of_the_patient_are_told(tmp_path):
    row, normal = np.array([1.0, 0, 0]), np.array([0, -0.5, np.sqrt(0.75)])
    column = np.cross(normal, row)
    for z, path in enumerate(series(tmp_path)):
        position = STEP * z * normal
        change(
            path,
            ImageOrientationPatient=[round(float(v), 9) for v in (*row, *column)],
            ImagePositionPatient=[round(float(v), 6) for v in position],
            SliceLocation=f"{position[2]:.4f}",
        )
    assert "along an axis of the patient" in warned(tmp_path)
