from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from matplotlib.contour import QuadContourSet
from matplotlib.image import imread

from chunkmed.coords import attach
from chunkmed.grid import Grid
from chunkmed.report import summary_figure, summary_picture
from chunkmed.report.drawing import label_color
from chunkmed.slices.choice import center_of, gray_window
from chunkmed.testing import BeatingEllipsoid

HEART = BeatingEllipsoid(
    time_points=6,
    semi_axes_mm=(30.0, 18.0, 18.0),
    other_semi_axes_mm=(24.0, 20.0, 12.0),
    size=(16, 60, 64),
    spacing_mm=(4.5, 1.5, 1.5),
)
SHOWN = (HEART.ed_index, HEART.es_index)


def block(part, labels, block_info=None):
    """One time point; the ones that are not shown must not be read."""
    t = block_info[None]["array-location"][0][0]
    assert t in SHOWN, "a time point was read that is not shown"
    volume = np.stack([HEART.frame(t, z) for z in range(HEART.size[0])])[None]
    # The numbers of the two ventricles change over time, as they may.
    sides = np.where(np.arange(64) > 30, 1 + t, 2 + t)
    return np.where(volume > HEART.threshold, sides, 0).astype("int32") if labels else volume


def cine():
    shape, chunks = HEART.grid.shape, ((1,) * 6, *((n,) for n in HEART.size))
    image = da.empty(shape, chunks=chunks, dtype="int16").map_blocks(
        block, labels=False, dtype="int16", meta=np.empty((0,) * 4, "int16")
    )
    labels = image.astype("int32").map_blocks(
        block, labels=True, dtype="int32", meta=np.empty((0,) * 4, "int32")
    )
    return attach(image, HEART.grid), attach(labels, HEART.grid, name="labels")


def curve():
    time = ("t", list(HEART.grid.time_ms), {"units": "ms"})
    return xr.DataArray(HEART.volumes_ml, {"t": time}, ["t"], name="volume_ml", attrs={"units": "ml"})


def contours(axes):
    return [child for child in axes.get_children() if isinstance(child, QuadContourSet)]


def colors(axes):
    return [tuple(np.ravel(c.get_edgecolor())) for c in contours(axes)]


def test_cine_shows_three_planes_and_the_curve():
    figure = summary_figure(*cine(), curve=curve(), title="heart")
    *slices, chart = figure.axes
    assert len(slices) == 3 and all(axes.images for axes in slices)
    assert [text.get_text() for text in slices[0].texts] == ["R", "L", "A", "P"]
    assert [text.get_text() for text in slices[1].texts] == ["R", "L", "H", "F"]
    assert chart.get_title(loc="left") == "EF 60.0 %"
    assert (chart.get_xlabel(), chart.get_ylabel()) == ("time (ms)", "volume (ml)")
    assert [text.get_text()[:2] for text in chart.texts] == ["ED", "ES"]
    assert "heart" in [text.get_text() for text in figure.texts]


def test_both_ventricles_keep_their_colours_from_ed_to_es():
    figure = summary_figure(*cine(), curve=curve())
    found = colors(figure.axes[0])
    assert len(found) == 4 and len(set(found)) == 2


def test_a_curve_that_names_its_object_shows_only_that():
    followed = curve().assign_coords(label=("t", np.arange(6) + 1))
    figure = summary_figure(*cine(), curve=followed)
    found = colors(figure.axes[0])
    assert len(found) == 2 and len(set(found)) == 1


def test_superior_is_up_in_the_side_views():
    upright = summary_figure(*cine(), curve=curve()).axes[1]
    assert not upright.yaxis_inverted()
    assert summary_figure(*cine(), curve=curve()).axes[0].yaxis_inverted()


def static(known=True, depth=8, **attrs):
    grid = Grid(
        tuple((2.5 if known else 1.0) * np.arange(depth)),
        tuple(np.arange(30.0)),
        tuple(np.arange(40.0)),
        known=known,
    )
    values = np.zeros((1, depth, 30, 40), "int16")
    values[:, :, 10:20, 10:25] = 100
    values[..., 0] = -3000
    return attach(da.from_array(values), grid, attrs=attrs), attach(
        da.from_array((values > 0).astype("u1")), grid
    )


def table():
    sizes = np.array([[1.5, 0.0, 12.0]])
    return xr.Dataset({"volume_ml": (("t", "label"), sizes)}, {"label": [1, 2, 3]})


def test_a_static_image_lists_its_objects(tmp_path):
    image, labels = static()
    figure = summary_figure(image, labels, table=table())
    assert len(figure.axes) == 4
    assert [tick.get_text() for tick in figure.axes[-1].get_yticklabels()] == ["label 3", "label 1"]
    path = summary_picture(image, labels, tmp_path / "out" / "a.png", table=table())
    pixels = imread(path)
    assert pixels.shape[:2] == (900, 1600) and pixels[..., :3].std() > 0.1
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


def test_slices_go_through_the_largest_object():
    """Whose middle is not the middle of all of them."""
    image, labels = static()
    values = np.zeros(labels.shape, "u1")
    values[:, 0, :3, :3] = 1
    values[:, -2:, -9:, -9:] = 2
    values[:, 0, -3:, :3] = 3
    figure = summary_figure(image, labels.copy(data=da.from_array(values)))
    shown = figure.axes[0].get_title(loc="left")
    assert shown in {f"axial   z = {z:.1f} mm" for z in labels["z"].values[-2:]}
    assert [colour[:3] for colour in colors(figure.axes[0])] == [to_rgb(label_color(2))]


@pytest.mark.parametrize("dims", ["tzyx", "zyx", "yx"])
def test_a_single_slice_fills_the_picture(dims):
    image, labels = static(depth=1)
    pick = {axis: 0 for axis in "tz" if axis not in dims}
    figure = summary_figure(image.isel(pick), labels.isel(pick))
    assert len(figure.axes) == 1 and contours(figure.axes[0])


def test_without_geometry_there_are_no_letters_and_voxels_are_square():
    figure = summary_figure(*static(known=False))
    assert len(figure.axes) == 3 and not any(axes.texts for axes in figure.axes)
    assert figure.axes[1].images[0].get_extent() == [-0.5, 39.5, -0.5, 7.5]


def test_padding_is_left_out_of_the_window():
    image, labels = static(padding_value=-3000)
    assert summary_figure(image, labels).axes[0].images[0].get_clim() == (0.0, 100.0)
    assert gray_window([np.full((2, 2), np.nan)], None) == (0.0, 1.0)


def test_the_centre_avoids_the_gap_between_two_objects():
    mask = np.zeros((9, 3, 3), bool)
    mask[[0, 1, 7]] = True
    mask[1, 0, 0] = False
    assert center_of(xr.DataArray(mask, dims=["z", "y", "x"])) == {"z": 0, "y": 1, "x": 1}
    assert center_of(xr.DataArray(mask & False, dims=["z", "y", "x"])) == {"z": 4, "y": 1, "x": 1}


def test_hearts_of_any_direction_can_be_drawn():
    heart = replace(HEART, rotation_deg=(70.0, 20.0, 95.0))
    image, labels = cine()
    turned = [attach(part.data, heart.grid) for part in (image, labels)]
    figure = summary_figure(*turned, curve=curve())
    for axes in figure.axes[:3]:
        assert len({text.get_text() for text in axes.texts}) == 4
