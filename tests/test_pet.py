"""SUV images and the mask of valid voxels."""

import numpy as np
import pytest
from many_blocks import sourced

import chunkmed as cm
import chunkmed.accessors
import chunkmed.kernels.shrink
import chunkmed.ndimage as ndi
from chunkmed.coords import attach
from chunkmed.errors import InputError
from chunkmed.graph.shrunk import Shrink
from chunkmed.grid import Grid
from chunkmed.slices.choice import gray_window

GRID = Grid((0.0, 3.0), (0.0, 1.5, 3.0), (0.0, 1.5, 3.0, 4.5))
VALUES = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)


def image_of(values=VALUES, **attrs):
    return attach(sourced(values, (1, 1, 2, 2)), GRID, name="pet", attrs=attrs)


def test_suv_is_the_image_times_the_factor():
    image = image_of(units="Bq/ml", suv_bw_factor=4.2e-4)
    out = cm.suv(image)
    assert cm.explain(out).opaque == ()
    assert (out.attrs["units"], out.name, out.dtype) == ("g/ml", "pet", np.float32)
    assert out.cm.grid == GRID and set(out.coords) == set(image.coords)
    np.testing.assert_allclose(out.values, VALUES * 4.2e-4, rtol=1e-6)
    np.testing.assert_array_equal(cm.suv(out).values, out.values)
    assert image.attrs["units"] == "Bq/ml"


def test_padding_of_an_suv_image_is_still_padding():
    image = image_of(suv_bw_factor=1 / 3, padding_value=7.0, padding_limit=5.0)
    for each in (image, cm.suv(image)):
        assert np.flatnonzero(~each.cm.valid.values.ravel()).tolist() == [5, 6, 7]


@pytest.mark.parametrize(
    ("attrs", "why"),
    [
        ({"suv_unknown": "PatientWeight (0010,1030) is missing"}, "PatientWeight (0010,1030) is missing"),
        ({}, "no suv_bw_factor"),
        ({"suv_bw_factor": float("nan")}, "nan"),
        ({"suv_bw_factor": 0.0}, "0.0"),
    ],
)
def test_an_unknown_suv_is_refused(attrs, why):
    with pytest.raises(InputError) as caught:
        cm.suv(image_of(**attrs))
    assert caught.value.kind == "suv-unknown" and why in caught.value.why


# ------------------------------------------------------------------------------------------ valid


def test_valid_without_padding_is_true_everywhere():
    for dtype in (np.int16, np.uint8, np.float32, bool):
        valid = image_of(VALUES.astype(dtype)).cm.valid
        assert valid.dtype == bool and valid.values.all() and valid.chunks is not None
        assert cm.explain(valid).opaque == ()


def test_valid_leaves_out_padding_and_nan():
    values = VALUES.copy()
    values[0, 0, 0, 0] = np.nan
    assert (~image_of(values).cm.valid.values).sum() == 1
    padded = image_of(values, padding_value=4.0, units="HU")
    assert np.flatnonzero(~padded.cm.valid.values.ravel()).tolist() == [0, 4]
    assert padded.cm.valid.attrs == {}
    # The limit may lie on either side, and outside of the values' type.
    whole = VALUES.astype(np.uint8)
    low = image_of(whole, padding_value=2, padding_limit=-5)
    assert np.flatnonzero(~low.cm.valid.values.ravel()).tolist() == [0, 1, 2]
    assert image_of(whole, padding_value=-3024).cm.valid.values.all()


def chest():
    values = np.full((1, 2, 3, 4), -3024, np.int16)
    values[..., 1:] = np.linspace(-1000, 1000, 18).reshape(1, 2, 3, 3)
    return values, image_of(values, padding_value=-3024)


def test_histograms_and_thresholds_leave_padding_out():
    _, image = chest()
    counts, edges = cm.intensity.histogram(image)
    assert counts.sum() == 18 and edges[0] == -1000.5
    counts, edges = cm.intensity.histogram(image, padding="include")
    assert counts.sum() == 24 and edges[0] == -3024.5
    assert cm.intensity.histogram(image, where=image < -400)[0].sum() == 6
    assert cm.intensity.otsu(image) > -1000
    assert cm.intensity.otsu(image, padding="include") < -1000
    assert cm.masks.threshold(image, below=-400).values.sum() == 6
    assert cm.masks.threshold(image, below=-400, padding="include").values.sum() == 12
    with pytest.raises(InputError, match="padding"):
        cm.intensity.histogram(image, padding="perhaps")


def test_scipys_names_stay_scipys():
    values, image = chest()
    np.testing.assert_array_equal((image < -400).values, values < -400)


def test_pictures_leave_a_range_of_padding_out():
    slices = [np.array([[-3024.0, -2000.0, 0.0, 100.0, np.nan]])]
    assert gray_window(slices, (-3024.0, -2000.0))[0] >= 0
    assert gray_window(slices, None)[0] < -2000


def test_pyramids_leave_a_range_of_padding_out(monkeypatch):
    # Without the kernel, which takes seconds to compile: it leaves out what equals the padding.
    monkeypatch.setattr(chunkmed.kernels.shrink, "shrink_mean", lambda values, *_: values)
    values = np.array([-3024, -2000, 10, 20], np.int16).reshape(1, 1, 1, 4)
    assert Shrink(False, -3024, -2000)(values, (1, 1, 2)).ravel().tolist() == [-3024, -3024, 10, 20]
    low = np.array([0, 2, 3], np.uint8).reshape(1, 1, 1, 3)
    assert Shrink(False, -5, 2)(low, (1, 1, 2)).ravel().tolist() == [2, 2, 3]
    assert Shrink(False, -3024)(values, (1, 1, 2)).ravel().tolist() == [-3024, -2000, 10, 20]


# -------------------------------------------------------------------------------- on another grid


def test_the_lungs_of_a_ct_on_a_pet(tmp_path):
    """Segmented where there is anatomy, measured where there is activity: two grids of one patient."""
    ct_grid = Grid(
        *(tuple(np.arange(n) * step) for n, step in ((24, 5.0), (96, 2.0), (96, 2.0))), frame_key="a"
    )
    pet_grid = Grid(*(tuple(np.arange(n) * 4.0 + 1.0) for n in (28, 46, 46)), frame_key="a")
    lungs = [((60, 96, 56), (45, 50, 28)), ((60, 96, 136), (45, 50, 28))]
    ct = np.full(ct_grid.shape, 40, np.int16)
    pet = np.full(pet_grid.shape, 2.0, np.float32)
    for center, radii in lungs:
        ct[inside(ct_grid, center, radii)] = -850
        # A little larger: the partial volume of the border is not what is tested.
        pet[inside(pet_grid, center, np.add(radii, 8))] = 0.5
    cm.save(attach(sourced(ct, (1, 8, 40, 40)), ct_grid, attrs={"modality": "CT"}), tmp_path / "ct.zarr")
    image = cm.open(tmp_path / "ct.zarr")
    labels, count = ndi.label(image < -400)
    assert count.values.tolist() == [2]
    cm.save(labels, tmp_path / "ct.zarr", name="lungs")
    suv = cm.suv(attach(sourced(pet * 1000, (1, 9, 20, 20)), pet_grid, attrs={"suv_bw_factor": 1e-3}))
    on_pet = cm.resample_like(cm.open_labels(tmp_path / "ct.zarr", "lungs"), suv)
    table = cm.measure(on_pet, suv, ["volume_ml", "mean", "maximum"])
    assert table.label.values.tolist() == [1, 2]
    np.testing.assert_allclose(table["mean"], 0.5, rtol=1e-6)
    np.testing.assert_allclose(table["maximum"], 0.5, rtol=1e-6)
    truth = 4 / 3 * np.pi * 45 * 50 * 28 / 1000
    np.testing.assert_allclose(table.volume_ml, truth, rtol=0.03)


def inside(grid, center, radii):
    axes = np.meshgrid(grid.z_mm, grid.y_mm, grid.x_mm, indexing="ij")
    parts = (((axis - c) / r) ** 2 for axis, c, r in zip(axes, center, radii, strict=True))
    return (sum(parts) <= 1)[np.newaxis]
