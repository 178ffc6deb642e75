"""cm.compare against closed forms and brute force."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from many_blocks import small_blocks, sourced

from chunkmed import compare
from chunkmed.coords import attach
from chunkmed.errors import InputError
from chunkmed.grid import Grid

STEPS = (2.0, 1.5, 0.5)


def grid(shape=(2, 12, 14, 18), **more):
    z, y, x = (tuple(step * i for i in range(n)) for step, n in zip(STEPS, shape[1:], strict=True))
    return Grid(**{"z_mm": z, "y_mm": y, "x_mm": x, "time_ms": tuple(map(float, range(shape[0]))), **more})


def box(*spans, on=None, name=1):
    on = on or grid()
    ids = np.zeros(on.shape, np.int32)
    ids[(slice(None), *(slice(*span) for span in spans))] = name
    return attach(sourced(ids, (1, 5, 6, 7)), on)


@pytest.fixture(autouse=True)
def _many_blocks():
    with small_blocks((5, 6, 7)):
        yield


def test_two_boxes_of_closed_form():
    first, second = box((2, 8), (3, 9), (4, 10)), box((2, 8), (3, 9), (6, 14))
    table = compare.overlap(first, second)
    assert dict(table.sizes) == {"t": 2, "label": 1}
    common, one, other = 6 * 6 * 4, 6 * 6 * 6, 6 * 6 * 8
    np.testing.assert_allclose(table.dice, 2 * common / (one + other))
    np.testing.assert_allclose(table.jaccard, common / (one + other - common))
    np.testing.assert_allclose(table.volume_difference_ml, (one - other) * np.prod(STEPS) / 1000)
    assert table.volume_difference_ml.attrs["units"] == "ml"
    np.testing.assert_array_equal(compare.dice(first, second), table.dice)
    np.testing.assert_array_equal(compare.jaccard(first, second), table.jaccard)
    np.testing.assert_array_equal(compare.volume_difference_ml(first, second), table.volume_difference_ml)


def test_a_shifted_box_is_as_far_away_as_it_was_shifted():
    first, second = box((2, 8), (3, 9), (4, 10)), box((2, 8), (3, 9), (7, 13))
    table = compare.surface_distances(first, second)
    # The face that was moved 3 voxels of 0.5 mm; no voxel of a convex body lies further off.
    np.testing.assert_allclose(table.hausdorff_mm, 1.5)
    assert np.all(table.hausdorff_95_mm <= 1.5) and np.all(table.mean_surface_distance_mm < 1.5)
    apart = compare.surface_distances(first, first)
    assert all(float(abs(apart[name]).max()) == 0 for name in apart.data_vars)


@pytest.mark.parametrize(("inner", "outer"), [(6.0, 9.0), (5.0, 10.0)])
def test_two_balls_around_one_centre(inner, outer):
    positions = tuple(float(i) for i in range(23))
    on = Grid(z_mm=positions, y_mm=positions, x_mm=positions)
    z, y, x = np.meshgrid(*[np.arange(23) - 11.0] * 3, indexing="ij")
    balls = [attach(sourced((z**2 + y**2 + x**2 <= r**2)[None], (1, 12, 12, 12)), on) for r in (inner, outer)]
    found = compare.surface_distances(*balls)
    for name in found.data_vars:
        # Centres of voxels lie up to a voxel inside of the ball.
        assert float(found[name].squeeze()) == pytest.approx(outer - inner, abs=1.0)
    assert float(compare.dice(*balls).squeeze()) == pytest.approx(
        2 * inner**3 / (inner**3 + outer**3), rel=0.02
    )


def brute_force(first, second, positions):
    """Distances between all voxels at the two surfaces."""

    def surface(mask):
        padded = np.pad(mask, 1)
        core = padded[1:-1, 1:-1, 1:-1]
        inside = core.copy()
        for axis in range(3):
            for step in (1, -1):
                inside &= np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1]
        return positions[core & ~inside]

    one, other = surface(first), surface(second)
    every = np.linalg.norm(one[:, None] - other[None], axis=2)
    there, back = every.min(axis=1), every.min(axis=0)
    mean = np.concatenate([there, back]).mean()
    return mean, max(there.max(), back.max()), max(np.percentile(there, 95), np.percentile(back, 95))


@pytest.mark.parametrize("more", [{}, {"z_mm": (0.0, 1.0, 4.0, 5.0, 9.0, 11.0)}, {"tilted": True}])
def test_random_labels_against_brute_force(more):
    tilt = {"direction": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.4), (0.0, 0.0, 1.0))} if more.pop("tilted", 0) else {}
    on = grid((2, 6, 7, 8), **more, **tilt)
    rng = np.random.default_rng(4)
    ids = [(rng.integers(0, 3, on.shape) * (rng.random(on.shape) < 0.6)).astype(np.int16) for _ in range(2)]
    ids[0][1][ids[0][1] == 2] = 0
    found = compare.surface_distances(*(attach(sourced(each, (1, 3, 4, 5)), on) for each in ids))
    z, y, x = np.meshgrid(on.z_mm, on.y_mm, on.x_mm, indexing="ij")
    positions = np.stack([x, y, z], axis=-1) @ np.array(on.direction).T
    for t, label in ((0, 1), (0, 2), (1, 1)):
        wanted = brute_force(ids[0][t] == label, ids[1][t] == label, positions)
        row = found.isel(t=t).sel(label=label)
        names = ("mean_surface_distance_mm", "hausdorff_mm", "hausdorff_95_mm")
        np.testing.assert_allclose([float(row[name]) for name in names], wanted, rtol=1e-9)
    assert np.isnan(found.hausdorff_mm.isel(t=1).sel(label=2))


def test_labels_that_one_image_lacks():
    first, second = box((2, 8), (3, 9), (4, 10), name=3), box((2, 8), (3, 9), (4, 10), name=7)
    table = compare.overlap(first, second)
    assert table.label.values.tolist() == [3, 7] and np.all(table.dice == 0) and np.all(table.jaccard == 0)
    assert np.all(table.volume_difference_ml.sel(label=3) > 0)
    assert np.all(table.volume_difference_ml.sel(label=7) < 0)
    nothing = compare.overlap(first * 0, second * 0)
    assert nothing.sizes["label"] == 0


def test_uneven_slices_count_with_their_own_depth():
    on = grid((1, 6, 7, 8), z_mm=(0.0, 1.0, 4.0, 5.0, 9.0, 11.0))
    first, second = box((1, 2), (1, 3), (1, 3), on=on), box((2, 3), (1, 3), (1, 3), on=on)
    found = float(compare.volume_difference_ml(first, second).squeeze())
    # Half the way to each neighbour: 2 mm, 2 mm and 2.5 mm.
    assert found == pytest.approx(0.0)
    third = box((3, 4), (1, 3), (1, 3), on=on)
    assert float(compare.volume_difference_ml(third, first).squeeze()) == pytest.approx(0.5 * 4 * 0.75 / 1000)


def test_without_millimetres_there_is_overlap_and_no_distance():
    plain = xr.DataArray(da.ones((3, 4, 5), chunks=2, dtype=np.uint8), dims=("z", "y", "x"))
    assert set(compare.overlap(plain, plain).data_vars) == {"dice", "jaccard"}
    for function in (compare.volume_difference_ml, compare.surface_distances):
        with pytest.raises(InputError) as refused:
            function(plain, plain)
        assert refused.value.kind == "no-spacing"


def test_errors():
    first = box((2, 8), (3, 9), (4, 10))
    for arguments, kind in (
        ((first, first / 2), "not-labels"),
        ((first, box((2, 8), (3, 9), (4, 10), on=grid(origin_mm=(1.0, 0.0, 0.0)))), "other-grid"),
        ((first, first, ["weight"]), "no-measure"),
        ((first, first, "dise"), "no-measure"),
    ):
        with pytest.raises(InputError) as refused:
            compare.overlap(*arguments)
        assert refused.value.kind == kind
    assert refused.value.fix == "did you mean 'dice'?"
    assert set(compare.overlap(first, first, "dice")) == {"dice"}
