"""Ranks, extremes, grey morphology and patterns: in any chunks scipy's result on the whole array."""

import dask.array as da
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chunkmed.ndimage as ndi
import chunkmed.testing.strategies as cst
from chunkmed.coords import attach
from chunkmed.errors import InputError
from chunkmed.graph.lift import lift
from chunkmed.graph.views import view
from chunkmed.grid import Grid

RUN = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
MODES = (*cst.BORDER_MODES, "grid-mirror", "grid-constant", "grid-wrap")
RANKS = ("rank_filter", "median_filter", "percentile_filter")
BOXES = ("minimum_filter", "maximum_filter", "grey_erosion", "grey_dilation")
CHAINS = ("grey_opening", "grey_closing", "white_tophat", "black_tophat", "morphological_gradient")
DTYPES = ("uint8", "int8", "int16", "uint16", "int32", "float32", "float64")


@st.composite
def windows(draw, ndim):
    """Draw axes in any order, with a size, a footprint or a structure, and an origin for each."""
    along = draw(st.permutations(range(ndim)))[: draw(st.integers(1, ndim))]
    sizes = [draw(st.integers(1, 4)) for _ in along]
    footprint = np.random.default_rng(draw(st.integers(0, 99))).random(sizes) < 0.6
    footprint.flat[0] = True
    # An origin that any pairing of sizes and axes takes.
    least = min(sizes)
    origins = [draw(st.integers(-(least // 2), (least - 1) // 2)) for _ in along]
    kind = draw(st.sampled_from(["size", "footprint"]))
    return {
        "axes": tuple(along),
        "origin": origins,
        "mode": draw(st.sampled_from(MODES)),
        "cval": draw(st.sampled_from([0.0, 5.0, -2.5])),
        kind: sizes if kind == "size" else footprint,
    }


def scipys(name, array, **arguments):
    """Return scipy's result; of lines as planes, for lines it ranks in a way of its own, at times wrong."""
    if array.ndim > 1 or name not in RANKS:
        return getattr(scipy.ndimage, name)(array, **arguments)
    sizes = arguments.pop("size", None)
    footprint = np.ones(sizes, bool) if sizes is not None else arguments.pop("footprint")
    arguments |= {"axes": (1,), "footprint": footprint}
    return getattr(scipy.ndimage, name)(array[np.newaxis], **arguments)[0]


def check(name, array, arguments, draw):
    lazy = da.from_array(array, chunks=draw(cst.chunkings(array.shape)))
    try:
        wanted = scipys(name, array, **arguments)
    except ValueError as error:
        # The even side of a structure that dilates moves its origin, paired with axes as they are named.
        with pytest.raises(ValueError, match=str(error)):
            getattr(ndi, name)(lazy, **arguments)
        return
    node = lift(getattr(ndi, name)(lazy, **arguments)).node
    found = view(node, draw(cst.chunkings(array.shape))).compute(scheduler="synchronous")
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == wanted.dtype == node.dtype


def array_of(draw):
    return draw(cst.images(ndim=draw(st.integers(1, 4)), dtypes=DTYPES, max_side=6))


@settings(max_examples=40, **RUN)
@given(data=st.data(), name=st.sampled_from(RANKS))
def test_ranks(data, name):
    array = array_of(data.draw)
    arguments = data.draw(windows(array.ndim))
    sizes = arguments.get("size")
    count = int(np.prod(sizes)) if sizes is not None else int(arguments["footprint"].sum())
    if name == "rank_filter":
        arguments["rank"] = data.draw(st.integers(-count, count - 1))
    if name == "percentile_filter":
        arguments["percentile"] = data.draw(st.sampled_from([0, -30, 12.5, 50, 99, 100]))
    check(name, array, arguments, data.draw)


@settings(max_examples=40, **RUN)
@given(data=st.data(), name=st.sampled_from((*BOXES, *CHAINS)))
def test_extremes_and_grey_morphology(data, name):
    array = array_of(data.draw)
    arguments = data.draw(windows(array.ndim))
    if "size" in arguments and data.draw(st.booleans()):
        arguments["mode"] = [data.draw(st.sampled_from(MODES)) for _ in arguments["axes"]]
    if "footprint" in arguments and name not in BOXES[:2] and data.draw(st.booleans()):
        shape = arguments["footprint"].shape
        arguments["structure"] = np.random.default_rng(0).integers(0, 3, shape)
    check(name, array, arguments, data.draw)


@settings(max_examples=25, **RUN)
@given(data=st.data())
def test_patterns(data):
    array = data.draw(cst.images(ndim=data.draw(st.integers(1, 3)), dtypes=("bool", "uint8"), max_side=7))
    arguments = data.draw(windows(array.ndim))
    shape = arguments.get("size") or arguments["footprint"].shape
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    first = rng.random(shape) < 0.3
    given_ = {"structure1": first, "axes": arguments["axes"], "origin1": arguments["origin"]}
    if data.draw(st.booleans()):
        given_["structure2"] = ~first & (rng.random(shape) < 0.3)
    check("binary_hit_or_miss", array, given_, data.draw)


@pytest.mark.parametrize("name", ["morphological_gradient", "morphological_laplace"])
def test_output_is_that_of_scipy_for_an_array_of_the_dtype(name):
    array = np.random.default_rng(0).integers(0, 256, (9, 8)).astype(np.uint8)
    out = np.empty(array.shape, np.int32)
    getattr(scipy.ndimage, name)(array, 3, output=out)
    found = getattr(ndi, name)(da.from_array(array, chunks=4), 3, output="int32")
    np.testing.assert_array_equal(found.compute(), out)
    assert found.dtype == np.int32


@pytest.mark.parametrize("chunks", [3, 7])
def test_nan_touches_the_windows_that_hold_it(chunks):
    array = np.random.default_rng(0).random((7, 9))
    array[2, 4] = np.nan
    near = np.zeros(array.shape, bool)
    near[1:4, 3:6] = True
    for name in ("minimum_filter", "maximum_filter", "grey_erosion"):
        found = getattr(ndi, name)(da.from_array(array, chunks=chunks), 3).compute()
        wanted = getattr(scipy.ndimage, name)(np.where(np.isnan(array), 0.5, array), 3)
        assert np.isnan(found[near]).all()
        np.testing.assert_array_equal(found[~near], wanted[~near])
    outside = ndi.maximum_filter(da.from_array(array, chunks=chunks), 3, mode="constant", cval=np.nan)
    assert np.isnan(outside.compute()[[0, -1]]).all()
    middle = ndi.median_filter(da.from_array(array, chunks=chunks), 3).compute()
    np.testing.assert_array_equal(middle, scipy.ndimage.median_filter(array, 3))


def test_sizes_in_mm_and_names_of_axes():
    array = np.random.default_rng(0).integers(0, 99, (2, 5, 6, 7)).astype(np.int16)
    positions = {"z_mm": np.arange(5) * 2.0, "y_mm": np.arange(6) * 1.0, "x_mm": np.arange(7) * 1.0}
    image = attach(
        da.from_array(array, chunks=3),
        Grid(**{k: tuple(v) for k, v in positions.items()}, time_ms=(0.0, 40.0)),
    )
    wanted = np.stack([scipy.ndimage.maximum_filter(frame, (3, 5, 5)) for frame in array])
    np.testing.assert_array_equal(ndi.maximum_filter(image, "5 mm"), wanted)
    wanted = scipy.ndimage.maximum_filter(array, (3, 5), axes=(1, 3), mode=("wrap", "mirror"))
    found = ndi.maximum_filter(image, ("5 mm", "5 mm"), axes=("x", "z"), mode=("mirror", "wrap"))
    np.testing.assert_array_equal(found, wanted)
    wanted = scipy.ndimage.minimum_filter1d(array, 3, axis=1)
    np.testing.assert_array_equal(ndi.minimum_filter1d(image, "5 mm", axis="z"), wanted)
    found = ndi.percentile_filter(image, 20, ("5 mm", "3 mm"), axes=("z", "y"))
    np.testing.assert_array_equal(found, scipy.ndimage.percentile_filter(array, 20, (3, 3), axes=(1, 2)))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("rank_filter", {"rank": 9, "size": 3}),
        ("rank_filter", {"rank": -10, "size": 3}),
        ("rank_filter", {"rank": 1.5, "size": 3}),
        ("rank_filter", {"rank": 1}),
        ("median_filter", {"size": 3, "mode": ("wrap", "wrap")}),
        ("median_filter", {"size": (3, 3, 3)}),
        ("median_filter", {"footprint": np.ones((2, 2, 2))}),
        ("median_filter", {"size": 3, "mode": "beyond"}),
        ("percentile_filter", {"percentile": 101, "size": 3}),
        ("percentile_filter", {"percentile": -101, "size": 3}),
        ("percentile_filter", {"percentile": 50, "size": 3, "origin": 2}),
        ("minimum_filter", {}),
        ("minimum_filter", {"size": 3, "origin": -2}),
        ("minimum_filter", {"size": 3, "axes": (0, 0)}),
        ("maximum_filter", {"footprint": np.zeros((2, 2))}),
        ("maximum_filter", {"footprint": [[0, 1], [1, 1]], "mode": ("wrap", "wrap")}),
        ("maximum_filter1d", {"size": 0}),
        ("maximum_filter1d", {"size": 3, "axis": 2}),
        ("grey_erosion", {}),
        ("grey_dilation", {"structure": np.ones((3, 3, 3))}),
        ("grey_opening", {"structure": np.ones((3, 3)), "mode": ("wrap", "wrap")}),
        ("binary_hit_or_miss", {"structure1": np.ones(3)}),
        ("binary_hit_or_miss", {"structure1": np.ones((3, 0))}),
    ],
)
def test_errors_are_scipys_at_the_call(name, arguments):
    array = np.zeros((5, 6), np.int16)
    with pytest.raises((RuntimeError, ValueError, TypeError)) as theirs:
        getattr(scipy.ndimage, name)(array, **arguments)
    wanted = next(kind for kind in (ValueError, RuntimeError, TypeError) if isinstance(theirs.value, kind))
    with pytest.raises(wanted) as ours:
        getattr(ndi, name)(da.from_array(array, chunks=3), **arguments)
    assert isinstance(ours.value, InputError) or name == "rank_filter"


def test_masks_are_not_subtracted():
    mask = da.zeros((4, 4), dtype=bool)
    for name in ("morphological_gradient", "morphological_laplace"):
        with pytest.raises(TypeError):
            getattr(ndi, name)(mask, 3)


@pytest.mark.parametrize("dtype", ["complex64", "float16"])
def test_values_without_order_and_small_floats_are_refused(dtype):
    image = da.zeros((4, 4), dtype=dtype)
    with pytest.raises(TypeError if dtype == "complex64" else RuntimeError):
        ndi.maximum_filter(image, 3)
