"""One object through time, and the label at a point."""

import warnings

import numpy as np
import pytest
import xarray as xr
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
from chunkmed.coords import attach
from chunkmed.errors import InputError
from chunkmed.grid import Grid
from chunkmed.tracking import label_at, voxel_at

#: Columns: the image's x, y, z in patient axes; a proper rotation, oblique to all of them.
OBLIQUE = (
    (0.8, -0.48, 0.36),
    (0.6, 0.64, -0.48),
    (0.0, 0.6, 0.8),
)
SHAPE = (5, 4, 12, 16)


def grid(**more):
    return Grid(
        z_mm=tuple(3.0 * i for i in range(SHAPE[1])),
        y_mm=tuple(1.5 * i for i in range(SHAPE[2])),
        x_mm=tuple(0.5 * i for i in range(SHAPE[3])),
        time_ms=tuple(40.0 * i for i in range(SHAPE[0])),
        direction=OBLIQUE,
        origin_mm=(-20.0, 11.0, 5.0),
        **more,
    )


def labelled(mask):
    with small_blocks((2, 5, 6)):
        return ndi.label(attach(sourced(mask, (1, 2, 5, 6)), grid()))[0]


def drifting():
    """Two boxes: one drifts along x, so that where it began is background at the end."""
    mask = np.zeros(SHAPE, bool)
    for t in range(5):
        mask[t, 1:3, 6:10, 2 + 2 * t : 6 + 2 * t] = True
        # Comes first in C order, and is absent in frame 0: labels of the other change.
        if t:
            mask[t, 0, 0:2, 0:3] = True
    return mask


def followed(t, mask):
    out = mask[t].copy()
    out[0, 0:2, 0:3] = False
    return out


def test_an_object_that_drifts():
    mask = drifting()
    labels = labelled(mask)
    with small_blocks():
        found = cm.follow(labels, at={"voxel": (1, 7, 3)})
    assert found.dtype == np.uint8 and found.dims == labels.dims
    for t in range(5):
        np.testing.assert_array_equal(found.values[t], followed(t, mask))
    assert labels.values[0, 1, 7, 3] == 1 and labels.values[4, 1, 7, 11] == 2


@pytest.mark.parametrize("t", [0, 2, 3, 4])
def test_from_any_time_point_on_both_ways(t):
    mask = drifting()
    labels = labelled(mask)
    found = cm.follow(labels, at={"voxel": (1, 7, 3 + 2 * t), "t": t})
    wanted = np.stack([followed(i, mask) for i in range(5)])
    np.testing.assert_array_equal(found.values, wanted)


def test_rows_of_a_table():
    mask = drifting()
    labels = labelled(mask)
    table = cm.measure(labels, None, ["volume_ml", "centroid_mm"])
    rows = cm.follow(labels, at={"voxel": (1, 7, 9), "t": 3}, table=table)
    assert rows.volume_ml.dims == ("t",) and rows.centroid_mm.dims == ("t", "axis")
    assert rows.label.values.tolist() == [1, 2, 2, 2, 2]
    np.testing.assert_array_equal(rows["count"], [32] * 5)
    np.testing.assert_allclose(rows.volume_ml, 32 * 3.0 * 1.5 * 0.5 / 1000)
    np.testing.assert_allclose(rows.centroid_mm.sel(axis="x"), [(3.5 + 2 * t) * 0.5 for t in range(5)])
    np.testing.assert_array_equal(rows.t, labels.t)


def test_the_largest_overlap_wins():
    mask = np.zeros((2, 1, 12, 16), bool)
    mask[0, 0, 5, 2:10] = True
    mask[1, 0, 5, 2:5] = mask[1, 0, 5, 6:10] = True
    on = Grid(z_mm=(0.0,), y_mm=grid().y_mm, x_mm=grid().x_mm, time_ms=(0.0, 40.0))
    labels, _ = ndi.label(attach(sourced(mask, (1, 1, 5, 6)), on))
    with small_blocks():
        found = cm.follow(labels, at={"voxel": (0, 5, 2)})
    assert np.flatnonzero(found.values[1, 0, 5]).tolist() == [6, 7, 8, 9]


def test_a_lost_object_is_nan_with_a_warning():
    mask = drifting()
    mask[3, 1:3] = False
    labels = labelled(mask)
    table = cm.measure(labels, None, ["volume_ml", "touches_border"])
    with pytest.warns(UserWarning, match="lost at 2 of 5 time points, first at 3"):
        rows = cm.follow(labels, at={"voxel": (1, 7, 3)}, table=table)
    assert np.isnan(rows.volume_ml).values.tolist() == [False, False, False, True, True]
    assert rows.touches_border.dtype == bool and rows.volume_ml.attrs["units"] == "ml"
    with pytest.warns(UserWarning, match="lost"):
        found = cm.follow(labels, at={"voxel": (1, 7, 3)})
    assert found.values.any(axis=(1, 2, 3)).tolist() == [True, True, True, False, False]


def test_backwards_from_the_end_it_is_lost_before():
    mask = drifting()
    mask[1, 1:3] = False
    labels = labelled(mask)
    with pytest.warns(UserWarning, match="lost at 2 of 5 time points, first at 0"):
        found = cm.follow(labels, at={"voxel": (1, 7, 9), "t": 3})
    assert found.values.any(axis=(1, 2, 3)).tolist() == [False, False, True, True, True]


def test_nothing_is_said_of_an_object_that_is_not_lost():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cm.follow(labelled(drifting()), at={"voxel": (1, 7, 3)}).compute()


def test_background_is_refused():
    labels = labelled(drifting())
    for at in ({"voxel": (3, 0, 0)}, {"voxel": (1, 7, 3), "t": 4}):
        with pytest.raises(InputError) as refused:
            cm.follow(labels, at=at)
        assert refused.value.kind == "point-on-background"


@pytest.mark.parametrize("t", [5, -1, 99])
def test_a_time_point_that_is_not_there(t):
    with pytest.raises(InputError) as refused:
        cm.follow(labelled(drifting()), at={"voxel": (1, 7, 3), "t": t})
    assert refused.value.kind == "point-outside"


def test_bare_numbers_are_no_point():
    with pytest.raises(InputError, match="voxel") as refused:
        cm.follow(labelled(drifting()), at=(1, 2, 3))
    assert refused.value.kind == "bad-point"


def test_without_time():
    labels = labelled(drifting()).isel(t=2)
    found = cm.follow(labels, at={"voxel": (1, 7, 7)})
    np.testing.assert_array_equal(found.values, followed(2, drifting()))
    table = cm.measure(labels, None, ["volume_ml"])
    assert float(cm.follow(labels, at={"voxel": (1, 7, 7)}, table=table)["count"]) == 32


# ------------------------------------------------------------------------------------ label_at


def numbered():
    """Every voxel its own label: the label says which voxel was found."""
    size = int(np.prod(SHAPE[1:]))
    values = np.arange(1, 1 + size, dtype=np.int32).reshape(SHAPE[1:])
    return attach(sourced(np.stack([values + 10_000 * t for t in range(5)]), (1, 2, 5, 6)), grid())


def wanted_at(z, y, x):
    return 1 + int(np.ravel_multi_index((z, y, x), SHAPE[1:]))


@pytest.mark.parametrize("voxel", [(0, 0, 0), (3, 11, 15), (1, 7, 9), (2, 3, 4)])
def test_three_ways_to_name_a_voxel(voxel):
    labels = numbered()
    z, y, x = voxel
    millimetres = {"z": 3.0 * z, "y": 1.5 * y, "x": 0.5 * x}
    lps = np.array(OBLIQUE) @ [0.5 * x, 1.5 * y, 3.0 * z] + [-20.0, 11.0, 5.0]
    for point in ({"voxel": voxel}, millimetres, {"lps": tuple(lps)}):
        found = label_at(labels, **point)
        assert found.dims == ("t",)
        np.testing.assert_array_equal(found.t, labels.t)
        assert found.values.tolist() == [wanted_at(z, y, x) + 10_000 * t for t in range(5)]
        assert label_at(labels.isel(t=0), **point) == wanted_at(z, y, x)


def test_the_nearest_voxel_counts():
    labels = numbered().isel(t=0)
    assert label_at(labels, z=4.4, y=1.6, x=1.2) == wanted_at(1, 1, 2)
    assert label_at(labels, z=4.6, y=1.6, x=1.3) == wanted_at(2, 1, 3)
    # Half a step beyond the last centre is still inside.
    assert label_at(labels, z=-1.4, y=0.0, x=7.7) == wanted_at(0, 0, 15)


def test_points_of_a_crop():
    labels = numbered().isel(t=0)
    crop = labels.isel(z=slice(1, 4), y=slice(3, 9), x=slice(4, 12))
    assert label_at(crop, z=6.0, y=6.0, x=3.0) == wanted_at(2, 4, 6)
    assert label_at(crop, voxel=(1, 1, 2)) == wanted_at(2, 4, 6)
    lps = np.array(OBLIQUE) @ [3.0, 6.0, 6.0] + [-20.0, 11.0, 5.0]
    assert label_at(crop, lps=tuple(lps)) == wanted_at(2, 4, 6)


def test_a_point_of_a_slice():
    labels = numbered().isel(t=0, z=2)
    assert label_at(labels, y=6.0, x=3.0) == wanted_at(2, 4, 6)
    assert label_at(labels, voxel=(4, 6)) == wanted_at(2, 4, 6)


@pytest.mark.parametrize(
    ("point", "kind"),
    [
        ({"voxel": (4, 0, 0)}, "point-outside"),
        ({"voxel": (-1, 0, 0)}, "point-outside"),
        ({"voxel": (0, 0)}, "point-outside"),
        ({"z": 11.0, "y": 0.0, "x": 0.0}, "point-outside"),
        ({"z": 0.0, "y": -0.9, "x": 0.0}, "point-outside"),
        ({"lps": (500.0, 0.0, 0.0)}, "point-outside"),
        ({"z": 0.0, "y": 0.0}, "bad-point"),
        ({"z": 0.0, "y": 0.0, "x": 0.0, "q": 1.0}, "bad-point"),
        ({}, "bad-point"),
    ],
)
def test_points_that_are_none(point, kind):
    with pytest.raises(InputError) as refused:
        label_at(numbered(), **point)
    assert refused.value.kind == kind


def test_voxels_need_no_grid():
    labels = xr.DataArray(np.arange(6).reshape(2, 3), dims=("y", "x"))
    assert label_at(labels, voxel=(1, 2)) == 5
    with pytest.raises(InputError) as refused:
        label_at(labels, y=0.0, x=0.0)
    assert refused.value.kind == "no-grid"


@pytest.mark.parametrize("lps", [[12, 66], "abc", [1, 2, "z"], [1, 2, float("nan")], 3])
def test_a_patient_position_is_three_numbers(lps):
    with pytest.raises(InputError) as refused:
        voxel_at(attach(sourced(np.zeros(SHAPE), (1, 2, 5, 6)), grid()), {"lps": lps})
    assert refused.value.kind == "bad-point"


def test_a_patient_position_outside_is_told_in_patient_coordinates():
    with pytest.raises(InputError, match="lies outside") as refused:
        voxel_at(attach(sourced(np.zeros(SHAPE), (1, 2, 5, 6)), grid()), {"lps": [0, 0, 999]})
    assert refused.value.kind == "point-outside"
    assert all(f"{axis} runs from" in refused.value.why for axis in "LPS")
