"""Every set comes out as its independent reference says, or is refused with the reason."""

import hashlib
import json
import pickle

import numpy as np
import pytest

from chunkmed.dicom import scan
from chunkmed.errors import SourceError

SETS = (
    "ct_chest_ge_cmbcrc",
    "ct_siemens_tilt_no_tag",
    "mr_fmri_ge_4d",
    "mr_dce_siemens_4d",
    "mr_oblique_tra",
    "mr_coronal",
    "mr_hitachi_signed12",
    "mr_philips_private_scale",
    "pet_ac_ge_perslice_slope_jpegls",
    "enhanced_mr_philips_anatomical",
    "enhanced_mr_philips_fmri",
    "enhanced_mr_philips_dti",
)


def whole(stack):
    return stack.read([(0, size) for size in stack.shape])


def sha256(values):
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f4").tobytes()).hexdigest()


def read_or_skip(stack):
    try:
        return whole(stack)
    except SourceError as error:
        if error.kind == "missing-decoder":
            pytest.skip(str(error))
        raise


@pytest.mark.parametrize("name", SETS)
def test_geometry(name, data, reference):
    expected, grid = reference[name], scan(data / name).select().grid
    assert list(grid.shape) == expected["shape"]
    np.testing.assert_allclose(grid.spacing_mm[1:], expected["spacing_zyx"][1:], atol=2e-6)
    # The reference rounds its positions to 0.01 mm.
    rounding_mm = 0.01 / (grid.shape[1] - 1) + 2e-6
    np.testing.assert_allclose(grid.spacing_mm[0], expected["spacing_zyx"][0], atol=rounding_mm)
    np.testing.assert_allclose(grid.affine[:3, 3], expected["origin_lps"], atol=2e-6)
    columns = np.array(expected["direction_columns_x_y_z"])
    np.testing.assert_allclose(np.array(grid.direction).T[:2], columns[:2], atol=1e-4)
    z_mm = expected["z_positions_mm"]
    if "..." not in z_mm:
        np.testing.assert_allclose(np.diff(grid.z_mm), np.diff(z_mm), atol=0.011)
    assert grid.known and grid.uniform


@pytest.mark.parametrize("name", SETS)
def test_shear_is_the_angle_between_step_and_normal(name, data, reference):
    expected, grid = reference[name], scan(data / name).select().grid
    normal = np.array(expected["direction_columns_x_y_z"])[2]
    step = np.array(grid.direction)[:, 2]
    assert step @ normal == pytest.approx(1, abs=1e-4)
    angle = np.degrees(np.arccos(min(1.0, step @ normal / np.linalg.norm(step))))
    assert angle == pytest.approx(expected["step_vs_normal_angle_deg"], abs=0.01)


@pytest.mark.parametrize("name", SETS)
def test_values(name, data, reference):
    values = read_or_skip(scan(data / name).select())
    expected = reference[name]
    assert sha256(values) == expected["sha256_rescaled_f4"]
    assert (values.min(), values.max()) == pytest.approx((expected["min"], expected["max"]))


@pytest.mark.parametrize("name", SETS)
def test_a_box_is_the_same_box_of_the_whole(name, data):
    stack = scan(data / name).select()
    values = read_or_skip(stack)
    box = [(n // 3, max(n // 3 + 1, 2 * n // 3)) for n in stack.shape]
    np.testing.assert_array_equal(stack.read(box), values[tuple(slice(a, b) for a, b in box)])
    assert stack.read(box).dtype == stack.dtype


@pytest.mark.parametrize("name", SETS)
def test_a_stack_travels(name, data):
    stack = scan(data / name).select()
    copy = pickle.loads(pickle.dumps(stack))
    again = scan(sorted((data / name).iterdir())[::-1]).select()
    assert copy.key == again.key == stack.key
    assert copy.token == again.token == stack.token
    assert stack.token != stack.widened().token or stack.dtype.kind == "f"
    assert (copy.grid, copy.attributes) == (stack.grid, stack.attributes)


def test_chest_padding_is_a_fifth_of_the_voxels(data):
    stack = scan(data / "ct_chest_ge_cmbcrc").select()
    assert (stack.padding, stack.dtype, stack.plane) == (-3024, np.int16, "axial")
    assert np.mean(whole(stack) == stack.padding) == pytest.approx(0.21, abs=0.01)
    assert stack.attributes["units"] == "HU"
    assert stack.grid.origin_mm == (0.0, 0.0, 0.0)
    assert (stack.grid.x_mm[0], stack.grid.y_mm[0], stack.grid.z_mm[0]) == (-228.8, -220.0, -136.5)


def test_times(data):
    fmri = scan(data / "mr_fmri_ge_4d").select()
    assert fmri.grid.time_ms == tuple(5000.0 * t for t in range(10))
    assert any("NumberOfTemporalPositions = 10" in text for text in fmri.assumptions)
    dynamic = scan(data / "mr_dce_siemens_4d").select()
    assert dynamic.grid.time_ms == (0.0, 2987.5, 5975.0)
    assert dynamic.attributes["time_key"] == "AcquisitionNumber"
    enhanced = scan(data / "enhanced_mr_philips_fmri").select()
    assert enhanced.grid.time_ms == (0.0, 3000.0, 6000.0, 9000.0)


def test_diffusion_is_not_called_time(data):
    grid = scan(data / "enhanced_mr_philips_dti").select().grid
    assert (grid.time_dim, grid.time_ms) == ("b", (0.0, 1300.0, 1300.0, 1300.0))


def test_cine_without_geometry(data, reference):
    stack = scan(data / "mr_cine_philips_singleslice_multiframe").select()
    assert (stack.shape, stack.dtype) == ((16, 1, 256, 256), np.uint8)
    np.testing.assert_allclose(stack.grid.time_ms, 69.47 * np.arange(16))
    assert not stack.grid.known and stack.warnings
    (file,) = reference["mr_cine_philips_singleslice_multiframe"]["per_file"]
    stored = hashlib.sha256(whole(stack).astype("<i4").tobytes()).hexdigest()
    assert stored == file["pydicom_stored"]["sha256_i4"]


def test_two_extra_axes_make_a_stack_for_each_echo(data, reference):
    study = scan(data / "mr_phantom_multiecho_x_time_5d")
    assert [stack.shape for stack in study.stacks] == [(3, 3, 72, 96)] * 4
    together = np.stack([whole(stack) for stack in study.stacks], axis=1)
    expected = reference["mr_phantom_multiecho_x_time_5d"]
    assert sha256(together.reshape(expected["shape"])) == expected["sha256_rescaled_f4"]


@pytest.mark.parametrize(
    ("name", "kind", "named"),
    [
        ("ct_ge_missing_slice", "missing-slices", "10 mm between IM-0001-0009-0001.dcm"),
        ("ct_head_ge_variable_tilt", "uneven-spacing", "1.081 mm between 14.dcm"),
        ("enhanced_mr_emri_small_syntaxes", "ambiguous-frames", "10 frames"),
    ],
)
def test_refused_with_the_reason(name, kind, named, data):
    (stack,) = scan(data / name).stacks
    assert stack.problem.kind == kind
    assert named in str(stack.problem) and stack.key in str(stack.problem)
    with pytest.raises(SourceError, match="series"):
        whole(stack)


def test_messy_folder(data):
    study = scan(data / "messy_folder")
    skipped = {item.path.rpartition("/")[2]: item.reason for item in study.skipped}
    assert set(skipped) == {
        ".DS_Store", "DICOMDIR", "IM_truncated", "README.txt", "empty.dcm", "nometa.dcm",
        "notes.dcm", "rtplan.dcm", "rtstruct.dcm", "test-SR.dcm",
    }  # fmt: skip
    assert skipped["IM_truncated"] == "truncated: 8130 of 8192 bytes of pixel data"
    images = [stack for stack in study.stacks if not stack.localizer]
    assert [stack.shape for stack in images] == [(1, 4, 256, 256), (2, 4, 192, 192)]
    assert any("1 duplicate" in text for text in images[0].assumptions)
    assert sum(stack.localizer for stack in study.stacks) == 9


def test_odd_single_files(data):
    study = scan(data / "single_files_odd")
    usable = {stack.modality: stack for stack in study.stacks if stack.problem is None}
    assert usable["CR"].attributes["photometric_interpretation"] == "MONOCHROME1"
    assert (usable["RTDOSE"].shape, usable["RTDOSE"].dtype) == ((1, 15, 10, 10), np.float32)
    assert whole(usable["RTDOSE"]).max() == pytest.approx(1.254)
    assert len(study.skipped) == 3


def test_no_uid_name_or_date_leaves(data):
    for name in SETS:
        stack = scan(data / name).select()
        assert json.loads(json.dumps(stack.attributes)) == stack.attributes
        text = repr((stack.attributes, stack.assumptions, stack.warnings, stack.key, stack.grid.frame_key))
        assert "1.2.8" not in text and "1.3.6" not in text and "dicom2nifti" not in text


def test_damaged_compressed_frames_name_the_file(data, tmp_path):
    (good,) = (data / "ct_one_slice_16_transfer_syntaxes").glob("*RLE*")
    whole_file = good.read_bytes()
    cut = tmp_path / "cut.dcm"
    for part in (0.1, 0.5, 0.9):
        cut.write_bytes(whole_file[: int(len(whole_file) * part)])
        with pytest.raises(SourceError, match=r"cut\.dcm") as caught:
            whole(scan(cut).select())
        assert caught.value.kind == "undecodable"


def test_one_slice_in_every_transfer_syntax(data, reference):
    rows = reference["ct_one_slice_16_transfer_syntaxes"]["per_file"]
    read = 0
    for row in rows:
        if "pydicom_stored" not in row:
            continue
        stack = scan(data / "ct_one_slice_16_transfer_syntaxes" / row["path"]).select()
        slope, intercept = (float(part) for part in row["rescale"])
        try:
            values = whole(stack)
        except SourceError as error:
            # Without pylibjpeg, pydicom tries Pillow, which knows no 12 bit JPEG.
            assert error.kind == "missing-decoder" or "JPEG Extended" in row["transfer_syntax"]
            continue
        stored, expected = np.rint((values.astype(float) - intercept) / slope), row["pydicom_stored"]
        if row["transfer_syntax"].startswith("JPEG Baseline"):  # decoders may differ in the last bit
            assert stored.mean() == pytest.approx(expected["mean"], abs=0.1)
        else:
            assert hashlib.sha256(stored.astype("<i4").tobytes()).hexdigest() == expected["sha256_i4"]
        read += 1
    assert read >= 5  # the uncompressed ones, deflated and RLE need no plugin
