"""Morphology on packed voxels, against SciPy."""

import itertools
import tracemalloc
from unittest import mock

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chunkmed.kernels import morphology, packed, packed_layout

RUN = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
NAMES = ("erosion", "dilation", "opening", "closing")
SCIPY = {name: getattr(scipy.ndimage, f"binary_{name}") for name in NAMES}
SIDES = (1, 2, 7, 63, 64, 65, 127, 128, 129, 200)


def wanted(name, block, mask=None, **arguments):
    # The other way, without brute force, writes out of bounds where a structure is wider than the array.
    return SCIPY[name](block, mask=mask, **(arguments | {"brute_force": True}))


def without_scipy(name, block, mask=None, **arguments):
    """Return what the packed kernel makes; it must not ask scipy."""
    refuse = mock.Mock(side_effect=AssertionError("scipy was asked"))
    with mock.patch.object(scipy.ndimage, f"binary_{name}", refuse):
        return getattr(morphology, name)(block, mask=mask, **arguments)


def check(name, block, mask=None, **arguments):
    found = without_scipy(name, block, mask, **arguments)
    expected = wanted(name, block, mask, **arguments)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


def noise(shape, share=0.5, seed=0):
    return np.random.default_rng(seed).random(shape) < share


@st.composite
def shapes(draw):
    sides = [draw(st.integers(1, 6)) for _ in range(draw(st.integers(0, 3)))]
    return (
        draw(st.permutations([*sides, draw(st.sampled_from(SIDES))]))
        if draw(st.booleans())
        else (
            *sides,
            draw(st.sampled_from(SIDES)),
        )
    )


@st.composite
def arguments_for(draw, ndim):
    axes = draw(st.lists(st.integers(0, ndim - 1), min_size=1, unique=True).map(sorted))
    sizes = [draw(st.sampled_from([1, 2, 3, 3, 3, 4, 5, 9])) for _ in axes]
    structure = noise(sizes, draw(st.sampled_from([0.3, 0.7, 1.0])), draw(st.integers(0, 99)))
    return {
        "structure": structure,
        "origin": [draw(st.integers(-(n // 2), (n - 1) // 2)) for n in sizes],
        "axes": axes,
        "iterations": draw(st.integers(1, 4)),
        "border_value": draw(st.integers(0, 1)),
        "output": draw(st.sampled_from([None, bool, "uint8", "int16", "float32"])),
        "brute_force": draw(st.booleans()),
    }


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=120, **RUN)
@given(data=st.data())
def test_any(name, data):
    shape = data.draw(shapes())
    dtype = data.draw(st.sampled_from(["bool", "uint8", "int8", "int16", ">i4", "float32", "float64"]))
    seed, share = data.draw(st.integers(0, 99)), data.draw(st.sampled_from([0.02, 0.5, 0.98]))
    block = noise(shape, share, seed).astype(dtype) * np.array(data.draw(st.sampled_from([1, 3])), dtype)
    mask = data.draw(st.sampled_from([None, "bool", "uint8", "int8"]))
    mask = None if mask is None else noise(shape, 0.7, seed + 1).astype(mask)
    # Tiles and parts of few words, so that small arrays have several of them.
    few = [data.draw(st.sampled_from([1, 9, 1 << 16])) for _ in range(2)]
    with mock.patch.multiple(packed_layout, _TILE=few[0], _CHUNK=few[1]):
        check(name, block, mask, **data.draw(arguments_for(len(shape))))


@pytest.mark.parametrize("connectivity", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", SIDES)
def test_common_structures(name, width, connectivity):
    structure = scipy.ndimage.generate_binary_structure(3, connectivity)
    block = noise((2, 5, 40, width), 0.1 if name in ("dilation", "closing") else 0.9)
    for border, iterations in itertools.product((0, 1), (1, 5)):
        settings = {"border_value": border, "iterations": iterations, "axes": (1, 2, 3)}
        check(name, block, structure=structure, **settings)
        check(name, block, noise(block.shape, 0.8, 1), structure=structure, **settings)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [False, True])
@pytest.mark.parametrize("border", [0, 1])
@pytest.mark.parametrize("shape", [(1,), (64,), (3, 4, 130), (1, 1, 1, 1)])
def test_uniform(name, value, border, shape):
    check(name, np.full(shape, value), border_value=border, iterations=3)


@pytest.mark.parametrize("x", [0, 1, 62, 63, 64, 65, 126, 127, 128, 129])
@pytest.mark.parametrize("name", NAMES)
def test_single_voxel_at_the_edge_of_a_word(name, x):
    block = np.zeros((3, 3, 130), bool)
    block[1, 1, x] = True
    for one, iterations in itertools.product((block, ~block), (1, 2, 3)):
        check(name, one, iterations=iterations)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reach", [63, 64, 65, 130])
def test_neighbours_further_away_than_a_word(name, reach):
    structure = np.zeros(2 * reach + 1, bool)
    structure[[0, reach, -1]] = True
    check(name, noise((4, 300)), structure=structure, axes=1, iterations=2)
    check(name, noise((4, 300)), structure=structure[: reach + 1], origin=(reach + 1) // 2 - 1, axes=(1,))


@pytest.mark.parametrize("name", NAMES)
def test_ball_in_mm(name):
    z, y, x = np.ogrid[-2:3, -4:5, -4:5]
    structure = (1.5 * z) ** 2 + (0.7 * y) ** 2 + (0.7 * x) ** 2 <= 9
    check(name, noise((9, 30, 70), 0.3), structure=structure, iterations=2)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_the_structure(name):
    for border in (0, 1):
        check(name, noise((3, 70)), structure=np.zeros((3, 3)), border_value=border)


@pytest.mark.parametrize("name", NAMES)
def test_not_contiguous(name):
    block, mask = noise((90, 7, 80)).transpose(2, 1, 0)[::2], noise((80, 7, 90), 0.8, 1)[::2]
    check(name, block, mask, iterations=2)
    check(name, np.broadcast_to(noise((70,)), (3, 70)))


def test_input_is_not_written():
    block = noise((5, 6, 70))
    block.setflags(write=False)
    found = morphology.closing(block)
    np.testing.assert_array_equal(block, noise((5, 6, 70)))
    assert found.flags.writeable
    assert not np.shares_memory(found, block)


def test_nan_is_true():
    block = np.where(noise((5, 70)), np.nan, 0).astype(np.float32)
    check("dilation", block)


@pytest.mark.parametrize("name", NAMES)
def test_scipys_way_on_request(name, monkeypatch):
    block = noise((4, 5, 66))
    monkeypatch.setattr(packed, "transform", mock.Mock(side_effect=AssertionError("packed")))
    with pytest.raises(AssertionError, match="packed"):
        getattr(morphology, name)(block)
    monkeypatch.setenv("CHUNKMED_KERNELS", "scipy")
    np.testing.assert_array_equal(getattr(morphology, name)(block), SCIPY[name](block))


def fortran_axes():
    return {"axes": (1, 0), "structure": np.ones((3, 1)), "origin": (1, 0)}


LEFT_TO_SCIPY = {
    "until nothing changes": (noise((5, 70), 0.9), {"iterations": -1}),
    "axes in another order": (noise((5, 70)), fortran_axes()),
    "mask of wide integers": (noise((5, 70)), {"mask": noise((5, 70)).astype(np.int64)}),
    "five axes": (noise((2, 3, 2, 3, 4)), {"structure": np.ones((3,) * 5)}),
    "short rows": (noise((300, 300, 3)), {"structure": np.ones((3, 3, 3))}),
    "empty": (np.zeros((0, 5), bool), {}),
    "no axes": (np.array(True), {}),
    "complex": (np.ones((3, 4), complex), {}),
    "half": (np.ones((3, 4), np.float16), {}),
    "other axes": (noise((3, 4)), {"structure": np.ones((3, 3, 3))}),
    "empty structure": (noise((3, 4)), {"structure": np.ones((3, 0))}),
    "two origins for three": (noise((3, 4, 5)), {"origin": (0, 1)}),
    "axis twice": (noise((3, 4)), {"axes": (0, 0)}),
    "axis outside": (noise((3, 4)), {"axes": (0, 2)}),
    "mask of another shape": (noise((3, 4)), {"mask": np.ones((1, 4), bool)}),
    "part of an iteration": (noise((3, 4)), {"iterations": 1.5}),
    "part of a border": (noise((3, 4)), {"border_value": 0.5}),
}


def outcome(function, *given, **arguments):
    """Return the result or the error."""
    try:
        return function(*given, **arguments)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", LEFT_TO_SCIPY)
def test_the_rest_is_scipys(case, name):
    block, arguments = LEFT_TO_SCIPY[case]
    found, expected = (
        outcome(function, block, **arguments) for function in (getattr(morphology, name), SCIPY[name])
    )
    assert type(found) is type(expected)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(AssertionError, match="scipy was asked"):
        without_scipy(name, block, **arguments)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("origin", [2, (0, -2)])
def test_an_origin_outside_is_refused(origin, name):
    # scipy may end the process.
    with pytest.raises(IndexError, match="outside"):
        getattr(morphology, name)(noise((3, 4)), structure=np.ones((3, 3)), origin=origin)


@pytest.mark.parametrize("name", NAMES)
def test_an_array_is_filled(name):
    block, out = noise((5, 70)), np.empty((5, 70), np.int16)
    getattr(morphology, name)(block, output=out)
    np.testing.assert_array_equal(out, SCIPY[name](block))


@pytest.mark.parametrize(("connectivity", "lines"), [(1, 7), (2, 16), (3, 12)])
def test_rows_meet_before_they_are_shifted(connectivity, lines):
    """A count of what is done per word; a box of 27 would take 27."""
    offsets = np.argwhere(scipy.ndimage.generate_binary_structure(3, connectivity)) - 1
    ((layout, _),) = packed_layout.layouts((9, 9, 90), [offsets])
    assert len(layout.program(offsets)) == lines


@pytest.mark.parametrize(("masked", "most"), [(False, 0.6), (True, 0.9)])
def test_memory(masked, most):
    """Beside input and output next to nothing is needed; before there is an output, less than its size."""
    block = noise((40, 200, 300))
    arguments = {"mask": noise(block.shape, 0.7, 1) if masked else None, "iterations": 2}
    morphology.closing(block, **arguments)
    tracemalloc.start()
    morphology.closing(block, **arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 1.2 * block.size
    with mock.patch.object(packed, "empty", side_effect=MemoryError):
        tracemalloc.start()
        with pytest.raises(MemoryError):
            packed.transform(block, packed_steps(), False, arguments["mask"])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert 0.4 * block.size <= peak <= most * block.size


def packed_steps():
    offsets = np.argwhere(scipy.ndimage.generate_binary_structure(3, 1)) - 1
    return [packed.Step(offsets, grow, 2) for grow in (True, False)]
