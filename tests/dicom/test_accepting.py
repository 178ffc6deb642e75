"""What a user may accept of a series, and what that leaves in the store."""

import json

import numpy as np
import pydicom
import pytest

import chunkmed as cm
from chunkmed.dicom import described, scan
from chunkmed.errors import InputError, SourceError
from chunkmed.grid import Grid
from chunkmed.store import describe
from chunkmed.testing import write_series

SIZE = (6, 7)


def series(folder, z_mm, shift_mm=None, **more):
    """Write slices at these positions; ``shift_mm`` moves the third one sideways."""
    grid = Grid(tuple(z_mm), tuple(np.arange(SIZE[0]) * 2.0), tuple(np.arange(SIZE[1]) * 2.0))
    paths = write_series(folder, lambda t, z: np.full(SIZE, 10 * z + t), grid, **more)
    if shift_mm:
        dataset = pydicom.dcmread(paths[2])
        dataset.ImagePositionPatient[0] += shift_mm
        dataset.save_as(paths[2])
    return folder


def test_missing_slices_are_accepted_where_they_are(tmp_path):
    folder = series(tmp_path / "ct", [0, 2, 4, 8, 10])
    with pytest.raises(SourceError, match="allow_missing") as error:
        cm.convert(folder, tmp_path / "a.zarr")
    assert error.value.kind == "missing-slices" and not (tmp_path / "a.zarr").exists()
    with pytest.raises(SourceError, match="missing"):
        cm.open(folder, allow_irregular=True)
    image = cm.convert(folder, tmp_path / "a.zarr", allow_missing=True)
    assert image.z.values.tolist() == [0, 2, 4, 8, 10] and not image.coords["grid"].attrs["uniform"]
    np.testing.assert_array_equal(image.isel(t=0, y=0, x=0), [0, 10, 20, 30, 40])
    told = json.dumps(describe((tmp_path / "a.zarr").resolve()))
    assert "4 mm between slices 2 and 3" in told
    # Names of files may be names of persons.
    assert ".dcm" not in told
    with pytest.raises(InputError, match="uneven"):
        cm.ndimage.gaussian_filter(image, sigma="2 mm")


@pytest.mark.parametrize(
    ("z_mm", "shift_mm", "kind"),
    [([0, 2, 4.5, 6, 8], None, "uneven-spacing"), ([0, 2, 4, 6, 8], 1.5, "shifted-slices")],
)
def test_irregular_slices(z_mm, shift_mm, kind, tmp_path):
    folder = series(tmp_path / "ct", z_mm, shift_mm)
    stack = scan(folder).select()
    assert [problem.kind for problem in stack.problems] == [kind]
    assert "allow_irregular" in str(stack.problem)
    image = cm.open(folder, allow_irregular=True)
    np.testing.assert_allclose(image.z, z_mm)
    assert stack.accepting(allow_irregular=True).assumptions != stack.assumptions


def test_accepting_one_problem_leaves_the_others(tmp_path):
    folder = series(tmp_path / "ct", [0, 2, 4, 8, 10], 1.5)
    stack = scan(folder).select()
    assert [problem.kind for problem in stack.problems] == ["missing-slices", "shifted-slices"]
    assert stack.accepting(allow_missing=True).problem.kind == "shifted-slices"
    assert stack.accepting(allow_missing=True, allow_irregular=True).problem is None
    told = described(scan(folder))["stacks"][0]
    assert [problem["kind"] for problem in told["problems"]] == ["missing-slices", "shifted-slices"]
    assert json.loads(json.dumps(told)) == told


def test_frames_are_asked_for_only_where_nothing_says_what_they_are(tmp_path):
    folder = series(tmp_path / "ct", [0, 2, 4])
    with pytest.raises(InputError, match="leave frames out"):
        cm.open(folder, frames="t")
    with pytest.raises(InputError) as error:
        cm.open(folder, frames="x")
    assert error.value.kind == "bad-frames"


def test_deviations_that_count_as_even_are_said(tmp_path):
    folder = series(tmp_path / "pet", [0, 3.27, 6.56, 9.83, 13.1])
    assert any("3.27 to 3.29" in text for text in scan(folder).select().assumptions)
    assert not any(
        "deviate" in text for text in scan(series(tmp_path / "ct", [0, 2, 4])).select().assumptions
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
@pytest.mark.parametrize("bits", [None, (12, 11), (10, 13)])
def test_plain_frames_are_read_into_place(dtype, bits, tmp_path):
    """Junk in high and low bits, a rescale, parts of frames: the same numbers as bit by bit."""
    rng = np.random.default_rng(1)
    raw = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (3, *SIZE), dtype, endpoint=True)
    grid = Grid((0.0, 2.0, 4.0), tuple(np.arange(SIZE[0]) * 1.0), tuple(np.arange(SIZE[1]) * 1.0))
    size = np.dtype(dtype).itemsize * 8
    stored, high = bits if bits and size == 16 else (size, size - 1)
    write_series(
        tmp_path,
        lambda t, z: raw[z],
        grid,
        dtype=dtype,
        extra_tags={
            "BitsStored": stored,
            "HighBit": high,
            "RescaleSlope": 1,
            "RescaleIntercept": 0 if size == 16 else -3,
        },
    )
    wanted = (raw.astype(np.int64) >> (high + 1 - stored)) & (2**stored - 1)
    if np.dtype(dtype).kind == "i":
        wanted = np.where(wanted >= 2 ** (stored - 1), wanted - 2**stored, wanted)
    wanted = wanted - (0 if size == 16 else 3)
    stack = scan(tmp_path).select()
    whole = stack.read([(0, 1), (0, 3), (0, SIZE[0]), (0, SIZE[1])])
    np.testing.assert_array_equal(whole[0], wanted)
    part = stack.read([(0, 1), (1, 3), (2, 5), (1, 4)])
    np.testing.assert_array_equal(part[0], wanted[1:3, 2:5, 1:4])
    rows = stack.read([(0, 1), (1, 3), (2, 5), (0, SIZE[1])])
    np.testing.assert_array_equal(rows[0], wanted[1:3, 2:5])
