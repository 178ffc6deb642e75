"""Where voxels lie."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkmed.errors import InputError
from chunkmed.grid import Grid, step_weights

#: Oblique, and sheared as by a tilted gantry: the last column is not orthogonal.
SHEARED = ((0.8, -0.48, 0.36), (0.6, 0.64, -0.38), (0.0, 0.6, 0.9))


def grid(**changes):
    about = {
        "z_mm": (0.0, 3.0, 6.0, 9.0),
        "y_mm": (0.0, 1.5, 3.0),
        "x_mm": (0.0, 0.5, 1.0, 1.5, 2.0),
        "time_ms": (0.0, 40.0),
        "direction": SHEARED,
        "origin_mm": (-20.0, 11.0, 5.0),
    }
    return Grid(**{**about, **changes})


def test_shape_dims_and_spacing():
    assert grid().shape == (2, 4, 3, 5)
    assert grid().dims == ("t", "z", "y", "x")
    assert grid(time_dim="b").dims == ("b", "z", "y", "x")
    assert grid().spacing_mm == (3.0, 1.5, 0.5)
    assert grid(z_mm=(4.0,), thickness_mm=8.0).spacing_mm[0] == 8.0
    assert grid(z_mm=(0.0, 1.0, 4.0)).spacing_mm[0] == 2.0


def test_spacing_is_positive_on_an_axis_that_was_turned_round():
    turned = grid(z_mm=(9.0, 6.0, 3.0, 0.0), y_mm=(3.0, 1.5, 0.0))
    assert turned.spacing_mm == grid().spacing_mm
    assert turned.uniform


def test_it_is_a_value():
    assert grid() == grid() and hash(grid()) == hash(grid()) and grid() != grid(frame_key="a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        grid().z_mm = ()


@pytest.mark.parametrize(
    ("z_mm", "uniform"),
    [
        ((0.0,), True),
        ((0.0, 7.0), True),
        ((0.0, 3.0, 6.0), True),
        ((0.0, 3.27, 6.56, 9.83), True),
        ((0.0, 3.0, 6.0, 9.1), False),
        ((0.0, 3.0, 9.0, 12.0), False),
    ],
)
def test_uniform(z_mm, uniform):
    assert grid(z_mm=z_mm).uniform is uniform


def test_the_affine_maps_indices_to_the_patient():
    for x, y, z in ((0, 0, 0), (4, 2, 3), (1, 2, 0)):
        wanted = np.array([-20.0, 11.0, 5.0]) + np.array(SHEARED) @ [0.5 * x, 1.5 * y, 3.0 * z]
        np.testing.assert_allclose((grid().affine @ [x, y, z, 1])[:3], wanted, atol=1e-12)
        np.testing.assert_allclose(grid().to_lps([[0.5 * x, 1.5 * y, 3.0 * z]])[0], wanted, atol=1e-12)
    assert grid().affine[3].tolist() == [0, 0, 0, 1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-500, 500)] * 3), min_size=1, max_size=5))
def test_to_the_patient_and_back(points):
    np.testing.assert_allclose(grid().from_lps(grid().to_lps(points)), points, atol=1e-9)


def test_a_crop_stays_where_it_was():
    part = grid().crop(((1, 2), (1, 3), (0, 2), (2, 5)))
    assert part.shape == (1, 2, 2, 3)
    assert (part.time_ms, part.z_mm, part.x_mm) == ((40.0,), (3.0, 6.0), (1.0, 1.5, 2.0))
    assert part.fingerprint == grid().fingerprint
    np.testing.assert_allclose(part.affine @ [0, 0, 0, 1], grid().affine @ [2, 0, 1, 1])


@pytest.mark.parametrize(
    "change",
    [
        {"origin_mm": (-20.0, 11.0, 5.00001)},
        {"direction": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))},
        {"frame_key": "other"},
        {"known": False},
    ],
)
def test_other_frames_have_other_fingerprints(change):
    assert grid(**change).fingerprint != grid().fingerprint


def test_rounding_noise_does_not_change_the_fingerprint():
    noisy = tuple(value + 1e-9 for value in grid().origin_mm)
    assert grid(origin_mm=noisy).fingerprint == grid().fingerprint
    assert grid(origin_mm=(0.0, -0.0, 0.0)).fingerprint == grid(origin_mm=(0.0, 0.0, -0.0)).fingerprint
    assert 0 <= grid().fingerprint < 2**63


def test_nearest_voxel():
    assert grid().nearest_voxel((0.0, 0.0, 0.0)) == (0, 0, 0)
    assert grid().nearest_voxel((4.6, 2.2, 1.3)) == (2, 1, 3)
    assert grid().nearest_voxel((10.4, -0.7, 2.2)) == (3, 0, 4)
    assert grid(z_mm=(9.0, 6.0, 3.0, 0.0)).nearest_voxel((8.0, 0.0, 0.0)) == (0, 0, 0)
    assert grid(z_mm=(0.0, 1.0, 5.0)).nearest_voxel((2.9, 0.0, 0.0)) == (1, 0, 0)


@pytest.mark.parametrize(
    "point", [(10.6, 0.0, 0.0), (0.0, -0.8, 0.0), (0.0, 0.0, 2.3), (0.0, 0.0, float("nan"))]
)
def test_points_outside(point):
    with pytest.raises(InputError) as refused:
        grid().nearest_voxel(point)
    assert refused.value.kind == "point-outside"


@pytest.mark.parametrize(
    ("positions", "weights"),
    [
        ((0.0, 2.0, 4.0), (2.0, 2.0, 2.0)),
        ((4.0, 2.0, 0.0), (2.0, 2.0, 2.0)),
        ((0.0, 1.0, 3.0, 6.0), (1.0, 1.5, 2.5, 3.0)),
        ((5.0,), (7.0,)),
        ((), ()),
    ],
)
def test_step_weights(positions, weights):
    assert step_weights(positions, single_mm=7.0).tolist() == list(weights)
