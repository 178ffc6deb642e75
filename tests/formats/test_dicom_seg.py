"""DICOM segmentations: ours over their source by highdicom, theirs on an image's grid."""

from __future__ import annotations

import numpy as np
import pytest

import chunkmed as cm
from chunkmed.errors import InputError, SourceError, StoreError
from chunkmed.testing import BeatingEllipsoid, write_study

hd = pytest.importorskip("highdicom", reason="the test extra is not installed")

NAMES = {1: "LV", 2: "RV"}
KINDS = pytest.mark.parametrize("kind", ["labelmap", "binary"])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A cine as DICOM in ``study/`` and as a store with a label image of its first time point."""
    root = tmp_path_factory.mktemp("seg")
    heart = BeatingEllipsoid(time_points=2, size=(7, 40, 44), spacing_mm=(14.0, 3.0, 3.0), seed=1)
    write_study(root / "study", heart)
    other = BeatingEllipsoid(
        time_points=2, size=(7, 40, 44), spacing_mm=(14.0, 3.0, 3.0), nominal_ejection_fraction=0.3
    )
    write_study(root / "other", other)
    image = cm.convert(root / "study", root / "image.zarr")
    values = np.zeros(image.shape, np.int16)
    values[:, 1:5, 10:25, 12:20], values[:, 3, 30:35, 30:39] = 1, 2
    cm.save(image.copy(data=values), root / "image.zarr", name="hearts")
    return root


@pytest.fixture
def labels(study):
    return cm.open(study / "image.zarr", label="hearts").isel(t=1)


@KINDS
def test_highdicom_reads_it_back_onto_its_source(study, labels, tmp_path, kind):
    path = cm.to_dicom_seg(labels, tmp_path / "seg.dcm", source=study / "study", names=NAMES, kind=kind)
    theirs = hd.seg.segread(path)
    assert [theirs.get_segment_description(n).SegmentLabel for n in (1, 2)] == ["LV", "RV"]
    volume = theirs.get_volume(combine_segments=True, allow_missing_positions=True)
    grid, array = labels.cm.grid, volume.array
    # Their slices may run the other way; empty ones are left out.
    for index in np.ndindex(array.shape[0]):
        at = volume.affine @ [index[0], 0, 0, 1]
        x, y, z = grid.from_lps([at[:3]])[0]
        k = int(np.argmin(np.abs(np.array(grid.z_mm) - z)))
        assert (abs(grid.z_mm[k] - z), abs(grid.y_mm[0] - y), abs(grid.x_mm[0] - x)) < (1e-3, 1e-3, 1e-3)
        np.testing.assert_array_equal(array[index[0]], labels.values[k])
    assert int((array > 0).sum()) == int((labels > 0).sum())
    sources = {str(uid) for _, _, uid in theirs.get_source_image_uids()}
    assert len(sources) >= array.shape[0]


@KINDS
def test_it_comes_back_as_it_was(study, labels, tmp_path, kind):
    image = cm.open(study / "image.zarr")
    path = cm.to_dicom_seg(labels, tmp_path / "seg.dcm", source=study / "study", names=NAMES, kind=kind)
    found = cm.open_labels(path, like=image.isel(t=1))
    np.testing.assert_array_equal(found, labels)
    assert cm.measure(found).label.values.tolist() == ["LV", "RV"]
    one = cm.open_labels(path, "RV", like=image.isel(t=1))
    np.testing.assert_array_equal(one, labels.where(labels == 2, 0))
    turned = cm.open_labels(path, like=cm.reorient(image, "RSA"))
    np.testing.assert_array_equal(cm.reorient(turned, cm.resample.orientation(image)), labels)
    alone = cm.open_labels(path)
    assert alone.sizes["z"] == 4 and int((alone > 0).sum()) == int((labels > 0).sum())


def test_labels_of_a_store_find_their_image(study, labels, tmp_path):
    image = cm.open(study / "image.zarr")
    made = (image.isel(t=1) > 50).astype("u1")
    with pytest.raises(InputError, match="image=") as refused:
        cm.to_dicom_seg(made.copy(data=made.values), tmp_path / "a.dcm", source=study / "study")
    assert refused.value.kind == "no-image"
    path = cm.to_dicom_seg(made, tmp_path / "a.dcm", source=study / "study", image=image)
    np.testing.assert_array_equal(cm.open_labels(path, like=image.isel(t=1)), made)


def test_a_series_is_matched_by_geometry_and_by_pixels(study, labels, tmp_path):
    with pytest.raises(SourceError) as refused:
        cm.to_dicom_seg(labels, tmp_path / "a.dcm", source=study / "other", names=NAMES)
    assert refused.value.kind == "other-pixels"
    shifted = cm.open(study / "image.zarr").isel(t=0)
    with pytest.raises(SourceError) as refused:
        cm.to_dicom_seg(labels, tmp_path / "a.dcm", source=study / "study", image=shifted)
    assert refused.value.kind == "other-pixels"
    cut = labels.isel(y=slice(1, None))
    with pytest.raises(SourceError) as refused:
        cm.to_dicom_seg(cut, tmp_path / "a.dcm", source=study / "study")
    assert refused.value.kind == "no-match"
    # Both series in one folder: the right one is found.
    path = cm.to_dicom_seg(labels, tmp_path / "a.dcm", source=[study / "study", study / "other"])
    assert path.is_file()


def test_what_is_not_written(study, labels, tmp_path):
    every = cm.open(study / "image.zarr", label="hearts")
    sparse = cm.open(study / "image.zarr", label="hearts").isel(t=1)
    cases = {
        "several-times": lambda: cm.to_dicom_seg(every, tmp_path / "a.dcm", source=study / "study"),
        "bad-kind": lambda: cm.to_dicom_seg(
            labels, tmp_path / "a.dcm", source=study / "study", kind="surface"
        ),
        "bad-labels": lambda: cm.to_dicom_seg(
            sparse * 2, tmp_path / "a.dcm", source=study / "study", kind="binary"
        ),
        "no-labels": lambda: cm.to_dicom_seg(labels * 0, tmp_path / "a.dcm", source=study / "study"),
        "not-labels": lambda: cm.to_dicom_seg(labels * 0.5, tmp_path / "a.dcm", source=study / "study"),
    }
    for kind, call in cases.items():
        with pytest.raises(InputError) as refused:
            call()
        assert refused.value.kind == kind
    assert not list(tmp_path.iterdir())
    cm.to_dicom_seg(labels, tmp_path / "a.dcm", source=study / "study")
    with pytest.raises(StoreError) as there:
        cm.to_dicom_seg(labels, tmp_path / "a.dcm", source=study / "study")
    assert there.value.kind == "exists"


def test_names_of_patients_are_not_told(study, labels, tmp_path, recwarn):
    cm.to_dicom_seg(labels, tmp_path / "a.dcm", source=study / "study")
    assert not [str(each.message) for each in recwarn if "Phantom" in str(each.message)]


def test_without_highdicom_the_extra_is_named(study, labels, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(InputError, match=r"chunkmed\[export\]") as refused:
        cm.to_dicom_seg(labels, tmp_path / "a.dcm", source=study / "study")
    assert refused.value.kind == "missing-extra" and not list(tmp_path.iterdir())


def test_segments_that_overlap_are_opened_one_by_one(study, labels, tmp_path):
    pydicom = pytest.importorskip("pydicom")
    path = cm.to_dicom_seg(labels, tmp_path / "a.dcm", source=study / "study", names=NAMES, kind="binary")
    dataset = pydicom.dcmread(path)
    # Both segments have a frame in this slice: let the second one be the first as well.
    frames = dataset.pixel_array
    groups = dataset.PerFrameFunctionalGroupsSequence
    numbers = [int(g.SegmentIdentificationSequence[0].ReferencedSegmentNumber) for g in groups]
    where = [tuple(g.PlanePositionSequence[0].ImagePositionPatient) for g in groups]
    second = numbers.index(2)
    first = next(i for i, n in enumerate(numbers) if n == 1 and where[i] == where[second])
    frames[second] = frames[first]
    dataset.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()
    dataset.save_as(path)
    image = cm.open(study / "image.zarr").isel(t=1)
    with pytest.raises(SourceError, match="LV") as refused:
        cm.open_labels(path, like=image).compute()
    assert refused.value.kind == "overlapping-segments"
    assert int((cm.open_labels(path, "RV", like=image) > 0).sum()) == int(frames[second].sum())


def test_damage_is_an_error_of_ours(study, labels, tmp_path):
    path = cm.to_dicom_seg(labels, tmp_path / "a.dcm", source=study / "study", kind="binary")
    raw = path.read_bytes()
    for size in (0, 100, 200, 1000, len(raw) // 2, len(raw) - 400):
        path.write_bytes(raw[:size])
        with pytest.raises((SourceError, InputError)):
            cm.open_labels(path, like=cm.open(study / "image.zarr").isel(t=1)).compute()


def test_a_real_segmentation_of_others(real_data):
    found = cm.open_labels(real_data / "single_files_odd" / "liver.dcm")
    assert found.shape == (1, 3, 512, 512) and cm.measure(found).label.values.tolist() == ["Liver"]
    theirs = hd.seg.segread(real_data / "single_files_odd" / "liver.dcm")
    assert int((found > 0).sum()) == int(theirs.pixel_array.sum())
