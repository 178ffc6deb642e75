"""Networks that select ranks, and the programs that run them on rows."""

import numpy as np
import pytest
import scipy.ndimage

from chunkmed.kernels import ranks
from chunkmed.kernels.networks import Network, rank_of
from chunkmed.kernels.programs import program_of
from chunkmed.kernels.windows import Window, selected


def window(shape, footprint=None, mode="reflect"):
    count = len(shape)
    return Window(tuple(range(count)), shape, footprint, (0,) * count, (mode,) * count, 0.0)


def everything(array):
    return tuple(slice(0, n) for n in array.shape)


@pytest.mark.parametrize("shape", [(1, 1, 5), (1, 4, 3), (2, 2, 3), (3, 3, 3)])
def test_network_selects_every_rank(shape):
    values = np.random.default_rng(0).integers(0, 9, shape)

    def value_of(network, value, dy, dx):
        pair = network.nodes[value.node].values
        dy, dx = dy + value.dy, dx + value.dx
        if pair is None:
            return values[network.nodes[value.node].plane, dy, dx]
        both = [value_of(network, each, dy, dx) for each in pair]
        return max(both) if value.high else min(both)

    for rank in range(values.size)[:: max(1, values.size // 6)]:
        network = Network()
        found = rank_of(network, np.ones(shape, bool), rank)
        assert value_of(network, found, 0, 0) == np.sort(values.ravel())[rank]


@pytest.mark.parametrize(
    ("shape", "rank"), [((5, 5, 5), 62), ((7, 7, 7), 30), ((1, 1, 41), 7), ((3, 5), 11), ((9, 9), 40)]
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_large_windows(shape, rank, dtype):
    array = np.random.default_rng(1).integers(0, 250, (6, 9, 300)[-len(shape) :]).astype(dtype)
    found = selected(array, window(shape), rank, everything(array))
    np.testing.assert_array_equal(found, scipy.ndimage.rank_filter(array, rank, shape))


def test_rows_longer_than_a_workspace_are_cut():
    array = np.random.default_rng(2).integers(-900, 900, (2, 4, 9001)).astype(np.int16)
    found = selected(array, window((1, 3, 5)), 4, everything(array))
    np.testing.assert_array_equal(found, scipy.ndimage.rank_filter(array, 4, (1, 3, 5)))


def test_short_rows_of_many_planes_lie_side_by_side():
    array = np.random.default_rng(2).integers(-900, 900, (301, 5, 7)).astype(np.int16)
    for rank in (0, 13):
        found = selected(array, window((3, 3, 3), mode="wrap"), rank, everything(array))
        np.testing.assert_array_equal(found, scipy.ndimage.rank_filter(array, rank, 3, mode="wrap"))


@pytest.mark.parametrize("shape", [(11, 3, 4), (10, 1, 1), (2, 12, 5, 3)])
@pytest.mark.parametrize("highest", [False, True])
def test_boxes_of_many_planes(shape, highest):
    array = np.random.default_rng(5).integers(-900, 900, (5, 20, 9, 8)[4 - len(shape) :]).astype(np.uint16)
    keep = tuple(slice(1, n - 1) for n in array.shape)
    modes = ("mirror", "constant", "wrap", "nearest")[: len(shape)]
    box = Window(tuple(range(len(shape))), shape, None, (0,) * len(shape), modes, 7.0)
    found = selected(array, box, (box.count - 1) * highest, keep)
    function = scipy.ndimage.maximum_filter if highest else scipy.ndimage.minimum_filter
    np.testing.assert_array_equal(found, function(array, shape, mode=modes, cval=7.0)[keep])


def test_what_is_shared_is_made_once():
    plain = program_of(np.ones((3, 3, 3), bool).tobytes(), (3, 3, 3), 13).operations
    # 3 loads; 3 + 3 pairs sort and 12 merge columns: fewer than 70 in all, where 27 values alone take 150.
    assert plain.shape[1] < 75
    assert len(plain) == 3


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", ">i2", "float64"])
@pytest.mark.parametrize("keep", [(slice(0, 5), slice(0, 7)), (slice(2, 4), slice(1, 7))])
def test_parts_and_dtypes(dtype, keep):
    array = (np.random.default_rng(3).integers(-40, 40, (5, 7)) > 0) * np.array(3, dtype)
    for rank in (0, 2, 5):
        footprint = np.array([[1, 0, 1], [1, 1, 1], [0, 1, 0]], bool)
        wanted = scipy.ndimage.rank_filter(array, rank, footprint=footprint, mode="mirror")
        found = selected(array, window((3, 3), footprint, "mirror"), rank, keep)
        np.testing.assert_array_equal(found, wanted[keep])


def test_scipy_serves_where_it_is_asked_for(monkeypatch):
    array = np.random.default_rng(4).integers(0, 99, (6, 7)).astype(np.int16)
    given = {"window": window((3, 3)), "output": np.dtype(np.int16), "keep": everything(array)}
    ours = [ranks.ranked(array, rank=rank, **given) for rank in (0, 3, 8)]
    monkeypatch.setenv("CHUNKMED_KERNELS", "scipy")
    monkeypatch.setattr("chunkmed.kernels.ranks.selected", None)
    for one, rank in zip(ours, (0, 3, 8), strict=True):
        np.testing.assert_array_equal(ranks.ranked(array, rank=rank, **given), one)
