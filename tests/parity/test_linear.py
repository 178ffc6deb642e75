"""Linear and generic filters beyond the table: borders of what they take, any blocks, warnings, mm."""

import warnings

import dask
import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from many_blocks import sourced

import chunkmed.ndimage as ndi
import chunkmed.testing.strategies as cst
from chunkmed.coords import attach
from chunkmed.errors import InputError, RangeWarning
from chunkmed.graph.evaluate import is_lasting
from chunkmed.graph.lift import lift
from chunkmed.graph.views import view
from chunkmed.grid import Grid

MODES = (*cst.BORDER_MODES, "grid-mirror", "grid-constant")
RUN = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}


def _second(image, axis, output, mode, cval):
    return scipy.ndimage.correlate1d(image, [1, -2, 1], axis, output, mode, cval)


def _far(line, out):
    out[...] = line[: len(out)] - line.sum()


#: Every function with arguments that fit images of any number of axes.
CALLS = {
    "correlate1d": ([1.0, -2.0, 0.5, 7.0, 3.0],),
    "convolve1d": ([0.5, 2.0, 3.0, -4.0],),
    "gaussian_filter1d": (1.5,),
    "gaussian_filter": (0.8, 1),
    "uniform_filter": (4,),
    "uniform_filter1d": (5,),
    "sobel": (),
    "prewitt": (0,),
    "laplace": (),
    "gaussian_laplace": (0.7,),
    "gaussian_gradient_magnitude": (0.7,),
    "generic_filter": (np.ptp, 2),
    "generic_filter1d": (_far, 3),
    "generic_laplace": (_second,),
    "generic_gradient_magnitude": (scipy.ndimage.sobel,),
    "vectorized_filter": (np.median,),
    "fourier_gaussian": (0.6,),
    "fourier_uniform": (1.4,),
    "fourier_shift": (0.3,),
    "fourier_ellipsoid": (1.3,),
}
MORE = {"vectorized_filter": {"size": 3}}


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings(), dask.config.set(scheduler="synchronous"), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def outcome(module, name, image, *args, **more):
    try:
        return np.asarray(getattr(module, name)(image, *args, **more))
    except Exception as error:
        return error


def check(found, wanted, name=""):
    assert found.dtype == wanted.dtype
    if "uniform" in name or name in ("fourier_shift", "fourier_ellipsoid"):
        np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=1e-12)
    else:
        np.testing.assert_array_equal(found, wanted)


@settings(max_examples=40, **RUN)
@given(data=st.data(), name=st.sampled_from(sorted(CALLS)))
def test_any_blocks(data, name):
    array = data.draw(cst.images(ndim=data.draw(st.integers(1, 3)), dtypes=("int16", "float32"), max_side=8))
    image = sourced(array, data.draw(st.tuples(*[st.integers(1, 5)] * array.ndim)))
    more = MORE.get(name, {}) | ({} if "fourier" in name else {"mode": data.draw(st.sampled_from(MODES))})
    wanted = getattr(scipy.ndimage, name)(array, *CALLS[name], **more)
    lazy = getattr(ndi, name)(image, *CALLS[name], **more)
    node = lift(lazy).node
    found = view(node, data.draw(cst.chunkings(array.shape))).compute()
    check(found, wanted, name)


@pytest.mark.parametrize("name", CALLS)
def test_no_voxels_no_axes_one_voxel_and_complex_images(name):
    more = MORE.get(name, {})
    shapes = [(), (0,), (3, 0, 2), (1,), (1, 7, 1)]
    images = [np.full(shape, 3, "int16") for shape in shapes]
    images += [np.full(shape, 3 - 2j, "complex64") for shape in shapes[2:]]
    for array in images:
        wanted = outcome(scipy.ndimage, name, array, *CALLS[name], **more)
        lazy = da.from_array(array, chunks=2 if array.size else -1)
        found = outcome(ndi, name, lazy, *CALLS[name], **more)
        if isinstance(wanted, Exception):
            # numpy's error of an axis is a ValueError and an IndexError.
            kin = ValueError if isinstance(wanted, np.exceptions.AxisError) else type(wanted)
            assert isinstance(found, InputError) and isinstance(found, kin)
        else:
            check(found, wanted, name)


WRONG = [
    ("correlate1d", ([],), {}),
    ("correlate1d", ([1, 2],), {"origin": 5}),
    ("correlate1d", ([1, 2],), {"axis": 4}),
    ("correlate1d", ([1, 2],), {"mode": "around"}),
    ("correlate1d", ([1, 2],), {"output": str}),
    ("correlate", ([1, 2],), {}),
    ("correlate", (np.ones((3, 3)),), {"mode": ("wrap", "wrap")}),
    ("correlate", (np.ones((3, 3)),), {"axes": (0, 0)}),
    ("convolve", (np.ones((3, 3)) * 1j,), {"cval": 1j}),
    ("convolve", (np.ones((3, 3)) * 1j,), {"output": "float32"}),
    ("uniform_filter", ((3, 3, 3),), {}),
    ("uniform_filter", (3,), {"origin": 2}),
    ("uniform_filter1d", (0,), {}),
    ("sobel", (), {"mode": ("wrap",)}),
    ("laplace", (), {"axes": (0, 5)}),
    ("gaussian_laplace", (1,), {"order": 1}),
    ("gaussian_gradient_magnitude", ((1, 2, 3),), {}),
    ("gaussian_filter1d", (1,), {"order": -1}),
    ("generic_filter", (np.sum,), {}),
    ("generic_filter", (np.sum,), {"footprint": np.ones(3)}),
    ("generic_filter1d", (np.sum, 0), {}),
    ("generic_laplace", (_second,), {"mode": ("wrap",)}),
    ("vectorized_filter", (np.sum,), {"size": 3, "axes": (0, 1, 2)}),
    ("vectorized_filter", (np.sum,), {"size": 3, "cval": 2}),
    ("vectorized_filter", (np.sum,), {"size": 9, "mode": "valid"}),
    ("vectorized_filter", (3,), {"size": 3}),
    ("fourier_gaussian", ((1, 2, 3),), {}),
    ("fourier_shift", (1,), {"output": np.float32}),
]


@pytest.mark.parametrize(("name", "args", "more"), WRONG)
def test_wrong_arguments_are_refused_at_the_call_with_scipys_type(name, args, more):
    array = np.ones((5, 6), np.float32)
    with pytest.raises(Exception, match="") as wanted:
        getattr(scipy.ndimage, name)(array, *args, **more)
    with pytest.raises(wanted.type if wanted.type is not np.exceptions.AxisError else IndexError) as found:
        getattr(ndi, name)(da.from_array(array, chunks=3), *args, **more)
    assert isinstance(found.value, InputError)


@pytest.mark.parametrize(
    ("name", "args", "warned"),
    [
        ("sobel", (), {"int16", "uint8", "uint32"}),
        ("laplace", (), {"int16", "uint8", "uint32"}),
        ("gaussian_gradient_magnitude", (1,), {"int16", "uint8", "uint32"}),
        ("correlate", (np.full((3, 3), 0.5),), {"int16", "uint8"}),
        ("correlate", (np.full((3, 3), 1 / 9.1),), set()),
        ("convolve1d", ([1, -1],), {"int16", "uint8", "uint32"}),
        ("gaussian_filter", (1,), set()),
        ("uniform_filter", (3,), set()),
    ],
)
def test_a_warning_where_stored_integers_can_wrap_around(name, args, warned):
    told = set()
    for dtype in ("int16", "uint8", "uint32", "int32", "float32"):
        image = da.zeros((4, 5), dtype=dtype, chunks=2)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            getattr(ndi, name)(image, *args, output="float32")
            assert not found
            getattr(ndi, name)(image, *args)
        told |= {dtype for item in found if item.category is RangeWarning}
        assert all('output="float32"' in str(item.message) for item in found)
        assert all(item.filename == __file__ for item in found)
    assert told == warned


def test_mm_and_names():
    array = np.random.default_rng(1).normal(size=(2, 6, 7, 8)).astype(np.float32)
    z_mm, y_mm, x_mm = (tuple((np.arange(n) * step).tolist()) for n, step in ((6, 2.0), (7, 0.5), (8, 0.5)))
    image = attach(da.from_array(array, chunks=3), Grid(z_mm, y_mm, x_mm, time_ms=(0.0, 40.0)))
    reference = scipy.ndimage
    wanted = np.stack([reference.gaussian_laplace(frame, (0.5, 2.0, 2.0)) for frame in array])
    check(np.asarray(ndi.gaussian_laplace(image, "1 mm")), wanted)
    found = ndi.uniform_filter(image, "2.5 mm")
    check(np.asarray(found), reference.uniform_filter(array, (1, 1, 5, 5)), "uniform")
    assert found.dims == image.dims
    check(np.asarray(ndi.correlate1d(image, [1, 2], axis="t")), reference.correlate1d(array, [1, 2], 0))
    check(
        np.asarray(ndi.gaussian_filter1d(image, "1 mm", axis="z")),
        reference.gaussian_filter1d(array, 0.5, axis=1),
    )
    valid = ndi.vectorized_filter(image, np.max, size=(2, 3), axes=("y", "z"), mode="valid")
    assert valid.shape == (2, 4, 6, 8) and valid.z.values.tolist() == [2, 4, 6, 8]
    with pytest.raises(InputError, match="coordinates"):
        ndi.uniform_filter(da.zeros((4, 4)), "2 mm")


def test_nan_touches_only_windows_that_hold_it():
    array = np.arange(12.0)
    array[4] = np.nan
    found = ndi.uniform_filter(da.from_array(array, chunks=5), 3).compute()
    assert np.flatnonzero(np.isnan(found)).tolist() == [3, 4, 5]


@pytest.mark.parametrize("name", ["sobel", "uniform_filter", "gaussian_laplace", "correlate1d"])
def test_the_way_back_to_scipy_gives_the_same(name, monkeypatch):
    array = np.random.default_rng(2).integers(-99, 99, (5, 6, 7)).astype(np.int16)
    lazy = getattr(ndi, name)(da.from_array(array, chunks=4), *CALLS[name])
    wanted = lazy.compute()
    monkeypatch.setenv("CHUNKMED_KERNELS", "scipy")
    check(lazy.compute(), wanted)


def test_functions_of_the_users_are_told_apart_and_never_resumed():
    image = da.from_array(np.arange(8.0), chunks=4)
    nodes = [
        lift(ndi.generic_filter(image, f, 3)).node for f in (lambda w: w[0], lambda w: w[1], lambda w: w[1])
    ]
    assert nodes[0].token != nodes[1].token
    assert not is_lasting(nodes[:1])
    assert is_lasting([lift(ndi.sobel(sourced(np.arange(8.0), (4,)))).node])


def test_plans_name_the_filter():
    image = sourced(np.zeros((4, 5), np.float32), (2, 2))
    names = ("sobel", "gaussian_laplace", "uniform_filter", "generic_filter", "vectorized_filter")
    for name in names:
        node = lift(getattr(ndi, name)(image, *CALLS[name], **MORE.get(name, {}))).node
        assert node.label.startswith(f"{name} (depth ")


def test_whole_lines_are_handed_over_once():
    lengths = []

    def function(line, out):
        lengths.append(len(out))
        out[...] = line[1:-1]

    image = da.from_array(np.zeros((4, 9)), chunks=(2, 3))
    found = ndi.generic_filter1d(image, function, 3)
    assert found.chunks == ((2, 2), (9,))
    found.compute()
    assert lengths == [9] * 4


def test_a_derivative_is_told_how_far_it_looks():
    array = np.random.default_rng(2).normal(size=(9, 8))
    seen = []

    def second(image, axis, output, mode, cval):
        seen.append(image.shape)
        return _second(image, axis, output, mode, cval)

    image = da.from_array(array, chunks=3)
    for mode in ("nearest", "wrap"):
        found = ndi.generic_laplace(image, second, depth=(1, 1), mode=mode)
        assert found.chunks == image.chunks
        check(found.compute(), scipy.ndimage.generic_laplace(array, _second, mode=mode))
    assert max(seen) <= (5, 5)
    with pytest.raises(InputError, match="depth"):
        ndi.generic_laplace(image, second, depth=-1)
