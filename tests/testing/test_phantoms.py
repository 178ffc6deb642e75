from dataclasses import replace

import numpy as np
import pytest

from chunkmed.errors import InputError
from chunkmed.testing import BeatingEllipsoid

SMALL = BeatingEllipsoid(
    time_points=6,
    semi_axes_mm=(30.0, 18.0, 18.0),
    other_semi_axes_mm=(24.0, 20.0, 12.0),
    size=(16, 60, 64),
    spacing_mm=(4.5, 1.5, 1.5),
)


def left_half_ml(heart, t):
    """Volume by thresholding half-way, on the left ventricle's side of the septum."""
    x_mm = np.asarray(heart.grid.x_mm)
    septum = heart.center_mm[2] - heart.semi_axes_mm[2] - heart.septum_mm / 2
    slices = (heart.frame(t, z)[:, x_mm > septum] for z in range(heart.size[0]))
    count = sum(int((values > heart.threshold).sum()) for values in slices)
    return count * np.prod(heart.grid.spacing_mm) / 1000


@pytest.mark.parametrize("seed", range(5))
def test_thresholded_volume_is_within_three_percent_in_every_frame(seed):
    heart = replace(BeatingEllipsoid.random(seed), noise_sigma=0.0)
    measured = [left_half_ml(heart, t) for t in range(heart.time_points)]
    np.testing.assert_allclose(measured, heart.volumes_ml, rtol=0.03)


def test_volumes_are_those_of_the_ellipsoids_and_of_fine_sampling():
    z, y, x = np.meshgrid(*[np.linspace(-31, 31, 125)] * 3, indexing="ij")
    for t in range(SMALL.time_points):
        az, ay, ax = SMALL.semi_axes_at(t)
        assert SMALL.volumes_ml[t] == pytest.approx(4 / 3 * np.pi * az * ay * ax / 1000)
        numeric = np.count_nonzero((z / az) ** 2 + (y / ay) ** 2 + (x / ax) ** 2 <= 1) * 0.5**3 / 1000
        assert numeric == pytest.approx(SMALL.volumes_ml[t], rel=0.005)


def test_ejection_fraction_is_that_of_the_sampled_frames():
    volumes = SMALL.volumes_ml
    assert SMALL.ed_index == 0 and volumes.argmin() == SMALL.es_index == 2
    assert SMALL.ejection_fraction == pytest.approx(1 - volumes.min() / volumes.max())
    assert SMALL.ejection_fraction == pytest.approx(0.6)  # frame 2 of 6 is the end of systole


def test_random_hearts_cover_the_promised_range():
    hearts = [BeatingEllipsoid.random(seed) for seed in range(60)]
    fractions = [heart.ejection_fraction for heart in hearts]
    volumes = [heart.volumes_ml[0] for heart in hearts]
    assert 0.20 <= min(fractions) < 0.3 and 0.65 < max(fractions) <= 0.75
    assert 80 <= min(volumes) < 100 and 180 < max(volumes) <= 200


def test_equal_seeds_give_equal_frames_in_any_order():
    one, two = (replace(BeatingEllipsoid.random(3), noise_sigma=8.0) for _ in range(2))
    later = [one.frame(t, 9) for t in (2, 1)]
    assert np.array_equal(later[1], two.frame(1, 9))
    assert not np.array_equal(one.frame(1, 9), replace(one, seed=4).frame(1, 9))


@pytest.mark.parametrize("noise", ["rician", "gaussian"])
def test_noise_keeps_the_blood_bright(noise):
    clean, noisy = SMALL.frame(0, 8), replace(SMALL, noise_sigma=10.0, noise=noise).frame(0, 8)
    inside = clean == SMALL.blood
    assert noisy[inside].mean() == pytest.approx(SMALL.blood, abs=2)
    assert noisy[inside].std() == pytest.approx(10, rel=0.15)


def test_the_septum_is_tissue_and_the_other_ventricle_is_equally_bright():
    z, y, x = SMALL.grid.nearest_voxel(SMALL.center_mm)
    _, other_y, other_x = SMALL.grid.nearest_voxel(SMALL.other_center_mm)
    line = SMALL.frame(0, z)[y]
    assert line[x] == line[other_x] == SMALL.blood and y == other_y
    assert (line[other_x:x] == SMALL.tissue).sum() * 1.5 >= SMALL.septum_mm - 3


def test_center_lies_in_the_blood_of_every_frame_of_a_tilted_heart():
    heart = replace(BeatingEllipsoid.random(1), noise_sigma=0.0)
    z, y, x = heart.grid.nearest_voxel(heart.center_mm)
    assert all(heart.frame(t, z)[y, x] > heart.threshold for t in range(heart.time_points))
    back = heart.grid.from_lps([heart.center_lps])[0]
    np.testing.assert_allclose(back[::-1], heart.center_mm)


def test_upright_axial_coordinates_are_patient_positions():
    assert SMALL.center_lps == pytest.approx(SMALL.center_mm[::-1])
    first = SMALL.grid.to_lps([[SMALL.grid.x_mm[0], SMALL.grid.y_mm[0], SMALL.grid.z_mm[0]]])[0]
    assert tuple(first) == SMALL.origin_mm
    turned = replace(SMALL, rotation_deg=(90.0, 0.0, 0.0))
    assert turned.grid.z_mm[0] == 0.0 and turned.grid.origin_mm == SMALL.origin_mm


def test_tilt_slides_the_slices_and_keeps_the_volume():
    tilted = replace(SMALL, tilt_deg=15.0, size=(16, 76, 64))
    upright = replace(tilted, tilt_deg=0.0)
    assert left_half_ml(tilted, 0) == pytest.approx(left_half_ml(upright, 0), rel=0.02)
    direction = np.asarray(tilted.grid.direction)
    assert direction[:, 1] @ direction[:, 2] == pytest.approx(np.tan(np.radians(15)))
    assert np.cross(direction[:, 0], direction[:, 1]) @ direction[:, 2] == pytest.approx(1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"septum_mm": 5.0},
        {"nominal_ejection_fraction": 1.2},
        {"shrink_exponents": (1.0, 1.0, 1.0)},
        {"slice_gap_mm": 9.0},
        {"size": (16, 60, 40)},
    ],
)
def test_impossible_hearts_are_refused(wrong):
    with pytest.raises(InputError) as caught:
        replace(SMALL, **wrong)
    assert caught.value.kind == "bad-phantom"
