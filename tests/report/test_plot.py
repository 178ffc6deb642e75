"""``cm.plot``: where things are on the page, by the pixels that were drawn."""

import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from many_blocks import small_blocks, sourced
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import chunkmed as cm
from chunkmed.coords import attach, grid_of
from chunkmed.errors import InputError
from chunkmed.graph.evaluate import recording
from chunkmed.graph.lift import lift
from chunkmed.grid import Grid
from chunkmed.report.figures import save_figure

#: A bright ball at the left, front and head side of the patient, in mm from the middle of the image.
BALL = np.array([12.0, -8.0, 6.0])
AXIAL = np.eye(3)
CORONAL = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
SAGITTAL = np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]])
ANGLE = np.radians(20)
ABOUT = np.array([[np.cos(ANGLE), -np.sin(ANGLE), 0], [np.sin(ANGLE), np.cos(ANGLE), 0], [0, 0, 1]])


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def phantom(direction, sizes=(20, 44, 44), steps=(3.0, 1.5, 1.5), times=(0.0,)):
    """The ball as voxels of a grid with these directions see it; its middle is the patient's origin."""
    direction = np.asarray(direction, float)
    z, y, x = (np.arange(n) * step for n, step in zip(sizes, steps, strict=True))
    centre = direction @ np.array([x.mean(), y.mean(), z.mean()])
    grid = Grid(
        *(tuple(axis.tolist()) for axis in (z, y, x)),
        times,
        direction=tuple(map(tuple, direction.tolist())),
        origin_mm=tuple((-centre).tolist()),
    )
    zz, yy, xx = np.meshgrid(z, y, x, indexing="ij")
    lps = np.tensordot(direction, np.stack([xx, yy, zz]), 1) - centre[:, None, None, None]
    ball = np.sum((lps - BALL[:, None, None, None]) ** 2, axis=0) < 4.5**2
    values = np.where(ball, 1000, 100).astype("int16")
    return attach(np.stack([values] * len(times)), grid)


def canvas(inches=(2, 2), dpi=60):
    figure = Figure(figsize=inches, dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def drawn(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)


def bright(figure, axes):
    """Where the ball is in axes: pixels to the right of and above their middle."""
    box = axes.get_window_extent()
    pixels = drawn(figure)
    rows, columns = np.nonzero(pixels.min(axis=-1) > 200)
    height = pixels.shape[0]
    x, y = columns + 0.5, height - rows - 0.5
    inside = (x > box.x0) & (x < box.x1) & (y > box.y0) & (y < box.y1)
    assert inside.any(), "no ball was drawn"
    return np.array([x[inside].mean() - (box.x0 + box.x1) / 2, y[inside].mean() - (box.y0 + box.y1) / 2])


#: What lies to the right and up on each page, as a row of L, P, S and its sign.
PAGES = {"axial": ((0, 1), (1, -1)), "coronal": ((0, 1), (2, 1)), "sagittal": ((1, 1), (2, 1))}


@pytest.mark.parametrize(
    "direction",
    [
        AXIAL,
        AXIAL @ np.diag([-1, -1, 1]),  # prone: rows run to the right of the patient, columns to the front
        AXIAL @ np.diag([1, 1, -1]),  # from head to feet
        AXIAL[:, [1, 0, 2]],  # rows and columns swapped
        CORONAL,
        CORONAL @ np.diag([-1, -1, 1]),
        SAGITTAL,
        SAGITTAL @ np.diag([-1, 1, -1]),
        ABOUT,
        ABOUT @ SAGITTAL,
    ],
    ids=lambda d: "".join(f"{v:+.0f}" for v in d.ravel()),
)
def test_the_ball_is_where_the_patient_has_it(direction):
    image = phantom(direction)
    figure = canvas((5, 2.2), 60)
    cm.plot.views(image, at={"lps": BALL}, letters=False, lines=False, vmin=0, vmax=1000, figure=figure)
    scale = figure.axes[0].get_window_extent().width / np.ptp(figure.axes[0].get_xlim())
    seen = {}
    for axes in figure.axes:
        axes.lines[:] and [line.remove() for line in axes.lines]
        [text.remove() for text in axes.texts]
        name = axes.get_title(loc="left").split()[0]
        seen[name] = bright(figure, axes) / scale
    assert set(seen) == set(PAGES)
    straight = np.allclose(np.abs(direction).max(axis=0), 1)
    for name, (right, up) in PAGES.items():
        wanted = np.array([BALL[row] * sign for row, sign in (right, up)])
        # Oblique axes are those nearest; the side is the same, the place is along the image's own axes.
        if straight:
            assert np.abs(seen[name] - wanted).max() < 1.6, (name, seen[name], wanted)
        assert np.sign(seen[name]).tolist() == np.sign(wanted).tolist(), name


def test_an_axis_turned_round_is_drawn_the_same():
    image = phantom(AXIAL)
    turned = image.isel(y=slice(None, None, -1), x=slice(None, None, -1))
    pages = []
    for each in (image, turned):
        figure = canvas()
        cm.plot.imshow(each, at={"lps": BALL}, ax=figure.add_axes((0, 0, 1, 1)))
        pages.append(drawn(figure))
    assert np.abs(pages[0] - pages[1]).max() <= 1


def test_letters_scale_and_titles():
    image = phantom(CORONAL)
    figure = cm.plot.views(image)
    assert [axes.get_title(loc="left").split()[0] for axes in figure.axes] == ["axial", "coronal", "sagittal"]
    letters = [[t.get_text() for t in axes.texts if len(t.get_text()) == 1] for axes in figure.axes]
    assert letters == [["R", "L", "A", "P"], ["R", "L", "H", "F"], ["A", "P", "H", "F"]]
    assert [text.get_text() for axes in figure.axes for text in axes.texts if "mm" in text.get_text()] == [
        "10 mm"
    ]
    widths = [axes.get_window_extent().width / np.ptp(axes.get_xlim()) for axes in figure.axes]
    heights = [axes.get_window_extent().height / np.ptp(axes.get_ylim()) for axes in figure.axes]
    assert np.allclose([*widths, *heights], widths[0])


def test_voxels_that_are_not_square_keep_their_shape():
    ax = cm.plot.imshow(phantom(AXIAL), axis="y")
    assert ax.get_aspect() == 1.0
    assert ax.images[0].get_extent() == pytest.approx([-0.75, 65.25, -1.5, 58.5])


def test_any_array_can_be_drawn():
    values = np.arange(24.0).reshape(2, 3, 4)
    ax = cm.plot.imshow(da.from_array(values, chunks=2), at={"voxel": (0, 1, 1)}, cmap="viridis")
    assert ax.images[0].get_array().tolist() == values[0].tolist()
    assert ax.images[0].get_cmap().name == "viridis" and not ax.texts
    assert cm.plot.imshow(values[1] > 17).images[0].get_clim() == (0.0, 1.0)
    colour = xr.DataArray(np.zeros((4, 5, 3), "u1"), dims=("y", "x", "c"))
    assert cm.plot.imshow(colour).images[0].get_array().shape == (4, 5, 3)
    narrow = phantom(AXIAL).isel(t=0, y=3)
    assert cm.plot.imshow(narrow).get_xlim() == (-0.75, 65.25)
    assert len(cm.plot.views(narrow).axes) == 1


def test_windows():
    ct = phantom(AXIAL).assign_attrs(modality="CT", padding_value=1000)
    limits = {
        "lung": (-1350.0, 150.0),
        (40, 400): (-160.0, 240.0),
        None: (100.0, 101.0),  # the ball is padding here
    }
    for window, wanted in limits.items():
        assert cm.plot.imshow(ct, at={"lps": BALL}, window=window).images[0].get_clim() == wanted
    assert cm.plot.imshow(ct, vmax=7).images[0].get_clim() == (100.0, 7)
    inverse = ct.assign_attrs(photometric_interpretation="MONOCHROME1")
    assert cm.plot.imshow(inverse).images[0].get_cmap().name == "gray_r"


def test_overlays_are_clear_where_there_is_nothing():
    image = phantom(AXIAL)
    labels = (image > 500).astype("u1") * 2
    ax = cm.plot.overlay(image, labels, at=labels, alpha=0.25)
    colours = ax.images[-1].get_array()
    inside = labels.isel(t=0, z=12).values > 0
    assert set(np.unique(colours[..., 3])) == {0.0, 0.25} and np.array_equal(colours[..., 3] > 0, inside)
    distance = xr.where(labels > 0, 2.5, np.nan)
    layer = cm.plot.overlay(image, distance, at=labels, image_cmap="bone").images[-1]
    assert np.array_equal(~np.ma.getmaskarray(layer.get_array()), inside)
    assert layer.get_cmap().name == "hot" and layer.get_clim() == (0.0, 2.5)


def test_end_diastole_is_solid_and_end_systole_dashed():
    image = phantom(AXIAL, times=(0.0, 40.0, 80.0))
    curve = xr.DataArray([60.0, 90.0, 30.0], {"t": image.t}, ["t"], name="volume_ml")
    labels = (image > 500) * xr.DataArray([5, 1, 2], dims="t")
    ax = cm.plot.contours(image, labels, curve=curve, at={"lps": BALL})
    lines = [c for c in ax.collections if len(c.get_paths())]
    assert [c.get_linestyle()[0][1] is None for c in lines] == [True, False]
    # The number of the object changes, its colour does not.
    assert np.array_equal(lines[0].get_edgecolor(), lines[1].get_edgecolor())
    figure = cm.plot.montage(image, axis="t", contours=labels, at={"lps": BALL})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["t = 0 ms", "t = 40 ms", "t = 80 ms"]
    colours = {tuple(np.ravel(axes.collections[0].get_edgecolor())) for axes in figure.axes}
    assert len(colours) == 1


@pytest.mark.parametrize("point", ["lps", "voxel", "zyx", "table"])
def test_points(point):
    image = phantom(ABOUT)
    x, y, z = grid_of(image).from_lps([BALL])[0]
    given = {
        "lps": {"lps": BALL},
        "voxel": {"voxel": (z / 3, y / 1.5, x / 1.5)},
        "zyx": [{"z": z, "y": y, "x": x}],
        "table": xr.DataArray(
            [[z, y, x], [np.nan] * 3], {"label": [3, 4], "axis": ["z", "y", "x"]}, name="center_of_mass_mm"
        ),
    }[point]
    figure = cm.plot.views(image, points=given, lines=False)
    axial, coronal, sagittal = (
        next(line for line in axes.lines if line.get_marker() == "o") for axes in figure.axes
    )
    assert [float(v[0]) for v in axial.get_data()] == pytest.approx([x, y])
    assert [float(v[0]) for v in coronal.get_data()] == pytest.approx([x, z])
    assert [float(v[0]) for v in sagittal.get_data()] == pytest.approx([y, z])
    assert axial.get_markerfacecolor() != "none"
    # Beside the slice it is hollow; of several slices on the nearest.
    beside = cm.plot.montage(image, n=3, points=given)
    marks = [[line for line in axes.lines if line.get_marker() == "o"] for axes in beside.axes]
    assert [len(each) for each in marks] == [0, 1, 0]
    assert marks[1][0].get_markerfacecolor() == "none"


def test_a_montage_reads_its_slices_at_its_level(tmp_path, monkeypatch):
    monkeypatch.setattr("chunkmed.store.pyramid._ENOUGH", 16)
    image = phantom(AXIAL, (16, 64, 64), (1.0, 1.0, 1.0))
    with small_blocks((4, 16, 16)):
        stored = cm.save(image, tmp_path / "a.zarr")
    for inches, level in ((1.2, 2), (2.4, 1), (9, 0)):
        with recording() as readings:
            cm.plot.montage(stored, n=4, columns=4, figure=canvas((inches, inches / 3), 50))
        token = lift(cm.open(tmp_path / "a.zarr", level=level)).node.token
        assert {reading.source for reading in readings} == {token}, level
        depth = 16 >> level
        read = sum((b - a) for reading in readings for a, b in [reading.box[1]])
        assert read <= depth and all(reading.box[2:] == ((0, 64 >> level),) * 2 for reading in readings)


def test_a_lazy_image_is_evaluated_where_it_is_shown():
    image = phantom(AXIAL)
    lazy = attach(sourced(image.values, (1, 2, 8, 8)), grid_of(image))
    smooth = cm.ndimage.generic_filter(lazy, np.max, size=(5, 1, 1))
    with recording() as readings:
        cm.plot.imshow(smooth, at={"z": 30.0})
    assert {reading.box[1] for reading in readings} == {(8, 13)}


def test_histograms_count_every_voxel():
    image = phantom(AXIAL, times=(0.0, 40.0)).assign_attrs(units="HU")
    ax = cm.plot.histogram(image, bins=5)
    counts, edges = np.histogram(image.values, 5)
    found = ax.patches[0].get_data()
    assert found.values.tolist() == counts.tolist() and np.allclose(found.edges, edges)
    parts = next(other for other in ax.figure.axes if other is not ax)
    assert parts.lines[0].get_ydata()[1:].tolist() == pytest.approx((counts.cumsum() / counts.sum()).tolist())
    assert ax.get_xlabel() == "value (HU)"
    # Drawn again over it: one axis for the parts.
    cm.plot.histogram(image, bins=5, mask={"ball": image > 500, "rest": image < 500}, ax=ax, density=True)
    assert len(ax.figure.axes) == 2 and len(ax.patches) == 3 and len(parts.lines) == 3
    assert ax.patches[1].get_data().values.sum() == pytest.approx(1)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ball", "rest"]


@pytest.mark.parametrize("lazy", [False, True])
def test_a_histogram_per_label(lazy):
    image = phantom(AXIAL, times=(0.0, 40.0))
    labels = (image > 500).astype("i4") + 2 * (image.x > 50)
    if lazy:
        image, labels = (
            attach(sourced(part.values, (1, 4, 9, 9)), grid_of(image)) for part in (image, labels)
        )
    ax = cm.plot.histogram(image, range=(0, 1100), bins=11, labels=labels, cdf=False)
    assert [p.get_label() for p in ax.patches] == ["label 1", "label 2"]
    for number, patch in enumerate(ax.patches, 1):
        counts = np.histogram(image.values[labels.values == number], 11, (0, 1100))[0]
        assert patch.get_data().values.tolist() == counts.tolist()
    some = cm.plot.histogram(image, range=(0, 1100), bins=11, labels=labels, index=[2], cdf=False)
    assert len(some.patches) == 1


def test_curves():
    time = ("t", [0.0, 50.0, 100.0], {"units": "ms"})
    volume = xr.DataArray([100.0, 40.0, 80.0], {"t": time}, ["t"], name="volume_ml")
    assert cm.plot.curve(volume).get_title(loc="left") == "EF 60.0 %"
    table = xr.Dataset({"volume_ml": volume.expand_dims(label=[1], axis=1)})
    assert cm.plot.curve(table).get_title(loc="left") == "EF 60.0 %"
    mean = xr.DataArray(np.ones((3, 2)), {"t": time, "label": [1, 7]}, ["t", "label"], name="mean")
    ax = cm.plot.curve(mean)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (ms)", "mean")
    assert [line.get_label() for line in ax.lines] == ["label 1", "label 7"]
    assert cm.plot.curve(volume.drop_vars("t"), color="k").get_xlabel() == "time point"


IMAGE = phantom(AXIAL, (4, 6, 8), times=(0.0, 40.0))


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: cm.plot.imshow(np.zeros(5)), "bad-dims"),
        (lambda: cm.plot.imshow(np.zeros((2, 2), complex)), "bad-dims"),
        (lambda: cm.plot.imshow(np.zeros((0, 2))), "bad-dims"),
        (lambda: cm.plot.imshow(IMAGE.rename(y="w")), "bad-dims"),
        (lambda: cm.plot.imshow(IMAGE, axis="t"), "bad-axis"),
        (lambda: cm.plot.imshow(IMAGE.isel(z=0), axis="y"), "bad-axis"),
        (lambda: cm.plot.imshow(IMAGE, t=2), "no-time-point"),
        (lambda: cm.plot.imshow(IMAGE, at={"z": 99.0}), "point-outside"),
        (lambda: cm.plot.imshow(IMAGE, at={"lps": (0, 0, 99)}), "point-outside"),
        (lambda: cm.plot.imshow(IMAGE, at={"voxel": (0, 0, 8)}), "point-outside"),
        (lambda: cm.plot.imshow(IMAGE, at=3), "bad-point"),
        (lambda: cm.plot.imshow(IMAGE, points={"w": 3}), "bad-point"),
        (lambda: cm.plot.imshow(IMAGE, points={"z": 3}), "bad-point"),
        (lambda: cm.plot.imshow(IMAGE, points=[{"voxel": (1, 2)}]), "bad-point"),
        (lambda: cm.plot.imshow(IMAGE, window="chest"), "bad-window"),
        (lambda: cm.plot.imshow(IMAGE, window=(1, 0)), "bad-window"),
        (lambda: cm.plot.imshow(IMAGE, window=7), "bad-window"),
        (lambda: cm.plot.imshow(IMAGE, window="lung", vmin=0), "bad-window"),
        (lambda: cm.plot.imshow(IMAGE.assign_attrs(modality="MR"), window="lung"), "other-modality"),
        (lambda: cm.plot.overlay(IMAGE, IMAGE.isel(z=[1, 2])), "other-grid"),
        (lambda: cm.plot.overlay(IMAGE, np.zeros((3, 6, 8))), "shape-mismatch"),
        (lambda: cm.plot.contours(IMAGE, IMAGE / 2), "not-labels"),
        (lambda: cm.plot.montage(IMAGE, n=2, every=2), "bad-choice"),
        (lambda: cm.plot.montage(IMAGE, axis="w"), "bad-axis"),
        (lambda: cm.plot.histogram(IMAGE, mask=IMAGE > 0, labels=IMAGE), "two-masks"),
        (lambda: cm.plot.curve(IMAGE.isel(t=0)), "not-a-curve"),
        (lambda: save_figure(canvas(), "a.docx"), "bad-format"),
        (lambda: cm.plot.montage(IMAGE, labels=IMAGE), "bad-argument"),
        (lambda: cm.plot.imshow(IMAGE, n=3), "bad-argument"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, kind):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: cm.plot.montage(IMAGE, labels=IMAGE), r"montage\(\) .* 'labels'; did you mean 'contours'"),
        (lambda: cm.plot.montage(IMAGE, count=6), "did you mean 'n'"),
        (lambda: cm.plot.views(IMAGE, fill=IMAGE), "did you mean 'overlay'"),
        (lambda: cm.plot.overlay(IMAGE, IMAGE, windw="lung"), "did you mean 'window'"),
        (lambda: cm.plot.views(IMAGE, count=6), r"see help\(cm.plot.views\)"),
        (lambda: cm.plot.histogram(IMAGE, bns=6), "did you mean 'bins'"),
    ],
)
def test_arguments_that_nobody_takes_are_refused_as_python_does(call, said):
    with pytest.raises(TypeError, match=said):
        call()
    assert plt.get_fignums() == []


def test_arguments_of_matplotlib_are_passed_on():
    ax = cm.plot.imshow(IMAGE, interpolation="nearest", zorder=3, gid="slice")
    assert (ax.images[0].get_interpolation(), ax.images[0].get_gid()) == ("nearest", "slice")
    assert cm.plot.views(IMAGE, vmin=0, cmap="bone", letters=False, origin="lower").axes
    assert cm.plot.histogram(IMAGE, lw=2, color="red").patches[0].get_linewidth() == 2


def test_a_montage_of_a_single_slice_is_over_time():
    image = phantom(AXIAL, (1, 6, 8), times=(0.0, 40.0, 80.0))
    titles = [ax.get_title(loc="left") for ax in cm.plot.montage(image).axes]
    assert titles == ["t = 0 ms", "t = 40 ms", "t = 80 ms"]
    for flat in (image.isel(z=0), phantom(AXIAL, times=(0.0, 40.0)).isel(y=3)):
        assert len(cm.plot.montage(flat).axes) == flat.sizes["t"]
    assert len(cm.plot.montage(image, axis="z").axes) == 1
    assert len(cm.plot.montage(image.isel(t=[0])).axes) == 1


def test_pixels_are_counted_and_have_no_fractions():
    curve = xr.DataArray([7543.0, 4000.0], dims="t", name="area_px", attrs={"units": "px"})
    said = [text.get_text() for text in cm.plot.curve(curve).texts]
    assert said == ["ED  7543 px", "ES  4000 px"]


def test_titles_tell_the_time_point_that_is_shown():
    titles = [ax.get_title(loc="left") for ax in cm.plot.views(IMAGE, t=1).axes]
    assert titles[0] == "axial   z = 6.0 mm   t = 40 ms"
    assert cm.plot.montage(IMAGE, n=1).axes[0].get_title(loc="left").endswith("t = 0 ms")
    assert "t =" not in cm.plot.views(IMAGE.isel(t=[0])).axes[0].get_title(loc="left")


def test_views_cross_in_the_largest_object():
    image = phantom(AXIAL, (20, 44, 44))
    labels = image * 0
    labels[0, 2:5, 2:6, 2:6] = 1
    labels[0, 12:18, 30:40, 30:40] = 2
    labels[0, 2:5, 30:32, 2:6] = 3
    titles = [ax.get_title(loc="left").split("= ")[1] for ax in cm.plot.views(image, at=labels).axes]
    assert titles == ["42.0 mm", "51.0 mm", "51.0 mm"]
    nothing = cm.plot.views(image, at=labels * 0)
    assert len(nothing.axes) == 3


def test_letters_leave_room_for_small_panels():
    def letters(inches):
        figure = canvas(inches)
        ax = cm.plot.imshow(phantom(AXIAL), ax=figure.add_axes((0, 0, 1, 1)))
        return [text.get_fontsize() for text in ax.texts]

    assert letters((4, 4)) == [11.0] * 4
    assert letters((1, 1)) == [9.0] * 4
    assert letters((0.6, 3)) == []
