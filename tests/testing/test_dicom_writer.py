from dataclasses import replace

import numpy as np
import pydicom
import pytest

from chunkmed.errors import InputError
from chunkmed.grid import Grid
from chunkmed.testing import BeatingEllipsoid, write_series, write_study

HEART = replace(
    BeatingEllipsoid(
        time_points=3,
        semi_axes_mm=(15.0, 12.0, 12.0),
        other_semi_axes_mm=(12.0, 12.0, 10.0),
        size=(7, 30, 40),
        spacing_mm=(6.0, 1.5, 1.6),
        noise_sigma=5.0,
    ),
    rotation_deg=(20.0, -35.0, 60.0),
    tilt_deg=12.0,
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder, write_study(folder, HEART)


def sorted_stack(folder):
    """Read with plain pydicom: by trigger time, then by position along the normal."""
    headers = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    axes = np.asarray(headers[0].ImageOrientationPatient, dtype=float)
    normal = np.cross(axes[:3], axes[3:])

    def height(ds):
        return round(float(np.dot(normal, ds.ImagePositionPatient)), 3)

    columns = {}
    for ds in headers:
        columns.setdefault(height(ds), []).append(ds)
    return [sorted(columns[z], key=lambda ds: ds.get("TriggerTime", 0)) for z in sorted(columns)]


def test_values_come_back(study):
    stack = sorted_stack(study[0])
    assert len(stack) == 7 and {len(column) for column in stack} == {3}
    for z, column in enumerate(stack):
        for t, ds in enumerate(column):
            assert np.array_equal(ds.pixel_array, HEART.frame(t, z))


def test_every_voxel_lies_where_the_grid_says(study):
    grid = HEART.grid
    j, i = np.indices((30, 40)).reshape(2, -1)
    for z, column in enumerate(sorted_stack(study[0])):
        ds = column[0]
        row, col = np.asarray(ds.ImageOrientationPatient, dtype=float).reshape(2, 3)
        dy, dx = map(float, ds.PixelSpacing)
        found = (
            np.asarray(ds.ImagePositionPatient, dtype=float) + np.outer(i * dx, row) + np.outer(j * dy, col)
        )
        x, y = np.asarray(grid.x_mm)[i], np.asarray(grid.y_mm)[j]
        wanted = grid.to_lps(np.stack([x, y, np.full(x.shape, grid.z_mm[z])], axis=1))
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        assert (ds.SliceThickness, ds.SpacingBetweenSlices) == (4.0, 6.0)


def test_each_slice_keeps_its_own_heart_beat(study):
    stack = sorted_stack(study[0])
    times = np.array([[float(ds.TriggerTime) for ds in column] for column in stack])
    assert len(set(times[:, 1])) == 7
    np.testing.assert_allclose(np.median(times, axis=0), HEART.grid.time_ms)
    intervals = [int(column[0].NominalInterval) for column in stack]
    np.testing.assert_allclose(intervals, times[:, 1] * 3, atol=0.6)
    assert {ds.CardiacNumberOfImages for column in stack for ds in column} == {3}


def test_names_tell_nothing_and_identifiers_are_unique(study):
    _, paths = study
    assert sorted(paths) != paths
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    assert len({ds.SOPInstanceUID for ds in headers}) == len(paths)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert len({ds[keyword].value for ds in headers}) == 1
    assert {str(ds.PatientName) for ds in headers} == {"Phantom^Beating"}
    assert headers[0].file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian


def test_equal_seeds_write_equal_files(study, tmp_path):
    _, paths = study
    again = write_study(tmp_path, HEART)
    assert [p.name for p in again] == [p.name for p in paths]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(again, paths, strict=True))
    other = write_study(tmp_path / "other", HEART, shuffle_seed=5)
    first = pydicom.dcmread(other[0])
    assert first.SeriesInstanceUID != pydicom.dcmread(again[0]).SeriesInstanceUID
    assert first.StudyInstanceUID == pydicom.dcmread(again[0]).StudyInstanceUID


GRID = Grid(z_mm=(0.0, 1.0), y_mm=(0.0, 2.0), x_mm=(0.0, 2.0, 4.0), time_ms=(0.0, 250.0))


def ramp(t, z):
    return np.arange(6).reshape(2, 3) + 100 * t + 10 * z - 50


def test_ct_with_rescale_and_more_tags(tmp_path):
    paths = write_series(
        tmp_path,
        ramp,
        GRID,
        modality="CT",
        dtype=np.uint16,
        rescale=(1.0, -1024.0),
        time_key="AcquisitionTime",
        extra_tags={"KVP": "120", "PatientSex": None},
    )
    ds = pydicom.dcmread(paths[2])  # t = 1, z = 0
    assert np.array_equal(ds.pixel_array - 1024.0, ramp(1, 0))
    assert (ds.Modality, ds.KVP, ds.AcquisitionTime) == ("CT", 120, "100000.250000")
    assert "PatientSex" not in ds and "TriggerTime" not in ds
    assert ds.SliceThickness == 1.0  # the gap is larger than the step


def test_number_keys_count_the_time_points(tmp_path):
    paths = write_series(tmp_path, ramp, GRID, time_key="TemporalPositionIdentifier")
    numbers = [pydicom.dcmread(path).TemporalPositionIdentifier for path in paths]
    assert numbers == [1, 1, 2, 2]


def test_tags_per_slice(tmp_path):
    def tags(t, z):
        return {"InstanceNumber": None} if (t, z) == (0, 0) else {}

    paths = write_series(tmp_path, ramp, GRID, time_key="", extra_tags=tags)
    assert ["InstanceNumber" in pydicom.dcmread(path) for path in paths] == [False, True, True, True]


def test_pixels_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(InputError, match="do not fit"):
        write_series(tmp_path, ramp, GRID, dtype=np.uint8)
    with pytest.raises(InputError, match="modality"):
        write_series(tmp_path, ramp, GRID, modality="XX")


def test_a_number_in_binary_is_the_time_itself(tmp_path):
    paths = write_series(tmp_path, ramp, GRID, time_key="DiffusionBValue")
    assert [pydicom.dcmread(path).DiffusionBValue for path in paths] == [0.0, 0.0, 250.0, 250.0]
