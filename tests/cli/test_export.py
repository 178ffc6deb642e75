"""``chunkmed export``, and ``convert`` and ``run`` on files of other formats."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from commands import invoked

import chunkmed as cm
from chunkmed.cli.convert import command as convert
from chunkmed.cli.export import command as export
from chunkmed.cli.run import command as run
from chunkmed.errors import ChunkmedError, InputError
from chunkmed.testing import BeatingEllipsoid, write_study


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    heart = BeatingEllipsoid(time_points=2, size=(7, 40, 44), spacing_mm=(14.0, 3.0, 3.0), seed=1)
    write_study(folder / "study", heart)
    image = cm.convert(folder / "study", folder / "image.zarr")
    cm.save((image > 50).astype("u1"), folder / "image.zarr", name="bright")
    return folder


def test_a_store_and_dicom_as_nifti(root, tmp_path):
    told = invoked(export, root / "image.zarr", tmp_path / "a.nii.gz")
    assert "2 t x 7 z x 40 y x 44 x, int16" in told
    image = cm.open(root / "image.zarr")
    np.testing.assert_array_equal(cm.open(tmp_path / "a.nii.gz"), image)
    invoked(export, root / "study", tmp_path / "b.nii", "--time", 1)
    np.testing.assert_array_equal(cm.open(tmp_path / "b.nii")[0], image[1])
    invoked(export, root / "image.zarr", tmp_path / "c.nii", "--label", "bright", "--memory", "4 GB")
    np.testing.assert_array_equal(cm.open_labels(tmp_path / "c.nii", like=image), image > 50)


def test_labels_as_a_segmentation(root, tmp_path):
    pytest.importorskip("highdicom", reason="the test extra is not installed")
    words = [root / "image.zarr", tmp_path / "a.dcm", "--label", "bright", "--time", 0, "--name", "1=bright"]
    with pytest.raises(InputError, match="--source"):
        invoked(export, *words)
    invoked(export, *words, "--source", root / "study", "--kind", "binary")
    image = cm.open(root / "image.zarr")
    found = cm.open_labels(tmp_path / "a.dcm", like=image.isel(t=0))
    np.testing.assert_array_equal(found, image[0] > 50)


@pytest.mark.parametrize(
    "words",
    [
        ("a.img",),
        ("a.nii", "--time", "9"),
        ("a.dcm", "--source", "x", "--name", "one"),
        ("a.nii", "--label", "x"),
    ],
)
def test_what_is_refused(root, tmp_path, words):
    with pytest.raises(ChunkmedError):
        invoked(export, root / "image.zarr", tmp_path / words[0], *words[1:])
    assert not list(tmp_path.iterdir())


def test_convert_and_run_read_other_formats(root, tmp_path):
    invoked(export, root / "image.zarr", tmp_path / "a.nii.gz")
    assert "2 t x 7 z" in invoked(convert, tmp_path / "a.nii.gz", tmp_path / "a.zarr")
    image = cm.open(root / "image.zarr")
    np.testing.assert_array_equal(cm.open(tmp_path / "a.zarr"), image)
    assert cm.open(tmp_path / "a.zarr").cm.grid == image.cm.grid
    for z in range(3):
        tifffile.imwrite(tmp_path / f"s{z}.tif", image.values[0, z])
    words = [
        tmp_path / "s*.tif",
        tmp_path / "out",
        "--set",
        "above=50",
        "--set",
        "clear=[]",
        "--set",
        "count=1",
    ]
    with pytest.raises(InputError, match="spacing_mm"):
        invoked(run, "threshold-objects", *words)
    told = invoked(run, "threshold-objects", *words, "--spacing", "14,3 mm,3")
    assert "volume_ml" in told
    assert cm.open(tmp_path / "out" / "image.zarr").cm.spacing == {"z": 14.0, "y": 3.0, "x": 3.0}
    with pytest.raises(InputError, match="for DICOM"):
        invoked(convert, tmp_path / "a.nii.gz", tmp_path / "b.zarr", "--merge-series")
    with pytest.raises(InputError, match="leave them out"):
        invoked(convert, root / "study", tmp_path / "b.zarr", "--spacing", "1")
