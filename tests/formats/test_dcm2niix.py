"""NIfTI of the reference data against dcm2niix: values and where they lie, its flips accounted for."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

import chunkmed as cm

nib = pytest.importorskip("nibabel", reason="the test extra is not installed")
pytest.importorskip("dcm2niix", reason="the test extra is not installed")

#: Set -> what dcm2niix is told, and how far values may lie apart. It applies slopes per slice with ``-p y``
#: only, where it takes Philips' private scale instead of the standard's.
SETS = {
    "ct_chest_ge_cmbcrc": ("n", 0),
    "mr_fmri_ge_4d": ("n", 0),
    "mr_fmri_siemens_mosaic": ("n", 0),
    "mr_dce_siemens_4d": ("n", 0),
    "mr_oblique_tra": ("n", 0),
    "mr_coronal": ("n", 0),
    "mr_hitachi_signed12": ("n", 0),
    "mr_philips_private_scale": ("n", 0),
    "enhanced_mr_philips_anatomical": ("n", 2e-4),
    "enhanced_mr_philips_fmri": ("n", 2e-5),
    "pet_ac_ge_perslice_slope_jpegls": ("y", 0.01),
    # Four echoes: a file each.
    "mr_phantom_multiecho_x_time_5d": ("n", 0),
    # It sorts by b-value, the unweighted volume first.
    "enhanced_mr_philips_dti": ("n", 1e-3),
}
#: The raw stack of a tilted gantry, and slices at uneven distances: its affine leaves out the shear, or
#: takes the first step for all; it writes resampled copies beside. Values are compared alone.
SKEWED = ("ct_siemens_tilt_no_tag", "ct_head_ge_variable_tilt", "ct_ge_missing_slice")


def theirs_of(folder, out, private):
    words = ["-z", "n", "-b", "n", "-p", private, "-f", "%s_%e", "-o", str(out), str(folder)]
    subprocess.run([sys.executable, "-m", "dcm2niix", *words], capture_output=True, check=True)
    return [
        nib.load(path)
        for path in sorted(out.glob("*.nii"))
        if "_Tilt" not in path.name and "_Eq" not in path.name
    ]


def turned(theirs, ours):
    """Return their values in the order of our voxels, and how many voxels the corners lie apart."""
    between = np.linalg.solve(ours.affine, theirs.affine)
    near, values = np.round(between[:3, :3]), np.asarray(theirs.dataobj)
    order = np.abs(near).argmax(axis=1)
    assert sorted(order) == [0, 1, 2]
    values = values.transpose(*order, *range(3, values.ndim))
    reverse = [axis for axis in range(3) if near[axis, order[axis]] < 0]
    sides = np.array(theirs.shape[:3])
    corners = np.stack(np.meshgrid(*([0, n - 1] for n in sides), indexing="ij"), -1).reshape(-1, 3)
    exact = corners @ near.T
    start = np.array([sides[order[axis]] - 1 if axis in reverse else 0 for axis in range(3)])
    apart = corners @ between[:3, :3].T + between[:3, 3] - (exact + start)
    return np.flip(values, reverse), np.abs(apart).max()


def ours_of(folder, out):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, stack in enumerate(cm.scan(folder).stacks):
            image = cm.open(stack, allow_missing=True, allow_irregular=True)
            path = cm.to_nifti(image, out / f"ours-{number}.nii", allow_irregular=True)
            found = cm.open(path)
            np.testing.assert_array_equal(found, image)
            assert found.cm.grid == image.cm.grid
            yield nib.load(path)


@pytest.mark.parametrize("name", [*SETS, *SKEWED])
def test_values_and_affine_are_dcm2niixs(real_data, tmp_path, name):
    private, tolerance = SETS.get(name, ("n", 0))
    theirs = theirs_of(real_data / name, tmp_path, private)
    ours = list(ours_of(real_data / name, tmp_path))
    assert len(theirs) == len(ours)
    left = list(theirs)
    for mine in ours:
        values = np.asarray(mine.dataobj)
        for other in left:
            found, apart = turned(other, mine)
            if name == "enhanced_mr_philips_dti":
                # Volumes by their means: each is another one.
                found, values = (v[..., np.argsort(v.mean((0, 1, 2)))] for v in (found, values))
            if found.shape == values.shape and np.abs(found - values.astype(np.float64)).max() <= tolerance:
                break
        else:
            pytest.fail(f"no file of dcm2niix holds these values: {mine.shape}")
        left.remove(other)
        if name not in SKEWED:
            assert apart < 0.02, f"{apart} voxels"
        if values.ndim == 4 and name != "enhanced_mr_philips_dti":
            assert mine.header["pixdim"][4] == pytest.approx(other.header["pixdim"][4], rel=1e-3)


@pytest.mark.parametrize("name", ["ct_chest_ge_cmbcrc", "mr_oblique_tra", "mr_dce_siemens_4d"])
def test_simpleitk_and_nilearn_read_them(real_data, tmp_path, name):
    sitk = pytest.importorskip("SimpleITK", reason="the test extra is not installed")
    image = cm.open(real_data / name)
    path = str(cm.to_nifti(image, tmp_path / "a.nii"))
    theirs = sitk.ReadImage(path)
    np.testing.assert_array_equal(np.squeeze(sitk.GetArrayFromImage(theirs)), np.squeeze(image.values))
    at = np.array(theirs.TransformIndexToPhysicalPoint((1, 2, 1, 0)[: theirs.GetDimension()]))
    np.testing.assert_allclose(at[:3], (image.cm.grid.affine @ [1, 2, 1, 1])[:3], atol=1e-3)
    nilearn = pytest.importorskip("nilearn.image", reason="nilearn is not installed")
    np.testing.assert_array_equal(
        nilearn.get_data(nilearn.load_img(path)).T.squeeze(), image.values.squeeze()
    )
