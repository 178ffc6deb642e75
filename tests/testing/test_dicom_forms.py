"""What the forms promise, read back with pydicom alone."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest

from chunkmed.errors import InputError
from chunkmed.grid import Grid
from chunkmed.testing import FORMS, Form, write_form
from chunkmed.testing.dicom_csa import csa_header

GRID = Grid(
    z_mm=(0.0, 3.0), y_mm=(0.0, 2.0), x_mm=(0.0, 2.0, 4.0), time_ms=(0.0, 250.0), origin_mm=(5.0, 6.0, 7.0)
)
BY_NAME = {form.name: form for form in FORMS}


def ramp(t, z):
    return np.arange(6).reshape(2, 3) + 100 * t + 10 * z


def headers(folder, form, grid=GRID):
    return [pydicom.dcmread(path) for path in write_form(folder, ramp, grid, form)]


def test_names_are_unique_and_equal_forms_write_equal_files(tmp_path):
    assert len(BY_NAME) == len(FORMS)
    one, other = (write_form(tmp_path / name, ramp, GRID, BY_NAME["shuffled"]) for name in "ab")
    assert [path.name for path in one] == [path.name for path in other]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(one, other, strict=True))


def test_enhanced_frames_say_where_they_lie(tmp_path):
    (ds,) = headers(tmp_path, BY_NAME["enhanced-shuffled"])
    found = {}
    for frame, group in zip(ds.pixel_array, ds.PerFrameFunctionalGroupsSequence, strict=True):
        z, t = group.FrameContentSequence[0].DimensionIndexValues
        found[t - 1, z - 1] = frame
        position = group.PlanePositionSequence[0].ImagePositionPatient
        assert list(position) == [5, 6, 7 + GRID.z_mm[z - 1]]
        assert group.CardiacSynchronizationSequence[0].NominalCardiacTriggerDelayTime == 250 * (t - 1)
    assert all(np.array_equal(found[t, z], ramp(t, z)) for t, z in np.ndindex(2, 2))


def test_each_image_has_its_own_rescale(tmp_path):
    for ds in headers(tmp_path, BY_NAME["rescale-per-slice"]):
        z = int((ds.ImagePositionPatient[2] - 7) / 3)
        t = int(ds.InstanceNumber - 1) % 2
        assert np.array_equal(ds.pixel_array * ds.RescaleSlope + ds.RescaleIntercept, ramp(t, z))


def test_mosaic_is_placed_by_its_own_corner(tmp_path):
    grid = replace(GRID, direction=((1, 0, 0), (0, 1, 0), (0, 0, -1)))
    ds = headers(tmp_path, BY_NAME["mosaic"], grid)[1]
    assert ds[0x0019, 0x100A].value == 2 and "MOSAIC" in ds.ImageType
    assert ds.pixel_array.shape == (4, 6)
    assert np.array_equal(ds.pixel_array[:2, 3:], ramp(1, 1)) and not ds.pixel_array[2:].any()
    # Half of what the sheet is larger than a slice: 3 columns and 2 rows of 2 mm.
    assert list(ds.ImagePositionPatient) == [5 - 3, 6 - 2, 7]
    assert b"-1.00000000" in ds[0x0029, 0x1010].value


def test_csa_header_has_the_lengths_that_it_announces():
    raw = csa_header({"SliceNormalVector": ("FD", ["0", "0", "1"])})
    assert raw[:4] == b"SV10" and int.from_bytes(raw[8:12], "little") == 1
    assert len(raw) == 16 + 84 + 3 * (16 + 4)


def test_junk_lies_above_the_stored_bits(tmp_path):
    ds = headers(tmp_path, BY_NAME["12-in-16-junk"])[0]
    raw = np.frombuffer(ds.PixelData, "<u2")
    assert (raw >> 12).any() and np.array_equal(raw & 0xFFF, ramp(0, 0).ravel())


@pytest.mark.parametrize("layout", ["mosaic", "multiframe"])
def test_a_layout_that_cannot_say_a_tilt_refuses(tmp_path, layout):
    tilted = replace(GRID, direction=((1, 0, 0), (0, 1, 0.2), (0, 0, 1)))
    with pytest.raises(InputError, match="tilt"):
        write_form(tmp_path, ramp, tilted, Form(layout=layout, pointer="GridFrameOffsetVector"))


def test_what_cannot_be_stored_is_refused(tmp_path):
    with pytest.raises(InputError, match="do not fit 4 bits"):
        write_form(tmp_path, ramp, GRID, Form(bits_stored=4))
    with pytest.raises(InputError, match="cannot write"):
        write_form(tmp_path, ramp, GRID, Form(syntax="1.2.840.10008.1.2.4.50"))
    with pytest.raises(InputError, match="FrameTime is one number"):
        uneven = replace(GRID, time_ms=(0.0, 10.0, 30.0))
        write_form(tmp_path, ramp, uneven, Form(layout="multiframe"))
