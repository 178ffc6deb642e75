import warnings

import numpy as np
import pytest
import xarray as xr

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.cardiac import curve, ejection_fraction, summary
from chunkmed.coords import attach
from chunkmed.errors import InputError
from chunkmed.testing import BeatingEllipsoid

HEART = BeatingEllipsoid()


def as_curve(values, time_ms=None, name="volume_ml", **attrs):
    coords = {} if time_ms is None else {"t": ("t", list(time_ms), {"units": "ms"})}
    return xr.DataArray(values, coords, ["t"], name=name, attrs=attrs)


def test_a_beating_heart_gives_its_own_numbers():
    beat = summary(as_curve(HEART.volumes_ml, HEART.grid.time_ms, units="ml"))
    assert float(beat.ejection_fraction) == pytest.approx(HEART.ejection_fraction)
    assert float(beat.ejection_fraction_percent) == pytest.approx(100 * HEART.ejection_fraction)
    assert (int(beat.ed_index), int(beat.es_index)) == (HEART.ed_index, HEART.es_index)
    assert float(beat.edv_ml) == HEART.volumes_ml.max()
    assert float(beat.esv_ml) == HEART.volumes_ml.min()
    assert float(beat.stroke_volume_ml) == pytest.approx(np.ptp(HEART.volumes_ml))
    assert float(beat.es_time_ms) == HEART.grid.time_ms[HEART.es_index]
    steepest = np.pi / 2 * HEART.nominal_ejection_fraction * HEART.volumes_ml[0] / 0.3  # ml per s
    assert float(beat.peak_ejection_rate_ml_per_s) == pytest.approx(steepest, rel=0.05)
    assert float(beat.peak_filling_rate_ml_per_s) == pytest.approx(steepest / 2, rel=0.05)
    assert beat.edv_ml.attrs["units"] == "ml"


@pytest.mark.parametrize("shape", [(4,), (4, 1), (1, 4)])
def test_dims_of_length_one_are_squeezed(shape):
    values = np.array([100.0, 40.0, 60.0, 90.0]).reshape(shape)
    assert ejection_fraction(values) == 0.6
    dims = ["t"] if len(shape) == 1 else [("label", "t")[n == 4] for n in shape]
    assert float(summary(xr.DataArray(values, dims=dims, name="volume_ml")).edv_ml) == 100


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([], "empty-curve"),
        ([np.nan, np.nan], "all-nan"),
        ([[1.0, 2.0], [3.0, 4.0]], "not-a-curve"),
        (3.0, "not-a-curve"),
        ([0.0, 0.0], "no-volume"),
        ([-1.0, -2.0], "no-volume"),
    ],
)
def test_what_is_not_a_curve_is_refused(values, kind):
    with pytest.raises(InputError) as caught:
        ejection_fraction(values)
    assert caught.value.kind == kind
    with pytest.raises(InputError):
        summary(xr.DataArray(values))


def test_missing_time_points_are_skipped_with_a_warning():
    curve = as_curve([100.0, np.nan, 50.0, 80.0], [0.0, 10.0, 20.0, 30.0])
    with pytest.warns(UserWarning, match="1 of 4 time points"):
        assert ejection_fraction(curve) == 0.5
    with pytest.warns(UserWarning, match="skipped"):
        beat = summary(curve)
    assert int(beat.es_index) == 2 and np.isfinite(float(beat.peak_ejection_rate_ml_per_s))


def test_without_time_there_are_no_times_and_no_rates():
    beat = summary(as_curve([100.0, 50.0, 80.0]))
    unknown = ("ed_time_ms", "es_time_ms", "peak_ejection_rate_ml_per_s", "peak_filling_rate_ml_per_s")
    assert all(np.isnan(float(beat[name])) for name in unknown)
    two = summary(as_curve([100.0, 50.0], [0.0, 10.0]))
    assert float(two.es_time_ms) == 10 and np.isnan(float(two.peak_ejection_rate_ml_per_s))
    one = summary(as_curve([100.0], [0.0]))
    assert float(one.ejection_fraction) == 0


@pytest.mark.parametrize(
    ("name", "units", "expected", "rate"),
    [
        ("area_px", None, "ed_area_px", "peak_ejection_rate_px_per_s"),
        ("area", "mm2", "ed_area_mm2", "peak_ejection_rate_mm2_per_s"),
        ("count", None, "ed_count", "peak_ejection_rate_per_s"),
        ("volume", "mL", "edv_ml", "peak_ejection_rate_ml_per_s"),
        (None, "ml", "edv_ml", "peak_ejection_rate_ml_per_s"),
        (None, None, "ed_value", "peak_ejection_rate_per_s"),
    ],
)
def test_other_quantities_keep_their_name_and_unit(name, units, expected, rate):
    attrs = {} if units is None else {"units": units}
    beat = summary(as_curve([4.0, 2.0, 3.0], [0.0, 10.0, 20.0], name=name, **attrs))
    assert float(beat[expected]) == 4 and float(beat[rate]) == pytest.approx(200, abs=101)


def beating(**more):
    """Image and truth of a small heart."""
    heart = BeatingEllipsoid(time_points=6, size=(14, 64, 80), spacing_mm=(8.0, 2.0, 2.0), **more)
    frames = [[heart.frame(t, z) for z in range(14)] for t in range(6)]
    return attach(np.array(frames), heart.grid), heart


def test_from_the_image_to_the_ejection_fraction():
    image, heart = beating()
    labels, _ = ndi.label(image > heart.threshold)
    z, y, x = heart.center_mm
    table = cm.measure(labels, image, ["volume_ml", "touches_border"])
    rows = cm.follow(labels, at={"z": z, "y": y, "x": x}, table=table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        beat = summary(rows)
        volumes = curve(rows)
    np.testing.assert_allclose(volumes, heart.volumes_ml, rtol=0.04)
    assert float(beat.ejection_fraction) == pytest.approx(heart.ejection_fraction, abs=0.02)
    assert (int(beat.ed_index), int(beat.es_index)) == (heart.ed_index, heart.es_index)
    wanted = summary(as_curve(heart.volumes_ml, heart.grid.time_ms))
    for name in ("edv_ml", "esv_ml", "stroke_volume_ml", "peak_ejection_rate_ml_per_s"):
        assert float(beat[name]) == pytest.approx(float(wanted[name]), rel=0.05)


def test_a_table_tells_what_cannot_be_trusted():
    image, heart = beating()
    labels, _ = ndi.label(image > heart.threshold)
    z, y, x = heart.center_mm
    at = {"z": z, "y": y, "x": x}
    cut = labels.sel(z=slice(z, None))
    rows = cm.follow(cut, at=at, table=cm.measure(cut, None, ["volume_ml", "touches_border"]))
    with pytest.warns(UserWarning, match="touches the border of the image at 6 of 6"):
        curve(rows)
    flat = labels.isel(z=[7])
    rows = cm.follow(flat, at={**at, "z": float(flat.z[0])}, table=cm.measure(flat, None, ["area_mm2"]))
    with pytest.warns(UserWarning, match="single slice"):
        assert float(summary(rows).ed_area_mm2) > 0
    table = cm.measure((labels > 0).where(labels.t != labels.t[2], False), None, ["volume_vox"])
    with pytest.warns(UserWarning, match="no spacing"), pytest.warns(UserWarning, match="lost at 1 of 6"):
        curve(table)


def test_a_table_of_one_object():
    sizes = [[90.0, 40.0], [45.0, 30.0]]
    table = xr.Dataset({"volume_mm3": (("t", "label"), sizes)}, {"label": [3, 7]})
    for arguments, kind in (((table,), "several-objects"), ((table, 5), "no-label")):
        with pytest.raises(InputError) as refused:
            curve(*arguments)
        assert refused.value.kind == kind
    found = curve(table, 7)
    assert found.values.tolist() == [0.04, 0.03] and found.attrs["units"] == "ml" and found.dims == ("t",)
    assert float(summary(table, 3).ejection_fraction) == ejection_fraction(table, 3) == 0.5
    with pytest.raises(InputError, match="2 objects"):
        ejection_fraction(table)
    with pytest.raises(InputError) as refused:
        curve(table.rename(volume_mm3="mean"), 3)
    assert refused.value.kind == "no-size"
