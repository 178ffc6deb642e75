"""Elementwise chains are made in pieces; the pieces of one image are the image."""

import numpy as np
import pytest

from chunkmed.graph import elementwise
from chunkmed.graph.elementwise import chain_of, piece_bytes, run_chain
from chunkmed.graph.lift import lift
from chunkmed.graph.nodes import Pointwise


@pytest.fixture
def chain():
    """(image - row) * image > 3, and what it takes."""
    import dask.array as da

    image = np.random.default_rng(0).normal(size=(3, 40, 50))
    whole, row = da.from_array(image, chunks=(1, 40, 50)), da.from_array(image[0, :1], chunks=(1, 50))
    node = lift(((whole - row) * 2 + 1.5) > 3).node
    parts = chain_of(node, {item.token for item in _below(node)})
    inside = {part.token for part in parts}
    given = {item.token: item for part in parts for item in part.inputs if item.token not in inside}
    arrays = {token: image if item.shape == image.shape else image[0, :1] for token, item in given.items()}
    return parts, arrays, ((image - image[0, :1]) * 2 + 1.5) > 3


def _below(node):
    return [each for item in node.inputs if isinstance(item, Pointwise) for each in (item, *_below(item))]


@pytest.mark.parametrize("piece", [1, 56, 400, 16000, 48000, 1 << 19])
def test_any_piece(monkeypatch, chain, piece):
    monkeypatch.setattr(elementwise, "_PIECE", piece)
    parts, arrays, expected = chain
    box = tuple((0, n) for n in expected.shape)
    np.testing.assert_array_equal(run_chain(parts, box, arrays), expected)


def test_memory_of_a_piece(monkeypatch, chain):
    monkeypatch.setattr(elementwise, "_PIECE", 8000)
    parts, _, expected = chain
    # A float64 and what is made of it.
    assert piece_bytes(parts, tuple((0, n) for n in expected.shape)) == 1000 * 16
    assert piece_bytes(parts, ((0, 1), (0, 2), (0, 5))) == 10 * 16
