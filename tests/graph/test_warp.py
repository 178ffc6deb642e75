"""Interpolation block by block: what is read, and that blocks do not show."""

import dask
import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from many_blocks import small_blocks, sourced

import chunkmed as cm
import chunkmed.ndimage as ndi
import chunkmed.testing.strategies as cst
from chunkmed.coords import attach
from chunkmed.errors import InputError
from chunkmed.graph import scattered
from chunkmed.graph.evaluate import recording
from chunkmed.graph.lift import lift
from chunkmed.graph.plan import make_plan
from chunkmed.graph.views import compute_block, view
from chunkmed.grid import Grid

MODES = (*cst.BORDER_MODES, "grid-mirror", "grid-constant")
RUN = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
TURN = np.array([[0.9, 0.3, -0.1], [-0.3, 0.8, 0.2], [0.1, -0.2, 1.1]])


@pytest.fixture(autouse=True)
def _many_blocks():
    with small_blocks(), dask.config.set(scheduler="synchronous"):
        yield


def long_image(shape=(150, 9), seed=2):
    """Return an image that is longer than what splines reach along its first axis."""
    return np.random.default_rng(seed).integers(-500, 500, shape).astype(np.int16)


@settings(max_examples=8, **RUN)
@given(data=st.data(), array=cst.images(ndim=3, dtypes=("int16", "float64"), max_side=8))
def test_any_blocks_are_one_block(data, array):
    draw = data.draw
    lazy = sourced(array, draw(st.tuples(*[st.integers(2, 5)] * 3)))
    mode, order = draw(st.sampled_from(MODES)), draw(st.integers(0, 5))
    kind = draw(st.sampled_from(["shift", "zoom", "affine", "rotate", "points"]))
    number = st.floats(-6, 6, allow_nan=False).map(lambda x: round(x, 2))
    if kind == "shift":
        name, given_ = "shift", (draw(st.tuples(*[number] * 3)),)
    elif kind == "zoom":
        name, given_ = "zoom", (draw(st.tuples(*[st.sampled_from([0.5, 0.8, 1.0, 1.5, 2.3])] * 3)),)
    elif kind == "affine":
        name, given_ = "affine_transform", (TURN * draw(st.sampled_from([0.4, 1.0, 2.0])), draw(number))
    elif kind == "rotate":
        name, given_ = "rotate", (draw(number) * 20, (draw(st.sampled_from([0, 1])), 2))
    else:
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        name, given_ = "map_coordinates", (rng.uniform(-9, 15, (3, 4, 5)),)
    more = {"order": order, "mode": mode, "cval": 2.5, "output": "float64"}
    wanted = getattr(scipy.ndimage, name)(array, *given_, **more)
    found = getattr(ndi, name)(lazy, *given_, **more)
    values = view(lift(found).node, draw(cst.chunkings(found.shape))).compute()
    scale = max(1.0, np.abs(array.astype(float)).max(initial=0))
    np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-11 * scale if order > 1 else 0)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
@pytest.mark.parametrize("mode", ["mirror", "reflect", "grid-wrap"])
def test_coefficients_of_cut_lines(order, mode):
    image = long_image()
    found = ndi.spline_filter(sourced(image, (10, 9)), order, mode=mode)
    wanted = scipy.ndimage.spline_filter(image, order, mode=mode)
    with recording() as readings:
        values = found.compute()
    np.testing.assert_allclose(values, wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max())
    assert max(b - a for _, (a, b), *_ in [(0, *r.box) for r in readings]) < 150


def test_only_what_is_needed_is_read():
    image = long_image((200, 200))
    found = ndi.affine_transform(
        sourced(image, (10, 10)), np.array([[0.9, 0.1], [-0.1, 0.9]]), (50, 50), order=1
    )
    with recording() as readings:
        values = compute_block(lift(found).node, ((20, 30), (40, 50)))
    assert [b - a <= 14 for reading in readings for a, b in reading.box] == [True, True]
    wanted = scipy.ndimage.affine_transform(image, np.array([[0.9, 0.1], [-0.1, 0.9]]), (50, 50), order=1)
    np.testing.assert_array_equal(values, wanted[20:30, 40:50])


def test_wrapped_images_are_read_at_both_ends():
    image = long_image((90, 90))
    found = ndi.shift(sourced(image, (10, 10)), (5, -3.5), order=1, mode="grid-wrap")
    with recording() as readings:
        values = compute_block(lift(found).node, ((0, 10), (80, 90)))
    assert sum((b - a) * (d - c) for r in readings for (a, b), (c, d) in [r.box]) <= 13 * 13
    np.testing.assert_array_equal(
        values, scipy.ndimage.shift(image, (5, -3.5), order=1, mode="grid-wrap")[:10, 80:]
    )


def test_points_far_apart_are_taken_tile_by_tile(monkeypatch):
    monkeypatch.setattr(scattered, "_HELD", 400)
    image = long_image((90, 90))
    at = np.random.default_rng(4).uniform(-20, 110, (2, 6, 7))
    for mode in ("constant", "grid-wrap", "nearest", "grid-constant"):
        found = ndi.map_coordinates(sourced(image, (10, 10)), at, order=1, mode=mode, cval=1.5)
        with recording() as readings:
            values = found.compute()
        np.testing.assert_array_equal(
            values, scipy.ndimage.map_coordinates(image, at, order=1, mode=mode, cval=1.5)
        )
        assert (
            max((b - a) * (d - c) for r in readings for (a, b), (c, d) in [r.box[-2:]] if len(r.box) == 2)
            <= 400
        )


def test_points_that_are_known_need_few_blocks():
    made = []

    def block(block_info=None):
        made.append(block_info)
        return np.zeros((10, 10))

    image = da.map_blocks(block, chunks=((10,) * 9,) * 2, dtype=float, meta=np.empty((0, 0)))
    ndi.map_coordinates(image, [[5.5, 6.0], [44.0, 52.5]], order=1).compute()
    assert len(made) == 2


def test_other_byte_order():
    image = long_image((9, 8))
    found = ndi.shift(da.from_array(image, chunks=4), 1.5, output=np.dtype(">i2"), order=1).compute()
    wanted = scipy.ndimage.shift(image, 1.5, output=np.dtype(">i2"), order=1)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def test_lazy_points_give_their_blocks():
    image, at = long_image((20, 30)), np.random.default_rng(4).uniform(0, 19, (2, 8, 9))
    found = ndi.map_coordinates(sourced(image, (5, 5)), da.from_array(at, chunks=(1, 3, 4)), order=1)
    assert found.chunks == ((3, 3, 2), (4, 4, 1))
    np.testing.assert_array_equal(found.compute(), scipy.ndimage.map_coordinates(image, at, order=1))


def test_nothing_known_is_no_place():
    image, at = long_image((20, 30)), np.array([[1.0, np.nan, 3.0], [np.nan, np.inf, 4.0]])
    found = ndi.map_coordinates(sourced(image, (5, 5)), at, order=1, cval=7).compute()
    assert found.tolist() == [7, 7, int(image[3, 4])]


def test_planes_through_a_volume():
    volume = long_image((6, 7, 8))
    matrix = np.array([[0.5, 0.2], [0.9, 0.0], [0.1, 1.0]])
    wanted = scipy.ndimage.affine_transform(volume, matrix, 0.5, (4, 5), order=1)
    found = ndi.affine_transform(
        xr.DataArray(sourced(volume, (2, 3, 3)), dims=("z", "y", "x")), matrix, 0.5, (4, 5), order=1
    )
    assert found.dims == ("y", "x")
    np.testing.assert_array_equal(found.values, wanted)


@pytest.mark.parametrize("mode", ["nearest", "grid-constant", "wrap"])
def test_complex_images(mode):
    image = long_image((9, 10)) + 1j * long_image((9, 10), 3)
    arguments = {"order": 3, "mode": mode, "cval": 2 - 3j}
    found = ndi.shift(da.from_array(image, chunks=4), (1.3, -2.2), **arguments)
    wanted = scipy.ndimage.shift(image, (1.3, -2.2), **arguments)
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found.compute(), wanted, rtol=1e-10)
    found = ndi.spline_filter(da.from_array(image, chunks=4), output=np.complex128)
    np.testing.assert_allclose(
        found.compute(), scipy.ndimage.spline_filter(image, output=np.complex128), rtol=1e-10
    )


def test_scipy_is_the_way_back(monkeypatch):
    image = long_image((30, 20))
    lazy = sourced(image, (10, 10))
    calls = [
        lambda m, i: m.zoom(i, 1.3, order=1),
        lambda m, i: m.affine_transform(i, TURN[:2, :2], order=3, output="float64", mode="nearest"),
        lambda m, i: m.map_coordinates(i, np.full((2, 3), 4.5), order=1),
        lambda m, i: m.spline_filter(i),
    ]
    monkeypatch.setenv("CHUNKMED_KERNELS", "scipy")
    for call in calls:
        np.testing.assert_allclose(
            call(ndi, lazy).compute(), call(scipy.ndimage, image), rtol=1e-11, atol=1e-9
        )


def test_five_axes_are_scipys():
    image = long_image((3, 4, 2, 3, 2))
    found = ndi.shift(da.from_array(image, chunks=2), 0.4, order=1)
    np.testing.assert_array_equal(found.compute(), scipy.ndimage.shift(image, 0.4, order=1))


def on_grid():
    on = Grid(
        *(tuple(step * i for i in range(n)) for step, n in ((2.0, 5), (1.0, 6), (0.5, 7))),
        time_ms=(0.0, 30.0),
    )
    return attach(sourced(long_image((2, 5, 6, 7)), (1, 2, 3, 4)), on)


def test_coordinates_follow_a_zoom():
    found = ndi.zoom(on_grid(), (2, 1, 0.5), order=1)
    np.testing.assert_allclose(found.z, np.linspace(0, 8, 10), atol=1e-6)
    np.testing.assert_allclose(found.x, np.linspace(0, 3, 4), atol=1e-6)
    np.testing.assert_array_equal(found.y, on_grid().y)
    assert "grid" in found.coords and found.dims == on_grid().dims
    found = ndi.zoom(on_grid(), (2, 1, 1), order=1, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(found.z, np.arange(10) - 0.5)


def test_coordinates_stay_or_go():
    image = on_grid()
    assert ndi.shift(image, "2 mm", order=1).coords.equals(image.coords)
    np.testing.assert_array_equal(ndi.shift(image, "2 mm", order=1), ndi.shift(image, (1, 2, 4), order=1))
    assert set(ndi.rotate(image, 30, order=1).coords) == {"t", "x"}
    assert set(ndi.rotate(image, 30, axes=("y", "x"), order=1).coords) == {"t", "z"}
    assert set(ndi.affine_transform(image, TURN, order=1).coords) == {"t"}


@pytest.mark.parametrize(
    "call",
    [
        lambda m, i: m.zoom(i, 2, order=6),
        lambda m, i: m.zoom(i, 2, order=-1),
        lambda m, i: m.zoom(i, (2, 2, 2)),
        lambda m, i: m.zoom(i, 2, mode="outside"),
        lambda m, i: m.shift(i, (1, 2, 3)),
        lambda m, i: m.shift(i.astype("float16"), 1),
        lambda m, i: m.affine_transform(i, np.eye(3)[:, :2]),
        lambda m, i: m.affine_transform(i, np.ones((1, 2))),
        lambda m, i: m.affine_transform(i, np.ones((2, 1))),
        lambda m, i: m.affine_transform(i, np.ones((3, 3))),
        lambda m, i: m.affine_transform(i, np.eye(2), (1, 2, 3)),
        lambda m, i: m.affine_transform(i, np.eye(2), output_shape=()),
        lambda m, i: m.rotate(i, 20, axes=(0, 1, 1)),
        lambda m, i: m.rotate(i, 20, axes=(0, 5)),
        lambda m, i: m.rotate(i, 20, axes=(0, 0.5)),
        lambda m, i: m.rotate(i[0], 20),
        lambda m, i: m.map_coordinates(i, np.ones((3, 4))),
        lambda m, i: m.map_coordinates(i, np.ones(2)),
        lambda m, i: m.map_coordinates(i, 1j * np.ones((2, 4))),
        lambda m, i: m.spline_filter(i, order=1),
        lambda m, i: m.spline_filter1d(i, order=7),
        lambda m, i: m.spline_filter(i, mode="outside"),
        lambda m, i: m.shift(i, 1, output="bool"),
        lambda m, i: m.shift(i * 1j, 1, output="float64"),
    ],
)
def test_what_scipy_refuses(call):
    image = long_image((5, 6))
    with pytest.raises(Exception) as scipys:
        call(scipy.ndimage, image)
    with pytest.raises(InputError) as ours:
        call(ndi, da.from_array(image, chunks=3))
    assert isinstance(ours.value, type(scipys.value)) or scipys.type is np.exceptions.AxisError


def test_a_plan_knows_what_it_takes(tmp_path):
    image = on_grid()
    found = ndi.zoom(image, (1, 2, 2), output="float32")
    plan = make_plan([lift(found).node])
    assert plan.task_bytes > 0 and plan.read_bytes >= image.nbytes
    cm.save(found, tmp_path / "large.zarr")
    np.testing.assert_array_equal(cm.open(tmp_path / "large.zarr").values, found.values)
