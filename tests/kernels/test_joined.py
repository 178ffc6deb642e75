"""Tables of blocks become the table of the whole, whatever the cuts, the order and the names."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunkmed.kernels.counted import merge_counts
from chunkmed.kernels.distinct import distinct
from chunkmed.kernels.groups import groups_of
from chunkmed.kernels.joined import merge_moments
from chunkmed.kernels.moments import Moments, block_moments

SHAPE = (6, 5, 7)
EXACT = ("label", "whole", "total", "ends")


def table(labels, values, z0=0, z1=SHAPE[0]):
    slices = np.stack([np.ones(SHAPE[0]), np.arange(SHAPE[0]) * 2.5], axis=1)[z0:z1]
    part = None if values is None else values[z0:z1]
    return block_moments(groups_of(labels[z0:z1], background=False), part, (z0, 0, 0), SHAPE, slices)


def same(found, wanted):
    for name in EXACT:
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)
    np.testing.assert_allclose(found.real, wanted.real, rtol=1e-9, atol=1e-9)


def pair(seed, dtype):
    rng = np.random.default_rng(seed)
    values = rng.integers(-50, 50, SHAPE).astype(dtype or np.int16)
    if dtype == "float32":
        values[rng.random(SHAPE) < 0.02] = np.nan
    return rng.integers(0, 9, SHAPE), None if dtype is None else values


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, SHAPE[0]), max_size=4),
    seed=st.integers(0, 99),
    dtype=st.sampled_from([None, "int16", "int64", "float32", "float64"]),
    order=st.randoms(use_true_random=False),
)
def test_parts_of_a_volume_are_the_volume(cuts, seed, dtype, order):
    labels, values = pair(seed, dtype)
    edges = [0, *sorted(cuts), SHAPE[0]]
    parts = [table(labels, values, a, b) for a, b in itertools.pairwise(edges)]
    order.shuffle(parts)
    found, wanted = merge_moments(parts), table(labels, values)
    if dtype == "float32":
        # Sums of floats depend on their order in the last bits.
        np.testing.assert_allclose(found.total, wanted.total, rtol=1e-12)
        found = replace(found, total=wanted.total)
    same(found, wanted)


def test_objects_get_other_names_in_any_order_and_several_one():
    labels, values = pair(1, "int16")
    apart = table(labels, values)
    numbers = np.array([0, 5, 2, 5, 1, 2, 9, 5, 1])
    renamed = merge_moments([replace(apart, label=numbers[apart.label])])
    same(renamed, table(np.where(labels > 0, numbers[labels], 0), values))


def test_tables_that_cannot_be_written_and_empty_ones():
    labels, values = pair(2, "int16")
    first, second = table(labels, values, 0, 3), table(labels, values, 3, 6)
    for column in vars(first).values():
        column.flags.writeable = False
    same(merge_moments([Moments.empty(), first, second]), table(labels, values))
    assert len(merge_moments([Moments.empty(), Moments.empty()])) == 0


def test_a_volume_along_outer_axes():
    labels, values = pair(3, "float64")
    one = table(labels, values)
    found = merge_moments([one.within((0,), 0), one.within((2,), 2 * labels.size)])
    assert found.axes == 4
    np.testing.assert_array_equal(found.start[:, 0], 0)
    np.testing.assert_array_equal(found.stop[:, 0], 3)
    np.testing.assert_array_equal(found.low_at, one.low_at)
    np.testing.assert_array_equal(found.positions[:, 0], 2 * one.count)
    np.testing.assert_array_equal(found.positions[:, 1:], 2 * one.positions)
    np.testing.assert_allclose(found.scatter, 2 * one.scatter)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=6), sort=st.booleans(), seed=st.integers(0, 99)
)
def test_counts_of_values(sizes, sort, seed):
    rng = np.random.default_rng(seed)
    parts, wanted = [], Counter()
    for size in sizes:
        label, value = rng.integers(1, 5, size) * 10**9, rng.integers(-3, 3, size, dtype=np.int32)
        if sort and size:
            label, value = np.unique(np.stack([label, value]), axis=1)
        count = rng.integers(1, 9, len(label))
        for where, n in zip(zip(label.tolist(), value.tolist(), strict=True), count.tolist(), strict=True):
            wanted[where] += n
        parts.append((label, value.astype(np.int32), count))
    label, value, count = merge_counts(parts)
    assert list(zip(label.tolist(), value.tolist(), strict=True)) == sorted(wanted)
    assert count.tolist() == [wanted[where] for where in sorted(wanted)]


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_rows_of_labels_that_lie_far_apart(dtype):
    labels = pair(4, None)[0].astype(dtype) * dtype(10**12)
    groups = groups_of(labels)
    names, ids = np.unique(labels, return_inverse=True)
    np.testing.assert_array_equal(groups.names, names)
    np.testing.assert_array_equal(groups.rows[groups.ids - groups.base], ids)


@pytest.mark.parametrize("values", [[], [3], [2, 1, 2, 2], [[5, 5], [1, 5]]])
def test_different_values(values):
    array = np.array(values, np.int64)
    np.testing.assert_array_equal(distinct(array), np.unique(array))
