"""Labels by runs against scipy.ndimage.label, and tables against plain indexing."""

import numpy as np
import pytest
import scipy.ndimage

from chunkmed.kernels.components import block_labels, label_sizes, marked_labels, seam_pairs
from chunkmed.kernels.runs import joins_rows, run_labels
from chunkmed.kernels.spreading import MAY_CHANGE, REACHED, spread
from chunkmed.kernels.tables import look_up


def structures(ndim, rng):
    yield scipy.ndimage.generate_binary_structure(ndim, 1)
    yield np.ones((3,) * ndim, bool)
    for share in (0.2, 0.5, 0.8):
        some = rng.random((3,) * ndim) < share
        yield some | np.flip(some)


@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
def test_labels_and_first_voxels_are_scipys(ndim):
    rng = np.random.default_rng(ndim)
    seen = set()
    for share in (0.0, 0.1, 0.5, 0.8, 1.0):
        for _ in range(6):
            mask = rng.random(tuple(rng.integers(1, {1: 90, 2: 21, 3: 11, 4: 6}[ndim], ndim))) < share
            for structure in structures(ndim, rng):
                wanted, count = scipy.ndimage.label(mask, structure)
                labels, firsts = block_labels(mask, structure)
                np.testing.assert_array_equal(labels, wanted)
                assert labels.dtype == np.int32 and len(firsts) == count
                np.testing.assert_array_equal(wanted.ravel()[firsts], np.arange(1, count + 1))
                assert all(not np.any(wanted.ravel()[:at] == n + 1) for n, at in enumerate(firsts[:4]))
                np.testing.assert_array_equal(label_sizes(labels, count), np.bincount(wanted.ravel())[1:])
                seen.add(joins_rows(structure))
    assert seen == {True, False}


def test_many_runs_and_bytes_that_are_neither_0_nor_1():
    rng = np.random.default_rng(0)
    # Long enough that the table of runs grows.
    values = (rng.random((40, 301)) < 0.5).astype(np.uint8)
    structure = np.ones((3, 3), bool)
    wanted = scipy.ndimage.label(values, structure)[0]
    np.testing.assert_array_equal(run_labels(values.view(bool), structure)[0], wanted)
    odd = (values * rng.integers(1, 256, values.shape)).astype(np.uint8).view(bool)
    np.testing.assert_array_equal(run_labels(odd, structure)[0], wanted)


@pytest.mark.parametrize("kernel", ["ours", "scipy"])
@pytest.mark.parametrize("few", [True, False])
def test_two_bytes_where_they_count_all_labels(kernel, few, monkeypatch):
    monkeypatch.setenv("CHUNKMED_KERNELS", kernel)
    # As many single voxels as two bytes count, or one more.
    mask = np.zeros((512, 260), bool)
    mask[::2, ::2] = True
    mask = np.stack([mask, np.zeros_like(mask), mask])
    mask.reshape(-1)[np.flatnonzero(mask)[65535 if few else 65536 :]] = False
    wanted, count = scipy.ndimage.label(mask)
    assert few == (count < 65536)
    structure = scipy.ndimage.generate_binary_structure(3, 1)
    labels, firsts = block_labels(mask, structure, narrow=True)
    assert labels.dtype == (np.uint16 if few else np.int32) and len(firsts) == count
    np.testing.assert_array_equal(labels, wanted)
    assert block_labels(mask, structure)[0].dtype == np.int32


@pytest.mark.parametrize("width", [1, 7, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200])
def test_rows_of_any_width(width):
    rng = np.random.default_rng(width)
    for share in (0.1, 0.5, 0.9, 1.0):
        mask = rng.random((rng.integers(1, 9), width)) < share
        for structure in structures(2, rng):
            for narrow in (False, True):
                labels, _ = block_labels(mask, structure, narrow=narrow)
                np.testing.assert_array_equal(labels, scipy.ndimage.label(mask, structure)[0])


def test_scipys_kernel_on_request(monkeypatch):
    mask, structure = np.random.default_rng(1).random((9, 12)) < 0.5, np.ones((3, 3), bool)
    ours = block_labels(mask, structure)
    monkeypatch.setenv("CHUNKMED_KERNELS", "scipy")
    monkeypatch.setattr("chunkmed.kernels.components.run_labels", None)
    for a, b in zip(ours, block_labels(mask, structure), strict=True):
        np.testing.assert_array_equal(a, b)


def test_marks():
    labels, marks = np.array([[0, 1, 1], [2, 0, 3]], np.int32), np.array([[1, 0, 1], [0, 1, 0]], bool)
    found = np.zeros(4, bool)
    marked_labels(labels, marks, found)
    assert found.tolist() == [True, True, False, False]


def test_pairs_across_a_seam():
    upper, lower = np.array([[1, 1, 0, 2, 2]], np.int32), np.array([[3, 0, 0, 3, 4]], np.int32)
    faces = scipy.ndimage.generate_binary_structure(2, 1)
    found = seam_pairs({(0, -1): lower, (0, 1): lower}, {(0, 1): upper, (0, -1): upper}, (-1, 0), faces)
    assert found.tolist() == [[3, 1], [3, 2], [4, 2]]


@pytest.mark.parametrize("dtype", [bool, np.int32, np.int64, np.float32])
def test_tables_of_views(dtype):
    rng = np.random.default_rng(2)
    local = rng.integers(0, 5, (3, 4, 6, 7)).astype(np.int32)
    table = rng.integers(0, 100, 5).astype(dtype)
    wanted = table[local]
    for cut in (np.s_[:], np.s_[1:, :, 2:5, 3:], np.s_[:, 1, 2, :], np.s_[0, 0, 0, ::2]):
        out = np.zeros(local.shape, dtype)
        look_up(local[cut], table, out[cut])
        np.testing.assert_array_equal(out[cut], wanted[cut])


def test_a_flood_goes_where_it_may():
    rng = np.random.default_rng(3)
    seeds, mask = rng.random((6, 7, 8)) < 0.05, rng.random((6, 7, 8)) < 0.4
    state = seeds * REACHED | mask * MAY_CHANGE
    faces = np.argwhere(scipy.ndimage.generate_binary_structure(3, 1)) - 1
    found = spread(state.astype(np.uint8), offsets=faces) & REACHED
    np.testing.assert_array_equal(found > 0, scipy.ndimage.binary_propagation(seeds, mask=mask))
