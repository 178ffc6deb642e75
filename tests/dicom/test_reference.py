"""Stacks of the reference data: boxes, copies, damage. What comes out of each set: ``test_outcomes``."""

import pickle

import numpy as np
import pytest

from chunkmed.dicom import scan
from chunkmed.errors import SourceError
from chunkmed.private import file_identifier

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


@pytest.mark.parametrize("name", SETS)
def test_a_box_is_the_same_box_of_the_whole(name, data):
    stack = scan(data / name).select()
    values = whole(stack)
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


def test_an_axial_image_has_its_patient_positions_as_coordinates(data):
    stack = scan(data / "ct_chest_ge_cmbcrc").select()
    assert (stack.plane, stack.grid.origin_mm) == ("axial", (0.0, 0.0, 0.0))
    assert (stack.grid.x_mm[0], stack.grid.y_mm[0], stack.grid.z_mm[0]) == (-228.8, -220.0, -136.5)


def test_damaged_compressed_frames_name_the_file(data, tmp_path):
    (good,) = (data / "ct_one_slice_16_transfer_syntaxes").glob("*RLE*")
    whole_file = good.read_bytes()
    cut = tmp_path / "cut.dcm"
    for part in (0.1, 0.5, 0.9):
        cut.write_bytes(whole_file[: int(len(whole_file) * part)])
        with pytest.raises(SourceError, match=file_identifier(cut)) as caught:
            whole(scan(cut).select())
        assert caught.value.kind == "undecodable"
